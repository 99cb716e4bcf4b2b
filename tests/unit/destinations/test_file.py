"""Lines in a file: JSON, one per item, also under odd circumstances."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spanbridge.destinations import outbox as outbox_module
from spanbridge.destinations.file import FileDestination
from spanbridge.model.failure import Breadcrumb, ExceptionRecord, FeatureFlag, Issue
from spanbridge.model.outcome import Outcome
from spanbridge.model.span import SpanRecord
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.runtime.guard import Guard
from spanbridge.settings import FileOptions
from tests.support.odd_values import Fraction, Hopeless, Text, Whole
from tests.support.points import point
from tests.support.program import run_program
from tests.support.spans import TRACE_ID, exception_event, local_trace, record


def destination(path: Path) -> FileDestination:
    return FileDestination(FileOptions(path=str(path)), PrivacyPolicy())


def accept(to: FileDestination, *spans: SpanRecord) -> None:
    to.accept_spans([(local_trace(), span) for span in spans], 0.0)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def issue() -> Issue:
    return Issue(
        event_id="0" * 32,
        time_ns=1,
        exceptions=(ExceptionRecord("ValueError", "boom"),),
        is_handled=False,
        mechanism="auto.otel.span",
        trace_id=f"{TRACE_ID:032x}",
        span_id=f"{2:016x}",
        span=record(2, 1),
        local_root=record(1),
        root_name="root",
    )


def test_spans_and_issues_are_lines_that_say_what_they_are(tmp_path: Path) -> None:
    to = destination(path := tmp_path / "told.jsonl")
    accept(to, record(1, events=(exception_event(),), attributes={"text": "line\nbreak"}))
    to.accept_issue(issue(), local_trace())
    assert to.close(5)

    span, failure = lines(path)
    assert (span["type"], span["name"]) == ("span", "span 1")
    assert span["attributes"] == {"text": "line\nbreak"}
    assert span["events"][0]["name"] == "exception"
    assert (failure["type"], failure["exceptions"][0]["value"]) == ("issue", "boom")
    snapshot = to.ledger.snapshot()
    assert snapshot.outcomes == {"span": {"delivered": 1}, "error": {"delivered": 1}}


def test_an_issue_outside_of_spans_tells_its_whole_story(tmp_path: Path) -> None:
    to = destination(path := tmp_path / "told.jsonl")
    outside = msgspec.structs.replace(
        issue(),
        exceptions=(),
        span=None,
        local_root=None,
        message="quorum lost",
        logger="votes",
        level="fatal",
        contexts={"consensus": {"agents": 5}},
        flags=(FeatureFlag("new-flow", True),),
        breadcrumbs=(Breadcrumb(1.0, "vote", "agent 1 voted", data={"raw": b"\x00"}),),
    )
    to.accept_issue(outside, local_trace())
    assert to.close(5)

    [line] = lines(path)
    assert (line["span"], line["exceptions"]) == (None, [])
    assert (line["message"], line["logger"], line["level"]) == ("quorum lost", "votes", "fatal")
    assert line["trace_id"] == f"{TRACE_ID:032x}"
    assert line["contexts"] == {"consensus": {"agents": 5}}
    assert line["flags"] == [{"flag": "new-flow", "result": True}]
    assert line["breadcrumbs"][0]["message"] == "agent 1 voted"


def test_the_file_is_appended_to_and_may_be_moved_away_meanwhile(tmp_path: Path) -> None:
    path, moved = tmp_path / "told.jsonl", tmp_path / "told.1.jsonl"
    path.write_text('{"type":"span","name":"of an earlier run"}\n')
    to = destination(path)
    accept(to, record(1))
    assert to.flush(5)
    path.rename(moved)
    accept(to, record(2))
    assert to.close(5)

    assert [line["name"] for line in lines(moved)] == ["of an earlier run", "span 1"]
    assert [line["name"] for line in lines(path)] == ["span 2"]


def test_what_utf8_cannot_hold_is_replaced_and_every_line_stays_json(tmp_path: Path) -> None:
    to = destination(path := tmp_path / "told.jsonl")
    attributes: dict[str, Any] = {"bad \udcff": ["\udcff", {"deep": "\udcff"}], "bytes": b"\x00"}
    accept(to, record(1, name="bad \udcff", attributes=attributes), record(2))
    assert to.close(5)

    first, second = lines(path)
    assert (first["name"], second["name"]) == ("bad \ufffd", "span 2")
    assert first["attributes"]["bad \ufffd"] == ["\ufffd", {"deep": "\ufffd"}]
    assert to.ledger.snapshot().outcomes == {"span": {"delivered": 2}}


def test_a_folder_that_vanished_is_a_counted_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = Guard(reraise=False)
    monkeypatch.setattr(outbox_module, "GUARD", guard)
    to = destination(tmp_path / "gone" / "told.jsonl")
    accept(to, record(1), record(2))
    assert to.close(5)

    snapshot = to.ledger.snapshot()
    assert snapshot.outcomes == {"span": {"failed": 2}}
    assert snapshot.reasons == {"failed: FileNotFoundError": 2}
    assert "FileNotFoundError: " in (to.status().last_error or "")
    assert guard.counts == {"file: FileNotFoundError": 1}


def test_what_went_wrong_is_told_until_something_arrives_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "GUARD", Guard(reraise=False))
    to = destination(tmp_path / "gone" / "told.jsonl")
    hopeless: Any = {"k": Hopeless()}
    accept(to, record(1))
    assert to.flush(5)
    assert "FileNotFoundError: " in (to.status().last_error or "")

    (tmp_path / "gone").mkdir()
    accept(to, record(2))
    assert to.flush(5)
    assert to.status().last_error is None

    accept(to, record(3), record(4, attributes=hopeless), record(5))  # a part of it arrives
    assert to.flush(5)
    assert to.status().last_error == "ValueError: this has no text"
    to.after_fork()  # what the parent met says nothing of the child
    assert to.status().last_error is None
    assert to.close(5)


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path) -> None:
    to = destination(tmp_path / "told.jsonl")
    to.leave_out(Outcome.SAMPLED_OUT, 5, 2)
    to.leave_out(Outcome.FILTERED, 1, reason="match")

    snapshot = to.ledger.snapshot()
    assert snapshot.outcomes == {"span": {"sampled_out": 5, "filtered": 1}}
    assert snapshot.reasons == {"filtered: match": 1}
    assert to.close(1)


def test_subclasses_of_plain_values_are_what_they_are_below(tmp_path: Path) -> None:
    to = destination(path := tmp_path / "told.jsonl")
    odd: dict[str, Any] = {
        "part": Fraction(0.5),
        "whole": Whole(3),
        "text": Text("a"),
        "list": [Fraction(0.5), Text("b")],
        "map": {"deep": Whole(4)},
        "bad \udcff": 2**70,
    }
    accept(to, record(1), record(2, name=Text("odd"), attributes=odd), record(3))
    to.accept_metrics([point(1), point(Fraction(0.5), attributes={"k": Text("a")})])
    assert to.close(5)

    first, second, third, one, other = lines(path)
    assert (first["name"], second["name"], third["name"]) == ("span 1", "odd", "span 3")
    assert second["attributes"] == {
        "part": 0.5,
        "whole": 3,
        "text": "a",
        "list": [0.5, "b"],
        "map": {"deep": 4},
        "bad \ufffd": 2**70,
    }
    assert (one["value"], other["value"], other["attributes"]) == (1, 0.5, {"k": "a"})
    assert to.ledger.snapshot().outcomes == {"span": {"delivered": 3}, "metric": {"delivered": 2}}


def test_what_cannot_be_written_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "GUARD", Guard(reraise=False))
    to = destination(path := tmp_path / "told.jsonl")
    hopeless: Any = {"k": Hopeless()}
    accept(to, record(1), record(2, attributes=hopeless), record(3))
    assert to.close(5)

    assert [line["name"] for line in lines(path)] == ["span 1", "span 3"]
    snapshot = to.ledger.snapshot()
    assert snapshot.outcomes == {"span": {"failed": 1, "delivered": 2}}
    assert snapshot.reasons == {"failed: ValueError": 1}
    assert to.status().last_error == "ValueError: this has no text"


def test_a_full_disk_leaves_no_half_line_and_counts_what_is_not_there(tmp_path: Path) -> None:
    done = run_program(
        """
        import resource, signal, spanbridge
        from opentelemetry import trace

        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        spanbridge.configure(destinations="file")
        tracer = trace.get_tracer("x")
        tracer.start_span("first").end()
        spanbridge.flush()
        limit(3000)
        for _ in range(20):
            tracer.start_span("too much").end()
        spanbridge.flush()
        limit(resource.RLIM_INFINITY)
        tracer.start_span("last").end()
        spanbridge.shutdown()
        tell_status()
        """,
        cwd=str(tmp_path),
    )

    assert done.exit_code == 0, done.stderr
    names = [line["name"] for line in lines(tmp_path / "telemetry.jsonl")]
    outcomes = done.status.destinations["file"].ledger.outcomes["span"]
    assert (names[0], names[-1]) == ("first", "last")
    assert outcomes["delivered"] == len(names)
    assert outcomes["delivered"] + outcomes["failed"] == 22


def test_a_pipe_is_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        to = destination(path)
        accept(to, record(1))
        assert to.close(5)
        assert json.loads(os.read(reading, 10_000))["name"] == "span 1"
    finally:
        os.close(reading)
