"""What an OTLP span says about how many it stands for: the threshold in its tracestate.

Source: OpenTelemetry, "TraceState: Probability Sampling".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.trace import TraceState

from spanbridge.process.tracestate import threshold, threshold_of, with_threshold

if TYPE_CHECKING:
    from spanbridge.model.span import SpanRecord
    from spanbridge.process.local_trace import LocalTrace


def with_own_threshold(
    span: SpanRecord, local: LocalTrace, destination: str, sample_rate: float
) -> SpanRecord:
    """The span with the threshold by which it got to this destination.

    Its own tracestate tells of the flag, which is set if any destination keeps the trace. Where a
    caller decided at a rate it did not tell, nobody knows how many a span stands for.

    Args:
        span: As it is sent otherwise.
        local: Its local trace.
        destination: The destination's name.
        sample_rate: Its rate, where no rule gave the trace another.
    """
    is_called = local.trace_state is not None
    if destination in local.kept_by_rule:
        return _told(span, 0)  # every trace like it is kept, so each counts once
    rate = local.rates.get(destination, sample_rate)
    if rate == 1 and not span.trace_state:
        return span
    said = _threshold(span.trace_state)
    if is_called and said is None:
        return span
    own = threshold_of(rate)
    return _told(span, own if said is None else max(own, said)) if own or said else span


def _told(span: SpanRecord, own: int) -> SpanRecord:
    return msgspec.structs.replace(span, trace_state=_with(span.trace_state, own))


# All spans of a trace carry the same, and those of most traces too.
@lru_cache(maxsize=1024)
def _threshold(header: str) -> int | None:
    return threshold(TraceState.from_header([header])) if header else None


@lru_cache(maxsize=1024)
def _with(header: str, own: int) -> str:
    state = TraceState.from_header([header]) if header else TraceState()
    return with_threshold(state, own).to_header()
