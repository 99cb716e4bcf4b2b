"""Spans that ended before our processor was on their provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from spanbridge.process.span_processor import decided_by_another, local_trace_of
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.process.span_processor import BridgeProcessor

Key: TypeAlias = tuple[int, int]
"""A trace id and a span id."""


def hand_over(processor: BridgeProcessor, spans: Sequence[ReadableSpan]) -> None:
    """Queue finished spans as if the processor had seen them.

    Each belongs to the local trace of the topmost span above it that is there too. What cannot be
    known afterwards is missing: exceptions are there as the text that spans recorded.
    """
    try:
        for trace in _local_traces(spans):
            _put(processor, trace)
    except Exception as error:
        GUARD.caught("process.hand_over", error)


def _local_traces(spans: Sequence[ReadableSpan]) -> list[list[ReadableSpan]]:
    """The spans by local trace, each with its root at the end."""
    by_id = {(c.trace_id, c.span_id): span for span in spans if (c := span.get_span_context())}
    traces: dict[Key, list[ReadableSpan]] = {}
    for key, span in by_id.items():
        traces.setdefault(_root(key, by_id), []).append(span)
    for root, members in traces.items():
        members.sort(key=lambda span: span is by_id[root])
    return list(traces.values())


def _root(key: Key, by_id: dict[Key, ReadableSpan]) -> Key:
    """The topmost span above one; where parents go round in circles, the least of them."""
    passed = {key: None}
    while (parent := by_id[key].parent) is not None and not parent.is_remote:
        key = (parent.trace_id, parent.span_id)
        if key in passed:
            return min(_circle(key, by_id))
        if key not in by_id:
            break
        passed[key] = None
    return next(reversed(passed))


def _circle(key: Key, by_id: dict[Key, ReadableSpan]) -> set[Key]:
    found: set[Key] = set()
    while key not in found:
        found.add(key)
        parent = by_id[key].parent
        assert parent is not None
        key = (parent.trace_id, parent.span_id)
    return found


def _put(processor: BridgeProcessor, spans: list[ReadableSpan]) -> None:
    root = spans[-1]
    context = root.get_span_context()
    policy, intake = processor.policy, processor.intake
    if context is None or policy is None or intake is None:
        return
    decided = decided_by_another(policy, root, None)
    local = local_trace_of(root, context, decided, None)
    for span in spans:
        intake.put((span, local, None), span is root)
