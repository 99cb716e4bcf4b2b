"""What an OTLP span says about how many it stands for: the threshold in its tracestate.

Source: OpenTelemetry, "TraceState: Probability Sampling".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.trace import TraceState

from spanbridge.process.sampling import number_to_tell
from spanbridge.process.tracestate import threshold, threshold_of, with_threshold

if TYPE_CHECKING:
    from spanbridge.model.span import SpanRecord
    from spanbridge.process.local_trace import LocalTrace


def with_own_threshold(
    span: SpanRecord, local: LocalTrace, destination: str, sample_rate: float
) -> SpanRecord:
    """The span with the threshold by which it got to this destination.

    Its own tracestate tells of the flag, which is set if any destination keeps the trace. Where a
    caller, or somebody else's sampler, decided at a rate it did not tell, nobody knows how many a
    span stands for.

    Args:
        span: As it is sent otherwise.
        local: Its local trace.
        destination: The destination's name.
        sample_rate: Its rate, where no rule gave the trace another.
    """
    if local.before is None:
        return span
    if destination in local.kept_by_rule:
        return _told(span, 0)  # every trace like it is kept, so each counts once
    said = _threshold(span.trace_state) or 0
    own = threshold_of(local.rates.get(destination, sample_rate))
    if (lasting := max(own, local.before, said)) == said:
        return span
    number = number_to_tell(local.trace_id, local.trace_state, local.upstream)
    return _told(span, lasting, number)


def _told(span: SpanRecord, own: int, number: int | None = None) -> SpanRecord:
    return msgspec.structs.replace(span, trace_state=_with(span.trace_state, own, number))


# All spans of a trace carry the same, and those of most traces too.
@lru_cache(maxsize=1024)
def _threshold(header: str) -> int | None:
    return threshold(TraceState.from_header([header])) if header else None


@lru_cache(maxsize=1024)
def _with(header: str, own: int, number: int | None) -> str:
    state = TraceState.from_header([header]) if header else TraceState()
    return with_threshold(state, own, number).to_header()
