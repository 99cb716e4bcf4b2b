"""Application → agent → gateways → receiver, over real sockets with the real Collector."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from spanbridge.testing import Receiver
from tests.peers.collector import Collector, running_tier, sentry_variables, tiers, total
from tests.peers.otlp_requests import send, spans
from tests.support.program import run_program, wait_until

ARRIVAL_S = 30.0

SHOP = """
import sys, spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("shop")
for number in range(int(sys.argv[1])):
    with tracer.start_as_current_span("order", attributes={"order.number": number}):
        for step in ("reserve", "pay"):
            with tracer.start_as_current_span(step):
                pass
spanbridge.shutdown(timeout_s=30)
tell_status()
"""

# What the gateways promise to keep, among much that is ordinary. The file takes a tenth by itself.
MARKET = """
import time, spanbridge
from opentelemetry import metrics, trace
spanbridge.configure()
tracer = trace.get_tracer("market")
metrics.get_meter("market").create_counter("orders").add(7)
for number in range(600):
    with tracer.start_as_current_span("ordinary"):
        with tracer.start_as_current_span("part"):
            pass
for number in range(5):
    with tracer.start_as_current_span("failed"):
        with tracer.start_as_current_span("part") as part:
            part.set_status(trace.StatusCode.ERROR)
    tracer.start_span("slow", start_time=time.time_ns() - 6_000_000_000).end()
    with tracer.start_as_current_span("violation"):
        with tracer.start_as_current_span("part") as part:
            part.add_event("governance.violation", {"governance.violation.severity": "low"})
    with tracer.start_as_current_span("security") as span:
        span.add_event(
            "governance.security_event", {"governance.security_event.severity": "high"}
        )
    with tracer.start_as_current_span("quorum") as span:
        span.set_attribute("multi_agent.consensus.achieved", False)
    with tracer.start_as_current_span("wanted") as span:
        span.set_attribute("spanbridge.keep", True)
spanbridge.shutdown(timeout_s=30)
tell_status()
"""
PROMISED = ("failed", "slow", "violation", "security", "quorum", "wanted")


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    """One for each gateway, so that what came through which can be told."""
    with ExitStack() as stack:
        yield [stack.enter_context(Receiver()) for _ in range(3)]


def arrived(receivers: Sequence[Receiver]) -> int:
    return sum(receiver.counts.get("otlp_span", 0) for receiver in receivers)


def otlp_to(agent: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{agent.http}",
        "OTEL_SERVICE_NAME": "shop",
        "SPANBRIDGE_DESTINATIONS": "otlp",
    }


def test_every_span_arrives_once_and_every_trace_through_one_gateway(
    tmp_path: Path, receivers: list[Receiver]
) -> None:
    with tiers(tmp_path, receivers) as (agent, _gateways):
        shop = run_program(SHOP, "700", **otlp_to(agent))
        assert shop.status.destinations["otlp"].ledger.outcomes["span"] == {"delivered": 2100}
        wait_until(lambda: arrived(receivers) >= 2100, ARRIVAL_S)

    spans = [span for receiver in receivers for span in receiver.spans]
    assert len(spans) == 2100
    assert len({(span.trace_id, span.span_id) for span in spans}) == 2100
    traces = [{span.trace_id for span in receiver.spans} for receiver in receivers]
    assert sum(map(len, traces)) == len(set().union(*traces)) == 700
    assert min(map(len, traces)) > 100
    assert Counter(Counter(span.trace_id for span in spans).values()) == {3: 700}
    assert [receiver.violations for receiver in receivers] == [[], [], []]


@pytest.mark.parametrize(
    ("told", "host"), [("", platform.node()), ("node-1", "node-1")], ids=["system", "variable"]
)
def test_the_agent_tells_the_host_of_what_does_not_say_its_own(
    told: str, host: str, tmp_path: Path
) -> None:
    with (
        Receiver() as receiver,
        running_tier(
            "gateway", "development", tmp_path / "gateway", **sentry_variables(receiver)
        ) as gateway,
        running_tier(
            "agent", "development", tmp_path / "agent",
            COLLECTOR_GATEWAYS=f"[127.0.0.1:{gateway.grpc}]", COLLECTOR_HOST_NAME=told,
            OTEL_RESOURCE_ATTRIBUTES="service.name=shell,service.version=9,broken",
        ) as agent,
    ):  # fmt: skip
        send(agent, spans(1))
        receiver.wait_for(lambda one: one.spans, ARRIVAL_S)
        send(agent, spans(1, resource={"host.name": "elsewhere"}))
        receiver.wait_for(lambda one: len(one.spans) == 2, ARRIVAL_S)
        resources = [span.resource.attributes for span in receiver.spans]

    assert [
        (one["host.name"], one["os.type"], one["service.name"], one.get("service.version"))
        for one in resources
    ] == [(host, "linux", "shop", None), ("elsewhere", "linux", "shop", None)]


def test_gateways_keep_what_they_promise_and_of_the_rest_what_the_library_keeps(
    tmp_path: Path, receivers: list[Receiver]
) -> None:
    kept_here = tmp_path / "kept.jsonl"
    with tiers(
        tmp_path,
        receivers,
        "yaml:connectors::span_metrics::metrics_flush_interval: 200ms",
        environment="staging",
        variables={"COLLECTOR_DECISION_WAIT": "2s", "COLLECTOR_SAMPLE_PERCENTAGE": "10"},
    ) as (agent, gateways):
        market = run_program(
            MARKET,
            **otlp_to(agent)
            | {
                "SPANBRIDGE_DESTINATIONS": "otlp,file",
                "SPANBRIDGE_FILE_PATH": str(kept_here),
                "SPANBRIDGE_FILE_SAMPLE_RATE": "0.1",
            },
        )
        assert market.status.destinations["otlp"].ledger.outcomes["span"] == {"delivered": 1240}

        def decided(**how: str) -> float:
            name = "otelcol_processor_tail_sampling_global_count_traces_sampled"
            return sum(gateway.own_metric(name, **how) for gateway in gateways)

        wait_until(lambda: decided() == 630, ARRIVAL_S)
        own = {
            line["trace_id"]
            for line in map(json.loads, kept_here.read_text().splitlines())
            if line["type"] == "span" and line["name"] == "ordinary"
        }
        assert 30 < len(own) < 100
        assert decided(sampled="true") == len(own) + 30
        wait_until(lambda: arrived(receivers) == 2 * len(own) + 40, ARRIVAL_S)
        spans = [span for receiver in receivers for span in receiver.spans]

        names = Counter(span.name for span in spans if span.parent_span_id is None)
        assert {name: names[name] for name in PROMISED} == dict.fromkeys(PROMISED, 5)
        assert {span.trace_id for span in spans if span.name == "ordinary"} == own
        # Each says how many it stands for: ten, or only itself.
        assert {span.trace_state for span in spans if span.trace_id in own} == {
            "ot=th:e6666666666666"
        }
        assert {span.trace_state for span in spans if span.name in PROMISED} == {"ot=th:0"}

        # Metrics are of all spans, and all that Prometheus reads fits together.
        def told(name: str, **labels: str) -> float:
            return sum(total(gateway.page(), name, **labels) for gateway in gateways)

        calls = "traces_span_metrics_calls_total"
        wait_until(lambda: told(calls) == 1240, ARRIVAL_S)
        assert told(calls, span_name="ordinary") == 600
        assert told("orders_total") == 7
        assert sum(one.own_metric("otelcol_receiver_accepted_spans") for one in gateways) == 1240
