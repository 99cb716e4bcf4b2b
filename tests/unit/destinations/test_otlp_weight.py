"""How many a span stands for at an OTLP destination, by what decided on its trace."""

from __future__ import annotations

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanbridge.destinations.otlp_weight import with_own_threshold
from spanbridge.process.intake import Intake
from spanbridge.process.local_trace import LocalTraces
from spanbridge.process.sampling import DelegatingSampler, SamplingPolicy
from spanbridge.process.span_processor import BridgeProcessor
from spanbridge.process.upstream import Upstream, with_upstream
from spanbridge.record.span import read_span

HIGH = (1 << 100) | ((1 << 56) - 1)
"""The id of a trace that every rate keeps by its bits."""
LOW = 1 << 100
"""… that every rate leaves out."""


class HighIds(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        return HIGH


def told(rates: dict[str, float], context: Context, sampler: Sampler | None = None) -> str:
    """The tracestate that a new local root has at the destination ``otlp``."""
    policy = SamplingPolicy(rates, sentry=["sentry"])
    own = DelegatingSampler()
    own.policy = policy
    traces = LocalTraces()
    processor = BridgeProcessor(traces)
    processor.policy, processor.intake = policy, Intake(10)
    provider = TracerProvider(sampler or own, id_generator=HighIds(), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    span = provider.get_tracer("tests").start_span("work", context)
    local = traces.find(span.get_span_context())
    assert local is not None
    assert "otlp" in local.keepers
    record = read_span(span)  # type: ignore[arg-type]
    return with_own_threshold(record, local, "otlp", rates["otlp"]).trace_state


def called(state: str = "", upstream: Upstream | None = None) -> Context:
    """The context of a request whose caller let the trace pass."""
    trace_id = upstream.trace_id if upstream is not None else HIGH
    members = TraceState.from_header([state]) if state else None
    parent = SpanContext(trace_id, 1, True, TraceFlags(TraceFlags.SAMPLED), members)
    context = set_span_in_context(NonRecordingSpan(parent), Context())
    return context if upstream is None else with_upstream(context, upstream)


@pytest.mark.parametrize(
    ("context", "expected"),
    [(Context(), ""), (called(), ""), (called("ot=th:8"), "ot=th:c")],
    ids=["root", "called", "called at a rate that is told"],
)
@pytest.mark.parametrize("rates", [{"otlp": 0.25}, {"otlp": 0.25, "console": 1.0}])
def test_behind_somebody_elses_sampler_only_what_that_tells_is_known(
    rates: dict[str, float], context: Context, expected: str
) -> None:
    assert told(rates, context, ALWAYS_ON) == expected


@pytest.mark.parametrize("rates", [{"otlp": 0.5, "sentry": 0.1}, {"otlp": 0.5, "console": 1.0}])
@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        (Upstream(True, {}, HIGH), "ot=th:8"),
        (Upstream(False, {}, HIGH), "ot=th:8"),
        # By the bits of its id the trace would have been left out, so its number is told.
        (Upstream(True, {"sample_rand": "0.25"}, LOW), "ot=th:8;rv:bfffffffffffff"),
        (Upstream(None, {"sample_rand": "0.25"}, LOW), "ot=th:8;rv:bfffffffffffff"),
    ],
)
def test_a_decision_of_sentrys_says_nothing_about_the_others(
    rates: dict[str, float], upstream: Upstream, expected: str
) -> None:
    assert told(rates, called(upstream=upstream)) == expected


RV = "rv:bfffffffffffff"


@pytest.mark.parametrize("sampler", [None, ALWAYS_ON], ids=["ours", "somebody else's"])
@pytest.mark.parametrize("decision", [None, True, False])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", f"ot={RV}"),
        ("vendor=x", f"ot={RV},vendor=x"),
        ("ot=rv:00000000000001", "ot=rv:00000000000001"),  # it is there
    ],
)
def test_a_number_that_is_not_in_the_id_is_told_at_every_rate(
    state: str, expected: str, decision: bool | None, sampler: Sampler | None
) -> None:
    context = called(state, Upstream(decision, {"sample_rand": "0.25"}, LOW))

    assert told({"otlp": 1.0, "sentry": 0.1}, context, sampler) == expected


def test_where_a_caller_sampled_by_the_id_no_other_number_is_told() -> None:
    context = called("ot=th:8", Upstream(None, {"sample_rand": "0.25"}, HIGH))

    assert told({"otlp": 1.0}, context) == "ot=th:8"


def test_the_rate_of_w3cs_caller_counts_also_where_sentrys_is_unknown() -> None:
    context = called("ot=th:c", Upstream(True, {}, HIGH))

    assert told({"otlp": 0.5, "sentry": 0.1}, context) == "ot=th:c"
