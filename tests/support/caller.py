"""A service that calls: what its headers bring, and the span of its that ours are linked to."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanContext, TraceFlags, TraceState

TRACE_ID: Final = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID: Final = "b7ad6b7169203331"


def remote_span(vendor: str) -> SpanContext:
    """The calling span, with what a vendor wrote into the tracestate."""
    state = TraceState([("vendor", vendor)])
    return SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), True, TraceFlags(1), state)


def sentry_headers(transaction: str, *baggage: str) -> dict[str, str]:
    """Headers of a caller with Sentry's SDK.

    Args:
        transaction: Its name as it is written in the header.
        baggage: Further members.
    """
    members = (
        f"sentry-trace_id={TRACE_ID}",
        "sentry-public_key=abc",
        "sentry-sample_rate=0.5",
        "sentry-sampled=true",
        f"sentry-transaction={transaction}",
        *baggage,
    )
    return {"sentry-trace": f"{TRACE_ID}-{SPAN_ID}-1", "baggage": ",".join(members)}
