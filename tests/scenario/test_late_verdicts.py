"""Rules that keep a trace because of what ends after its local root: whole or not at all."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from spanbridge.lane import TOO_LATE
from spanbridge.receiver import Receiver
from spanbridge.settings import load
from tests.support.bridged import Bridged, bridged
from tests.support.files import Files, files

RULES: list[dict[str, object]] = [{"on": "span", "match": {"status": "error"}, "keep": True}]
SHORT_S = 0.3
"""The longest wait for what is open, where a test waits for its end."""


def request_with_work_left(under_test: Bridged) -> Span:
    """A request that has been answered, and what it began in the background."""
    tracer = under_test.tracer
    with tracer.start_as_current_span("POST /jobs"):
        tracer.start_span("validate").end()
        return tracer.start_span("in the background")


def fail(span: Span) -> None:
    span.set_status(Status(StatusCode.ERROR))
    span.end()


def until_decided(of: Files, name: str) -> None:
    """Wait until the trace that waits for something open has waited long enough."""
    of.under_test.flush()
    deadline = time.monotonic() + 30
    while of.under_test.bridge.statuses()[name].queued:
        assert time.monotonic() < deadline
        time.sleep(SHORT_S / 3)
        of.under_test.flush()


def test_a_trace_waits_for_what_is_open_when_its_root_ends(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=RULES, issues="none") as of:
        failing, calm = (request_with_work_left(of.under_test) for _ in range(2))
        of.under_test.flush()
        assert of.raw("few") == ""
        assert of.under_test.bridge.statuses()["few"].queued == 4
        fail(failing)
        calm.end()
        of.under_test.flush()

        assert of.tree("few") == {
            "POST /jobs": None,
            "validate": "POST /jobs",
            "in the background": "POST /jobs",
        }
        assert of.outcomes("few") == {"delivered": 3, "sampled_out": 3}
        assert of.under_test.ledger("few").reasons == {"sampled_out: rate": 3}


@pytest.mark.parametrize("wire", ["transactions", "spans"])
def test_all_spans_of_a_trace_have_one_weight(receiver: Receiver, wire: str) -> None:
    destinations = {
        "sentry": {"dsn": receiver.dsn, "sample_rate": 0.5, "wire": wire},
        "otlp": {"endpoint": f"{receiver.otlp_endpoint}/v1/traces", "sample_rate": 0.5},
    }
    with bridged(destinations=destinations, rules=RULES, issues="none") as under_test:
        for span in [request_with_work_left(under_test) for _ in range(40)]:
            under_test.flush()
            fail(span)
        under_test.flush()

    items = receiver.transactions if wire == "transactions" else receiver.items("span")
    heads = [item.envelope_header["trace"] for item in items]
    assert len({head["trace_id"] for head in heads}) == 40
    assert {head["sample_rate"] for head in heads} == {"1"}
    assert len(receiver.spans) == 120
    assert {span.trace_state for span in receiver.spans} == {"ot=th:0"}
    assert receiver.violations == []


def test_the_wait_is_bounded_and_what_comes_later_follows_the_verdict(receiver: Receiver) -> None:
    sentry = {"dsn": receiver.dsn, "sample_rate": 0.5}
    settings: dict[str, Any] = {"rules": RULES, "issues": "none", "max_hold_s": SHORT_S}
    with bridged(destinations={"sentry": sentry}, **settings) as under_test:
        of = Files(under_test, Path())
        open_spans = [request_with_work_left(under_test) for _ in range(40)]
        until_decided(of, "sentry")
        kept = len(receiver.transactions)
        for span in open_spans:
            fail(under_test.tracer.start_span("started late", set_span_in_context(span)))
            fail(span)
        under_test.flush()
        ledger = under_test.ledger("sentry")

    assert 5 <= kept <= 35
    by_trace: dict[str, list[str]] = defaultdict(list)
    for item in receiver.transactions:
        head = item.envelope_header["trace"]
        assert head["sample_rate"] == "0.5"
        by_trace[head["trace_id"]].append(item.payload["transaction"])
    assert len(by_trace) == kept
    assert all("POST /jobs" in names for names in by_trace.values())
    assert ledger.is_closed
    assert ledger.outcomes["span"] == {"delivered": 4 * kept, "sampled_out": 4 * (40 - kept)}
    assert ledger.reasons == {
        "sampled_out: rate": 2 * (40 - kept),
        f"sampled_out: {TOO_LATE}": 2 * (40 - kept),
    }


def test_what_starts_after_the_verdict_follows_it(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=RULES, issues="none") as of:
        with of.under_test.tracer.start_as_current_span("POST /jobs") as root:
            pass
        of.under_test.flush()
        fail(of.under_test.tracer.start_span("started late", set_span_in_context(root)))
        of.under_test.flush()

        assert of.raw("few") == ""
        assert of.outcomes("few") == {"sampled_out": 2}
        assert of.under_test.ledger("few").reasons == {
            "sampled_out: rate": 1,
            f"sampled_out: {TOO_LATE}": 1,
        }


def test_a_trace_that_every_rule_would_count_the_same_does_not_wait(tmp_path: Path) -> None:
    with files(tmp_path, {"all": {"sample_rate": 1.0}}, rules=RULES, issues="none") as of:
        span = request_with_work_left(of.under_test)
        of.under_test.flush()
        assert of.tree("all") == {"POST /jobs": None, "validate": "POST /jobs"}
        fail(span)
        of.under_test.flush()

        assert of.outcomes("all") == {"delivered": 3}


def test_nobody_waits_for_a_span_that_will_never_end(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=RULES, issues="none") as of:
        span = request_with_work_left(of.under_test)
        of.under_test.flush()
        assert of.under_test.bridge.statuses()["few"].queued == 2
        del span
        gc.collect()
        of.under_test.flush()

        assert of.outcomes("few") == {"sampled_out": 2}


def test_a_log_record_of_what_is_open_keeps_the_trace(tmp_path: Path) -> None:
    rules = [{"on": "log", "match": {"severity": ">= warn"}, "keep": True}]
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=rules) as of:
        span = request_with_work_left(of.under_test)
        of.under_test.flush()
        with of.under_test.chained(), trace.use_span(span):
            logging.getLogger("shop").warning("stock is low")
        of.under_test.flush()
        assert of.tree("few") == {"POST /jobs": None, "validate": "POST /jobs"}
        span.end()
        of.under_test.flush()

        assert of.outcomes("few") == {"delivered": 3}


def test_the_end_of_the_program_decides(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=RULES, issues="none") as of:
        span = request_with_work_left(of.under_test)
        of.under_test.bridge.close(5.0)

        assert of.raw("few") == ""
        assert of.outcomes("few") == {"sampled_out": 2}
        span.end()


def test_other_settings_follow_the_verdict_of_those_before(tmp_path: Path) -> None:
    with files(tmp_path, {"few": {"sample_rate": 0.0}}, rules=RULES, issues="none") as of:
        span = request_with_work_left(of.under_test)
        few = {"kind": "file", "path": str(tmp_path / "few.jsonl"), "sample_rate": 0.0}
        changed = {"environment": "tests", "destinations": {"few": few}, "rules": RULES}
        of.under_test.bridge.exchange(load({**changed, "issues": "none"}, {}))
        fail(span)
        of.under_test.bridge.close(5.0)

        assert of.raw("few") == ""
        assert of.under_test.ledger("few").reasons == {f"sampled_out: {TOO_LATE}": 1}


def test_the_room_for_traces_that_wait_is_bounded(tmp_path: Path) -> None:
    few = {"sample_rate": 0.0, "queue_max_items": 100}
    with files(tmp_path, {"few": few}, rules=RULES, issues="none") as of:
        open_spans = []
        for _ in range(20):  # so few at a time that the intake has room for them
            open_spans += [request_with_work_left(of.under_test) for _ in range(10)]
            of.under_test.flush()
        assert of.under_test.bridge.statuses()["few"].queued == 100
        for span in open_spans:
            fail(span)
            of.under_test.flush()

        assert of.outcomes("few") == {"delivered": 150, "sampled_out": 450}
        assert of.under_test.ledger("few").reasons == {
            "sampled_out: rate": 300,
            f"sampled_out: {TOO_LATE}": 150,
        }
        whole: dict[str, list[str]] = defaultdict(list)
        for line in of.lines("few"):
            whole[line["trace_id"]].append(line["name"])
        assert {json.dumps(sorted(names)) for names in whole.values()} == {
            json.dumps(["POST /jobs", "in the background", "validate"])
        }
