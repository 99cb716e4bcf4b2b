"""What an OTLP span says about how many it stands for: the threshold in its tracestate.

Source: OpenTelemetry, "TraceState: Probability Sampling".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.trace import TraceState

from spanbridge.process.randomness import number_to_tell
from spanbridge.process.tracestate import threshold, threshold_of, with_random_value, with_threshold

if TYPE_CHECKING:
    from spanbridge.model.span import SpanRecord
    from spanbridge.process.local_trace import LocalTrace


def with_own_threshold(
    span: SpanRecord, local: LocalTrace, destination: str, sample_rate: float
) -> SpanRecord:
    """The span with the threshold by which it got to this destination, and the trace's number.

    Its own tracestate tells of the flag, which is set if any destination keeps the trace. Where a
    caller, or somebody else's sampler, decided at a rate it did not tell, nobody knows how many a
    span stands for. The number is told wherever it is not the one in the trace's id, so that a
    Collector that samples compares the same.

    Args:
        span: As it is sent otherwise.
        local: Its local trace.
        destination: The destination's name.
        sample_rate: Its rate, where no rule gave the trace another.
    """
    own = _own_threshold(span, local, destination, sample_rate)
    number = None
    if local.upstream is not None:
        number = number_to_tell(local.trace_id, local.trace_state, local.upstream)
    if own is None and number is None:
        return span
    told = _with(span.trace_state, own, number)
    return span if told == span.trace_state else msgspec.structs.replace(span, trace_state=told)


def _own_threshold(
    span: SpanRecord, local: LocalTrace, destination: str, sample_rate: float
) -> int | None:
    """What is to be told; ``None`` leaves what the span says of it."""
    if local.before is None:
        return None
    if destination in local.kept_by_rule:
        return 0  # every trace like it is kept, so each counts once
    said = _threshold(span.trace_state) or 0
    own = threshold_of(local.rates.get(destination, sample_rate))
    lasting = max(own, local.before, said)
    return None if lasting == said else lasting


# All spans of a trace carry the same, and those of most traces too.
@lru_cache(maxsize=1024)
def _threshold(header: str) -> int | None:
    return threshold(TraceState.from_header([header])) if header else None


@lru_cache(maxsize=1024)
def _with(header: str, own: int | None, number: int | None) -> str:
    state = TraceState.from_header([header]) if header else TraceState()
    if own is not None:
        state = with_threshold(state, own)
    return (state if number is None else with_random_value(state, number)).to_header()
