"""Spans that ended before the processor was there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from spanbridge.process.handed_over import hand_over
from spanbridge.process.intake import Intake
from spanbridge.process.local_trace import LocalTraces
from spanbridge.process.sampling import SamplingPolicy
from spanbridge.process.span_processor import BridgeProcessor


def context(span_id: int, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(7, span_id, is_remote=is_remote, trace_flags=TraceFlags(1))


def span(span_id: int, parent: SpanContext | None) -> ReadableSpan:
    return ReadableSpan(name=str(span_id), context=context(span_id), parent=parent)


def handed(spans: list[ReadableSpan]) -> list[tuple[int, int]]:
    """The span id and the local root's id of what is queued, in order."""
    processor = BridgeProcessor(LocalTraces())
    processor.policy = SamplingPolicy({"sentry": 1.0})
    processor.intake = intake = Intake(1000)
    hand_over(processor, spans)
    found = []
    for item in intake.take(1000):
        ended, local, seen = item  # type: ignore[misc]
        assert seen is None
        assert local.keepers == {"sentry"}
        found.append((int(ended.name), local.root_id))
    return found


def test_children_come_before_the_root_they_belong_to() -> None:
    spans = [
        span(1, context(9, is_remote=True)),
        span(2, context(1)),
        span(3, context(2)),
        span(4, context(8)),  # its parent is not there
    ]

    assert handed(spans) == [(2, 1), (3, 1), (1, 1), (4, 4)]


def test_what_the_caller_told_is_known_of_a_root_that_comes_late() -> None:
    state = TraceState([("ot", "th:8")])
    caller = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    own = SpanContext(7, 1, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    processor = BridgeProcessor(LocalTraces())
    processor.policy = SamplingPolicy({"sentry": 1.0})
    processor.intake = intake = Intake(10)

    hand_over(processor, [ReadableSpan(name="1", context=own, parent=caller)])

    [(_, local, _)] = intake.take(10)  # type: ignore[misc]
    assert local.trace_state == state
    assert local.before == 1 << 55


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 9)))
def test_every_span_comes_once_whatever_refers_to_what(parents: dict[int, int]) -> None:
    spans = [span(span_id, context(parent)) for span_id, parent in parents.items()]

    assert sorted(span_id for span_id, _ in handed(spans)) == sorted(parents)
