"""Sentry gets the errors, another destination the traces, under the same ids."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spanbridge.receiver import Receiver
from spanbridge.settings import SentryOptions, load
from tests.support.bridged import Bridged, bridged


def work(under_test: Bridged, requests: int, failing: set[int]) -> list[dict[str, str]]:
    """Requests, some of which fail; the headers each would send on."""
    sent = []
    for number in range(requests):
        carrier: dict[str, str] = {}
        try:
            with under_test.tracer.start_as_current_span(f"GET /{number % 5}") as span:
                span.add_event("noted")
                under_test.bridge.propagator.inject(carrier)
                with under_test.tracer.start_as_current_span("step"):
                    if number in failing:
                        raise LookupError(f"request {number}")
        except LookupError:
            pass
        sent.append(carrier)
    return sent


def test_sentry_gets_errors_alone_and_they_point_to_the_traces_elsewhere(
    receiver: Receiver,
) -> None:
    destinations: dict[str, Any] = {
        "sentry": {"dsn": receiver.dsn, "mode": "errors"},
        "otlp": {"endpoint": receiver.otlp_endpoint + "/v1/traces"},
    }
    with bridged(destinations=destinations) as under_test:
        headers = work(under_test, 100, {10, 20, 30})
        under_test.flush()
        receiver.wait_for(lambda r: len(r.spans) == 200, 30)

    assert [item.kind for item in receiver.items()] == ["event"] * 3
    spans = {span.span_id: span for span in receiver.spans}
    for issue in receiver.issues:
        trace = issue.payload["contexts"]["trace"]
        span = spans[trace["span_id"]]
        assert (trace["trace_id"], trace["sampled"]) == (span.trace_id, True)
        assert span.attributes["sentry.event_id"] == issue.payload["event_id"]
    assert under_test.ledger("sentry").outcomes == {
        "span": {"filtered": 200},
        "error": {"delivered": 3, "merged": 3},
    }
    assert under_test.ledger("sentry").reasons["filtered: errors only"] == 200
    assert under_test.ledger("otlp").outcomes == {"span": {"delivered": 200}}
    for carrier in headers:
        assert carrier["sentry-trace"].count("-") == 1  # the next service decides
        assert "sentry-sampled" not in carrier["baggage"]
        assert "sentry-sample_rate" not in carrier["baggage"]
    assert receiver.violations == []


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.25])
def test_the_next_service_keeps_the_same_traces_and_tells_their_weight(
    receiver: Receiver, tmp_path: Path, rate: float
) -> None:
    some = {"kind": "file", "path": str(tmp_path / "some.jsonl"), "sample_rate": 0.5}
    front: dict[str, Any] = {"sentry": {"dsn": receiver.dsn, "mode": "errors"}, "some": some}
    back: dict[str, Any] = {"sentry": {"dsn": receiver.dsn, "sample_rate": rate}}
    with bridged(destinations=front) as first, bridged(destinations=back) as second:
        for one in (first, second):
            one.bridge.propagator.beside = TraceContextTextMapPropagator()
        for carrier in work(first, 60, set()):
            caller = second.bridge.propagator.extract(carrier)
            second.tracer.start_span("ship", caller).end()
        first.flush()
        second.flush()

    told = min(rate, 0.5)
    arrived = [item.envelope_header["trace"] for item in receiver.transactions]
    assert {dsc["trace_id"] for dsc in arrived} == {
        record["trace_id"]
        for record in map(json.loads, (tmp_path / "some.jsonl").read_text().splitlines())
        if int(record["trace_id"][-14:], 16) >= (1 - told) * 2**56
    }
    assert {(dsc["sample_rate"], dsc["sampled"]) for dsc in arrived} == {(f"{told}", "true")}
    assert all(float(dsc["sample_rand"]) < told for dsc in arrived)


def test_without_any_traces_w3c_forbids_nothing_to_the_next_service(receiver: Receiver) -> None:
    with bridged(destinations={"sentry": {"dsn": receiver.dsn, "mode": "errors"}}) as under_test:
        with under_test.tracer.start_as_current_span("GET /") as span:
            assert span.get_span_context().trace_flags.sampled
        work(under_test, 3, {1})
        under_test.flush()

    assert [item.kind for item in receiver.items()] == ["event"]
    assert under_test.ledger("sentry").is_closed


def test_the_mode_is_a_setting_like_any_other() -> None:
    variables = {"SENTRY_DSN": "http://key@127.0.0.1/1", "SPANBRIDGE_SENTRY_MODE": "errors"}
    settings = load({}, variables)

    assert [o.mode for o in settings.destinations if isinstance(o, SentryOptions)] == ["errors"]
    assert settings.source_of("destinations.sentry.mode") == "SPANBRIDGE_SENTRY_MODE"


def test_a_span_that_failed_waits_for_the_id_of_its_issue(tmp_path: Path) -> None:
    """Also where the worker looks between the failure and the end of the request."""
    path = tmp_path / "told.jsonl"
    with bridged(destinations={"file": {"path": str(path)}}) as under_test:
        tracer = under_test.tracer
        for number in range(3):
            with pytest.raises(LookupError), tracer.start_as_current_span("GET /"):
                try:
                    with tracer.start_as_current_span("step"):
                        raise LookupError(f"request {number}")
                finally:
                    time.sleep(0.3)  # the worker's round is over meanwhile
        under_test.flush()

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    ids = {line["event_id"] for line in lines if line["type"] == "issue"}
    steps = [line for line in lines if line.get("name") == "step"]
    assert len(ids) == len(steps) == 3
    assert {step["attributes"].get("sentry.event_id") for step in steps} == ids


def test_a_failed_span_does_not_wait_beyond_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    with bridged(destinations={"file": {"path": str(path)}}) as under_test:
        tracer = under_test.tracer
        with tracer.start_as_current_span("long run"):
            for number in range(3):
                step = tracer.start_span(f"step {number}")
                step.record_exception(ValueError("x"))
                step.end()
            under_test.flush()
            names = [json.loads(line).get("name") for line in path.read_text().splitlines()]
            assert [name for name in names if name] == ["step 0", "step 1", "step 2"]
        under_test.flush()
        assert under_test.ledger("file").is_closed
