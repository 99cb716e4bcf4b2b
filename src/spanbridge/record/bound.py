"""What was bound where a span started, put on its record once more.

The span carries it from its start. By its end an instrumentation may have set another value, or so
many attributes that the first ones had to go; an ended span cannot be changed, its record can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.record.span import read_span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.model.span import SpanRecord
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.runtime.bound import Bound


def take_bound(span: ReadableSpan, local: LocalTrace) -> Bound | None:
    """What was bound at the start of a span that ended; it is asked for once."""
    context = span.get_span_context()
    return local.bound.pop(context.span_id, None) if context is not None else None


def read_open_span(span: ReadableSpan, local: LocalTrace) -> SpanRecord:
    """A copy of what a span says that may still be open."""
    record = read_span(span)
    if local.bound and (bound := local.bound.get(int(record.span_id, 16))) is not None:
        bound.put_into(record.attributes)
    return record
