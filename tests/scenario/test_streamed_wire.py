"""The wire of streamed spans, from the SDK to the server."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from spanbridge.destinations.sentry_traces import STREAM_INTERVAL_S
from spanbridge.model.plain_json import encode_json
from spanbridge.process.intake import Intake
from spanbridge.sentry.wire_container import LogItem
from spanbridge.testing import Receiver
from tests.support.arrived import spans_that_arrived
from tests.support.bridged import Bridged, bridged
from tests.support.program import clean_environment, wait_until


@contextmanager
def streaming(receiver: Receiver, **options: object) -> Iterator[Bridged]:
    sentry = {"dsn": receiver.dsn, "wire": "spans", **options}
    with bridged(destinations={"sentry": sentry}, service_name="shop") as under_test:
        yield under_test


def streamed(receiver: Receiver) -> list[dict[str, Any]]:
    """Every span that arrived, with the plain values of its attributes."""
    return [
        {**span, "attributes": plain(span)}
        for item in receiver.items("span")
        for span in item.payload["items"]
    ]


def plain(one: dict[str, Any]) -> dict[str, Any]:
    return {key: typed["value"] for key, typed in one.get("attributes", {}).items()}


def logs(receiver: Receiver) -> list[dict[str, Any]]:
    return [
        {**log, "attributes": plain(log)}
        for item in receiver.items("log")
        for log in item.payload["items"]
    ]


def test_a_request_is_one_container_under_one_sampling_context(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span(
            "GET", kind=SpanKind.SERVER, attributes={"http.request.method": "GET"}
        ) as server:
            with under_test.tracer.start_as_current_span("work"):
                pass
            server.set_attribute("http.route", "/things/{id}")
        under_test.flush()

    [item] = receiver.items("span")
    server_span, work = streamed(receiver)
    assert item.envelope_header["trace"]["transaction"] == "GET /things/{id}"
    assert item.envelope_header["trace"]["trace_id"] == work["trace_id"]
    assert (server_span["is_segment"], work["is_segment"]) == (True, False)
    assert work["parent_span_id"] == server_span["span_id"]
    assert work["attributes"]["sentry.segment.id"] == server_span["span_id"]
    assert work["attributes"]["sentry.segment.name"] == "GET /things/{id}"
    assert work["attributes"]["sentry.release"] == "1.0"
    assert work["attributes"]["sentry.environment"] == "development"
    assert work["attributes"]["service.name"] == "shop"
    assert receiver.transactions == []
    assert receiver.violations == []
    assert under_test.ledger("sentry").outcomes == {"span": {"delivered": 2}}


def test_a_run_is_seen_while_it_goes_on_and_told_of_once(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span("nightly") as run:
            for step in range(3):
                with under_test.tracer.start_as_current_span(f"step {step}"):
                    pass
                under_test.flush()
                assert len(streamed(receiver)) == step + 1
            assert run.is_recording()
        under_test.flush()

    *steps, root = streamed(receiver)
    assert root["is_segment"]
    assert {step["attributes"]["sentry.segment.id"] for step in steps} == {root["span_id"]}
    assert {step["attributes"]["sentry.segment.name"] for step in steps} == {"nightly"}
    [started] = logs(receiver)
    assert started["body"] == "nightly started"
    assert (started["trace_id"], started["span_id"]) == (root["trace_id"], root["span_id"])
    assert receiver.violations == []


def test_all_parts_of_a_trace_go_under_the_same_sampling_context(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span("first name") as run:
            with under_test.tracer.start_as_current_span("step"):
                pass
            under_test.flush()
            run.update_name("second name")
        under_test.flush()

    contexts = [item.envelope_header["trace"] for item in receiver.items("span")]
    assert len(contexts) == 2
    assert contexts[0] == contexts[1]
    assert receiver.violations == []


def test_a_child_that_outlives_its_root_is_of_the_same_segment(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span("request"):
            late = under_test.tracer.start_span("background")
        under_test.flush()
        late.end()
        under_test.flush()

    root, background = streamed(receiver)
    assert background["parent_span_id"] == root["span_id"]
    assert background["attributes"]["sentry.segment.id"] == root["span_id"]
    assert background["attributes"]["sentry.segment.name"] == "request"
    assert not background["is_segment"]
    assert receiver.violations == []


def test_work_that_begins_after_its_request_was_sent_is_sent_at_once_and_knows_it(
    receiver: Receiver,
) -> None:
    for wire in ("spans", "transactions"):
        with streaming(receiver, wire=wire) as under_test:
            with under_test.tracer.start_as_current_span(
                "request", attributes={"gen_ai.conversation.id": "c1"}
            ) as request:
                around = set_span_in_context(request)
            under_test.flush()
            with under_test.tracer.start_as_current_span("afterwards", context=around):
                pass
            # No flush: it has to leave by itself, within the time of a round.
            receiver.wait_for(partial(has_arrived, wire=wire, name="afterwards"))

    _, afterwards = streamed(receiver)
    assert afterwards["attributes"]["sentry.segment.name"] == "request"
    assert afterwards["attributes"]["gen_ai.conversation.id"] == "c1"
    follow_up = receiver.transactions[-1].payload["contexts"]["trace"]
    assert follow_up["data"]["gen_ai.conversation.id"] == "c1"
    assert receiver.violations == []


def test_where_the_root_does_not_go_those_below_it_are_segments(receiver: Receiver) -> None:
    rules = [{"on": "span", "match": {"span": "GET *"}, "drop": True}]
    sentry = {"dsn": receiver.dsn, "wire": "spans"}
    with bridged(destinations={"sentry": sentry}, rules=rules) as under_test:
        start = under_test.tracer.start_as_current_span
        with start("GET /"):
            with start("first"):
                with start("GET /stock"), start("query"):
                    pass
                late = under_test.tracer.start_span("late")
            with start("second"):
                pass
        under_test.flush()
        late.end()
        under_test.flush()

    spans = {span["name"]: span for span in streamed(receiver)}
    assert {name: span["is_segment"] for name, span in spans.items()} == {
        "first": True,
        "query": False,
        "second": True,
        "late": False,
    }
    ids = {name: span["span_id"] for name, span in spans.items()}
    segments = {name: span["attributes"]["sentry.segment.id"] for name, span in spans.items()}
    assert segments == {**dict.fromkeys(ids, ids["first"]), "second": ids["second"]}
    assert spans["late"]["attributes"]["sentry.segment.name"] == "first"
    assert spans["query"]["parent_span_id"] == spans["late"]["parent_span_id"] == ids["first"]
    assert receiver.violations == []


def has_arrived(receiver: Receiver, wire: str, name: str) -> bool:
    return any(span.name == name for span in spans_that_arrived(receiver, wire))


def test_children_of_a_root_that_is_lost_arrive(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        root = under_test.tracer.start_span("lost")
        under_test.tracer.start_span("found", set_span_in_context(root)).end()
        del root
        under_test.flush()

    [found] = streamed(receiver)
    assert found["name"] == "found"
    assert under_test.ledger("sentry").outcomes["span"] == {"delivered": 1, "never_ended": 1}


def test_five_thousand_spans_and_a_huge_attribute_all_arrive(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span("run"):
            for number in range(5_000):
                with under_test.tracer.start_as_current_span(f"step {number % 7}") as step:
                    if number == 2_500:
                        step.set_attribute("note", "x" * 3_000_000)
        under_test.flush(30)

    spans = streamed(receiver)
    assert len({span["span_id"] for span in spans}) == len(spans) == 5_001
    assert len({span["trace_id"] for span in spans}) == 1
    [cut] = [span for span in spans if "_meta" in span]
    assert cut["_meta"]["attributes"]["note"]["value"][""]["len"] == 3_000_000
    assert 500_000 < len(cut["attributes"]["note"]) < 3_000_000
    assert receiver.violations == []


def test_events_that_are_no_exceptions_are_logs_on_both_wires(receiver: Receiver) -> None:
    for wire in ("spans", "transactions"):
        with streaming(receiver, wire=wire) as under_test:
            with under_test.tracer.start_as_current_span(wire) as span:
                span.add_event("policy.decision", {"outcome": "deny", "rule": "r7"})
                span.record_exception(ValueError("kept on the span"))
            under_test.flush()
        assert under_test.ledger("sentry").outcomes["log"] == {"delivered": 1}

    first, second = logs(receiver)
    for log in (first, second):
        assert log["body"] == "policy.decision"
        assert (log["attributes"]["outcome"], log["attributes"]["rule"]) == ("deny", "r7")
    [root] = streamed(receiver)
    assert (first["trace_id"], first["span_id"]) == (root["trace_id"], root["span_id"])
    assert "policy.decision" not in root["attributes"]["otel.events"]
    assert "kept on the span" in root["attributes"]["otel.events"]
    [transaction] = receiver.transactions
    trace = transaction.payload["contexts"]["trace"]
    assert (second["trace_id"], second["span_id"]) == (trace["trace_id"], trace["span_id"])
    assert receiver.violations == []


def test_events_may_stay_with_their_span_for_servers_without_logs(receiver: Receiver) -> None:
    with streaming(receiver, wire="transactions", span_events="attributes") as under_test:
        with under_test.tracer.start_as_current_span("run") as span:
            span.add_event("policy.decision", {"outcome": "deny"})
        under_test.flush()

    [transaction] = receiver.transactions
    [event] = transaction.payload["contexts"]["trace"]["data"]["otel.events"]
    assert (event["name"], event["attributes"]) == ("policy.decision", {"outcome": "deny"})
    assert logs(receiver) == []


def test_a_burst_below_one_root_is_of_one_segment_with_the_roots_name(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.pipeline.BATCH", 50)
    with streaming(receiver) as under_test:
        intake = under_test.bridge.processor.intake
        under_test.bridge.processor.intake = held = Intake(100_000)
        with under_test.tracer.start_as_current_span("run"):
            for number in range(3_000):
                with under_test.tracer.start_as_current_span(f"step {number}"):
                    pass
        # The root ended long before the worker comes to see the first of its children.
        under_test.bridge.processor.intake = intake
        assert intake is not None
        held.bequeath(intake)
        under_test.flush(30)

    spans = streamed(receiver)
    assert len(spans) == 3_001
    assert {span["attributes"]["sentry.segment.name"] for span in spans} == {"run"}
    contexts = {item.envelope_header["trace"]["transaction"] for item in receiver.items("span")}
    assert contexts == {"run"}
    assert receiver.violations == []


def test_a_root_that_cannot_be_read_costs_nothing_but_itself(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.runtime.guard.GUARD._reraise", False)
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span("run") as run:
            run.update_name(cast("str", 123))
            with under_test.tracer.start_as_current_span("child"):
                pass
            under_test.flush()

    assert [span["name"] for span in streamed(receiver)] == ["child"]
    assert under_test.ledger("sentry").outcomes["span"] == {"delivered": 1, "withheld": 1}


def test_a_failing_span_says_so_and_its_error_knows_it(receiver: Receiver) -> None:
    with streaming(receiver) as under_test:
        try:
            with under_test.tracer.start_as_current_span("run"):
                raise ValueError("no")
        except ValueError:
            pass
        with under_test.tracer.start_as_current_span("by hand") as by_hand:
            by_hand.set_status(Status(StatusCode.ERROR, "quorum lost"))
        under_test.flush()

    failed, by_hand_span = streamed(receiver)
    [issue] = receiver.issues
    trace = issue.payload["contexts"]["trace"]
    assert (trace["trace_id"], trace["span_id"]) == (failed["trace_id"], failed["span_id"])
    assert failed["attributes"]["sentry.event_id"] == issue.payload["event_id"]
    assert [failed["status"], by_hand_span["status"]] == ["error", "error"]
    assert by_hand_span["attributes"]["sentry.status.message"] == "quorum lost"
    assert receiver.violations == []


def test_a_limit_on_logs_leaves_the_spans_alone(receiver: Receiver) -> None:
    limit = {"X-Sentry-Rate-Limits": "60:log_item:organization"}
    receiver.fault("headers", headers=limit, times=None)
    with streaming(receiver) as under_test:
        for number in range(2):
            with under_test.tracer.start_as_current_span(f"run {number}") as span:
                span.add_event("noted")
            under_test.flush()

    assert len(streamed(receiver)) == 2
    outcomes = under_test.ledger("sentry").outcomes
    assert outcomes["span"] == {"delivered": 2}
    assert outcomes["log"]["rate_limited"] >= 1
    assert sum(outcomes["log"].values()) == 2


def test_a_log_that_cannot_be_encoded_takes_no_other_with_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(log: LogItem) -> bytes:
        if log.body == "broken":
            raise OverflowError("too large")
        return encode_json(log)

    monkeypatch.setattr("spanbridge.runtime.guard.GUARD._reraise", False)
    monkeypatch.setattr("spanbridge.destinations.sentry_logs.encode_json", encode)
    with streaming(receiver) as under_test:
        with under_test.tracer.start_as_current_span("run") as run:
            for name in ("first", "broken", "last"):
                run.add_event(name)
        under_test.flush()

    [logs] = receiver.items("log")
    assert [log["body"] for log in logs.payload["items"]] == ["first", "last"]
    assert len(streamed(receiver)) == 1
    ledger = under_test.ledger("sentry")
    assert ledger.outcomes["log"] == {"delivered": 2, "failed": 1}
    assert ledger.reasons == {"failed: conversion: OverflowError": 1}


PROGRAM = textwrap.dedent("""
    import time
    import spanbridge
    from opentelemetry import trace

    spanbridge.configure()
    tracer = trace.get_tracer("app")
    with tracer.start_as_current_span("nightly run"):
        for step in range(20):
            with tracer.start_as_current_span("step", attributes={"number": step}):
                pass
        print("waiting", flush=True)
        time.sleep(60)
""")


def test_what_ended_before_a_kill_has_arrived_and_the_run_can_be_found(receiver: Receiver) -> None:
    variables = clean_environment(SENTRY_DSN=receiver.dsn, SPANBRIDGE_SENTRY_WIRE="spans")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=variables, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        wait_until(lambda: streamed(receiver) and logs(receiver), 2 * STREAM_INTERVAL_S + 10)
        program.send_signal(signal.SIGKILL)

    spans = streamed(receiver)
    assert sorted(span["attributes"]["number"] for span in spans) == list(range(20))
    [started] = logs(receiver)
    assert started["body"] == "nightly run started"
    assert started["span_id"] == spans[0]["parent_span_id"]
    assert receiver.violations == []
