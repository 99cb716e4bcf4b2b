"""Local traces whose beginning or end nobody saw."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from spanbridge.process.intake import Intake
from spanbridge.process.local_trace import LocalTraces
from spanbridge.process.sampling import SamplingPolicy
from spanbridge.process.span_processor import BridgeProcessor

STATE = TraceState([("ot", "th:8")])
CALLER = SpanContext((1 << 56) - 1, 9, True, TraceFlags(TraceFlags.SAMPLED), STATE)


def called() -> Context:
    return set_span_in_context(NonRecordingSpan(CALLER), Context())


def attached(traces: LocalTraces) -> tuple[BridgeProcessor, TracerProvider]:
    processor = BridgeProcessor(traces)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return processor, provider


def test_a_span_from_before_is_kept_by_what_the_rules_give_it_and_its_caller_told() -> None:
    processor, provider = attached(LocalTraces())
    span = provider.get_tracer("tests").start_span("order", called(), attributes={"vip": True})
    processor.policy = SamplingPolicy(
        {"some": 0.0},
        rates_of=lambda name, _, attributes: (
            {"some": 0.25} if name == "order" and attributes["vip"] else {}
        ),
    )
    processor.intake = intake = Intake(10)
    span.end()

    [(_, local, _)] = intake.take(10)  # type: ignore[misc]
    assert local.keepers == {"some"}
    assert local.rates == {"some": 0.25}
    assert local.trace_state == STATE
    assert local.before == 1 << 55


def test_a_root_that_ends_when_nothing_is_configured_any_more_is_forgotten() -> None:
    traces = LocalTraces()
    processor, provider = attached(traces)
    processor.policy, processor.intake = SamplingPolicy({"some": 1.0}), Intake(10)
    root = provider.get_tracer("tests").start_span("order", Context())
    processor.policy = processor.intake = None
    root.end()

    trace_id = root.get_span_context().trace_id
    assert traces.find(SpanContext(trace_id, 12345, is_remote=False)) is None


def test_what_ended_is_known_until_the_worker_takes_it() -> None:
    traces = LocalTraces()
    processor, provider = attached(traces)
    processor.policy, processor.intake = SamplingPolicy({"some": 1.0}), Intake(2)
    tracer = provider.get_tracer("tests")
    root = tracer.start_span("order", Context())
    context = set_span_in_context(root, Context())
    early, late, refused = (tracer.start_span("step", context) for _ in range(3))
    local = traces.find(root.get_span_context())
    assert local is not None
    early.end()
    root.end()
    assert list(local.arriving) == [early.get_span_context().span_id]
    assert (local.may_go_on, local.is_root_to_come) == (True, True)

    processor.intake = Intake(1)
    late.end()
    refused.end()

    assert local.open == {}
    taken = [early.get_span_context().span_id, late.get_span_context().span_id]
    assert list(local.arriving) == taken
    assert (local.may_go_on, local.is_root_to_come) == (True, True)
    for span_id in (*taken, local.root_id):
        local.arrived(span_id)
    assert (local.may_go_on, local.is_root_to_come) == (False, False)
