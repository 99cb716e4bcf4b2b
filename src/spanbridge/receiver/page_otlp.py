"""Traces that came by OTLP, as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence

from spanbridge.receiver.page_html import pairs, span, text, titled, when
from spanbridge.receiver.page_tree import ShownSpan, milliseconds, tree
from spanbridge.receiver.records import StoredSpan

_NS_PER_S = 1e9


def spans_by_trace(spans: Sequence[StoredSpan]) -> list[tuple[str, list[StoredSpan]]]:
    """The spans by trace, the trace that got a span last first."""
    traces: dict[str, list[StoredSpan]] = {}
    for one in spans:
        # Taken out and put back, so that the order is that of the last span.
        traces[one.trace_id] = [*traces.pop(one.trace_id, []), one]
    return list(reversed(traces.items()))


def otlp_trace(trace_id: str, spans: Sequence[StoredSpan]) -> tuple[str, str, str]:
    """A trace: its moment, its line and its body, as HTML."""
    known = {one.span_id for one in spans}
    root = next((one for one in spans if one.parent_span_id not in known), spans[0])
    errors = sum(one.status == "error" for one in spans)
    duration_s = (max(s.end_ns for s in spans) - min(s.start_ns for s in spans)) / _NS_PER_S
    service = root.resource.attributes.get("service.name")
    line = (
        f"<strong>{text(root.name)}</strong> {span('quiet', text(service))} "
        f"{milliseconds(duration_s)}, {len(spans)} {'span' if len(spans) == 1 else 'spans'} "
        f"{span('bad', f'{errors} with status error' if errors else '')}"
    )
    body = (
        f"{tree([_shown(one) for one in spans])}<p>trace <code>{text(trace_id)}</code></p>"
        f"{titled('resource', pairs(root.resource.attributes))}"
    )
    return when(root.end_ns / _NS_PER_S), line, body


def _shown(one: StoredSpan) -> ShownSpan:
    message = f"<p class='bad'>{text(one.status_message)}</p>" if one.status_message else ""
    events = "".join(
        f"<h4>event {text(event.name)} at {(event.time_ns - one.start_ns) / 1e6:.1f} ms</h4>"
        f"{pairs(event.attributes)}"
        for event in one.events
    )
    return ShownSpan(
        span_id=one.span_id,
        parent_span_id=one.parent_span_id,
        kind=one.kind,
        name=one.name,
        start_s=one.start_ns / _NS_PER_S,
        end_s=one.end_ns / _NS_PER_S,
        status=one.status,
        attributes=one.attributes,
        further=message + events,
    )
