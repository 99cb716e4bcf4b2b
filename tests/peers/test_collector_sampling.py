"""Which traces a gateway keeps, and what is said of them, over real sockets."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from time import time_ns

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanbridge.testing import Receiver
from tests.peers.collector import running_tier, sentry_variables, tiers
from tests.peers.otlp_requests import send
from tests.support.program import run_program, wait_until

ARRIVAL_S = 30.0
KEPT, LEFT_OUT = "ffffffffffffff", "00000000000000"
"""Ends of trace ids of which every share keeps the one and leaves out the other."""


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def span(name: str, trace_id: str = "", state: str = "", *, failed: bool = False) -> Span:
    now = time_ns()
    return Span(
        trace_id=bytes.fromhex(trace_id or secrets.token_hex(9) + LEFT_OUT),
        span_id=secrets.token_bytes(8),
        name=name,
        trace_state=state,
        start_time_unix_nano=now - 1_000_000,
        end_time_unix_nano=now,
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
    )


def of(*spans: Span) -> ExportTraceServiceRequest:
    """The request of a program without spanbridge."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request


# Traces of callers with Sentry alone: their ids are drawn apart from the numbers they are told by.
CONTINUED = """
import random, spanbridge
from opentelemetry import propagate, trace
spanbridge.configure()
tracer = trace.get_tracer("shop")
drawn = random.Random(4)
for _ in range(200):
    trace_id = f"{drawn.getrandbits(128):032x}"
    caller = {
        "sentry-trace": f"{trace_id}-b7ad6b7169203331",
        "baggage": f"sentry-trace_id={trace_id},sentry-sample_rand={drawn.random():.6f}",
    }
    with tracer.start_as_current_span("order", context=propagate.extract(caller)):
        with tracer.start_as_current_span("pay"):
            pass
spanbridge.shutdown(timeout_s=30)
"""


def test_of_traces_that_come_from_sentry_a_gateway_keeps_what_the_library_keeps(
    tmp_path: Path, sentry: Receiver
) -> None:
    kept_here = tmp_path / "kept.jsonl"
    wait = {"COLLECTOR_DECISION_WAIT": "1s", "COLLECTOR_SAMPLE_PERCENTAGE": "50"}
    with tiers(tmp_path, [sentry], environment="staging", variables=wait) as (agent, [gateway]):
        run_program(
            CONTINUED,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent.http}",
            SPANBRIDGE_DESTINATIONS="otlp,file",
            SPANBRIDGE_FILE_PATH=str(kept_here),
            SPANBRIDGE_FILE_SAMPLE_RATE="0.5",
        )
        decided = "otelcol_processor_tail_sampling_global_count_traces_sampled"
        wait_until(lambda: gateway.own_metric(decided) == 200, ARRIVAL_S)
        kept = int(gateway.own_metric(decided, sampled="true"))
        sentry.wait_for(lambda one: len(one.spans) == 2 * kept, ARRIVAL_S)
        spans = sentry.spans

    lines = map(json.loads, kept_here.read_text().splitlines())
    own = {line["trace_id"] for line in lines if line["type"] == "span"}
    assert 70 < len(own) < 130
    assert {one.trace_id for one in spans} == own


# The same failure is on the span, which did not fail itself, and in a log, which makes it an issue.
HANDLED = """
import logging, spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("shop")
for number in range(5):
    with tracer.start_as_current_span("order"):
        with tracer.start_as_current_span("pay") as pay:
            try:
                raise ValueError(f"no money for {number}")
            except ValueError as error:
                pay.record_exception(error)
                logging.getLogger("shop").exception("payment failed")
    with tracer.start_as_current_span("ordinary"):
        pass
spanbridge.shutdown(timeout_s=30)
"""


def test_a_trace_with_an_issue_is_kept_though_no_span_failed(
    tmp_path: Path, sentry: Receiver
) -> None:
    wait = {"COLLECTOR_DECISION_WAIT": "1s", "COLLECTOR_SAMPLE_PERCENTAGE": "0"}
    named = span("named")
    named.attributes.add(key="sentry.event_id").value.string_value = secrets.token_hex(16)
    with (
        Receiver() as traces,
        tiers(tmp_path, [traces], environment="staging", variables=wait) as (agent, [gateway]),
    ):
        send(agent, of(named, span("unnamed")))
        run_program(
            HANDLED,
            SENTRY_DSN=sentry.dsn,
            SPANBRIDGE_SENTRY_MODE="errors",
            SPANBRIDGE_DESTINATIONS="sentry,otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent.http}",
        )
        decided = "otelcol_processor_tail_sampling_global_count_traces_sampled"
        wait_until(lambda: gateway.own_metric(decided) == 12, ARRIVAL_S)
        traces.wait_for(lambda one: len(one.spans) >= 11, ARRIVAL_S)
        spans = traces.spans

    assert sorted(one.name for one in spans) == ["named", *["order"] * 5, *["pay"] * 5]
    issues = {
        (context["trace_id"], context["span_id"])
        for context in (issue.payload["contexts"]["trace"] for issue in sentry.issues)
    }
    assert len(issues) == 5
    assert issues == {(one.trace_id, one.span_id) for one in spans if one.name == "pay"}


def test_what_comes_after_the_decision_claims_no_weight_of_its_own(
    tmp_path: Path, sentry: Receiver
) -> None:
    ordinary, vendor, rand = (f"{number:018x}{KEPT}" for number in (1, 2, 3))
    failed = f"{4:018x}{LEFT_OUT}"
    told = {
        ordinary: "",
        failed: "",
        vendor: "vendor=x",
        rand: f"ot=rv:{KEPT}",
    }
    variables = {
        **sentry_variables(sentry),
        "COLLECTOR_DECISION_WAIT": "1s",
        "COLLECTOR_SAMPLE_PERCENTAGE": "10",
    }
    over_http = (
        "yaml:receivers::otlp::protocols::http::endpoint: 127.0.0.1:${env:COLLECTOR_HTTP_PORT}"
    )
    with running_tier("gateway", "staging", tmp_path, over_http, **variables) as gateway:
        early = [span("early", one, state, failed=one == failed) for one, state in told.items()]
        send(gateway, of(*early))
        sentry.wait_for(lambda one: len(one.spans) == 4, ARRIVAL_S)
        send(gateway, of(*[span("late", one, state) for one, state in told.items()]))
        sentry.wait_for(lambda one: len(one.spans) == 8, ARRIVAL_S)
        spans = sentry.spans

    said = {(one.name, one.trace_id): one.trace_state for one in spans}
    tenth = "th:e6666666666666"
    assert said == {
        ("early", ordinary): f"ot={tenth}",
        ("early", failed): "ot=th:0",
        ("early", vendor): f"ot={tenth},vendor=x",
        ("early", rand): f"ot=rv:{KEPT};{tenth}",
        # Nobody says any more what its trace stands for, so neither does a late span.
        **{("late", one): state for one, state in told.items()},
    }
