"""Start and end of a span as Relay accepts them."""

from __future__ import annotations

from typing import Final

from spanbridge.model.span import Attributes, SpanRecord

MAX_NS: Final = 253_402_300_799 * 10**9
"""The last second of the year 9999; Relay refuses the transaction beyond, and before 1970."""

_NS_PER_S: Final = 1_000_000_000


def times_of(span: SpanRecord, data: Attributes) -> tuple[float, float]:
    """Start and end in seconds, start never after end.

    A span that Relay would refuse (one such span costs the whole transaction) is moved into
    range: an end before the start, after the clock was set back, becomes the start. What the span
    said is then kept in ``data``.
    """
    start_ns, end_ns = span.start_ns, span.end_ns
    if not 0 <= start_ns <= end_ns <= MAX_NS:
        data["otel.start_time_unix_nano"] = start_ns
        data["otel.end_time_unix_nano"] = end_ns
        start_ns = min(max(start_ns, 0), MAX_NS)
        end_ns = min(max(end_ns, start_ns), MAX_NS)
    # Division of integers rounds once, to the nearest float, so the order survives.
    return start_ns / _NS_PER_S, end_ns / _NS_PER_S
