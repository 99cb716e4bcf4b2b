"""Traces and logs as the page shows them, whatever the wire they came on."""

from __future__ import annotations

from collections.abc import Collection

from spanbridge.receiver.page_html import (
    at,
    details,
    number,
    pairs,
    span,
    status,
    text,
    titled,
    trace_anchor,
    when,
)
from spanbridge.receiver.page_issue import issue_title
from spanbridge.receiver.page_tree import ShownSpan, milliseconds, tree
from spanbridge.receiver.records import Json, SentLink, StoredItem, StoredLog
from spanbridge.receiver.traces import Trace, TraceSpan

_LONGEST_FACTS = 160
_BAD_LEVELS = frozenset({"error", "fatal"})


def trace_line(trace: Trace) -> str:
    """A trace in one line of HTML."""
    root = trace.spans[0]
    project = [] if trace.project_id is None else [f"project {text(trace.project_id)}"]
    facts = [*project, _counted(len(trace.spans), "span")]
    if len(trace.segments) > 1:
        facts.append(f"{len(trace.segments)} segments")
    if trace.logs:
        facts.append(_counted(len(trace.logs), "log"))
    streamed = ", streamed" if "spans" in trace.wires else ""
    breaches = span("bad", f"{trace.violations} violations") if trace.violations else ""
    return (
        f"<strong>{text(root.name)}</strong> {span('op', text(root.op))} "
        f"{milliseconds(_duration_s(trace))} {status(root.status)} "
        f"{span('quiet', ', '.join(facts) + streamed)} {breaches}"
    )


def trace_moment(trace: Trace) -> str:
    """When its first span ended."""
    return when(trace.spans[0].end_s)


def trace_body(trace: Trace, anchors: Collection[str]) -> str:
    """All of the trace as HTML.

    Args:
        trace: The trace.
        anchors: The anchors of the traces that stand on the page.
    """
    rows = [
        *(_span_row(one, trace, anchors) for one in trace.spans),
        *(_log_row(log, index) for index, log in enumerate(trace.logs)),
        *(_issue_row(item) for item in trace.issues),
    ]
    return f"{tree(rows)}<p>trace <code>{text(trace.trace_id)}</code></p>"


def log_line(log: StoredLog, anchors: Collection[str]) -> str:
    """A log outside of its trace, as HTML that opens on a click."""
    anchor = trace_anchor(log.trace_id, log.project_id)
    link = f" <a href='#{anchor}'>see its trace</a>" if anchor in anchors else ""
    ids = f"trace <code>{text(log.trace_id)}</code> span <code>{text(log.span_id)}</code>"
    line = f"{span(_mark(log), text(log.level))} {text(log.body)} {span('quiet', _facts(log))}"
    breaches = f" {span('bad', f'{len(log.violations)} violations')}" if log.violations else ""
    return details(
        f"<span class='time'>{when(log.timestamp_s)}</span>{line}{breaches}",
        f"<div><p>{ids}{link}</p>{titled('attributes', pairs(log.attributes))}</div>",
        css_class="item",
    )


def measured(measurements: Json) -> str:
    """Measurements with their units, as a list."""
    if not isinstance(measurements, dict):
        return ""
    return pairs({name: _measured(one) for name, one in measurements.items()})


def _span_row(one: TraceSpan, trace: Trace, anchors: Collection[str]) -> ShownSpan:
    links = (_link(link, trace.project_id, anchors) for link in one.links)
    return ShownSpan(
        span_id=one.span_id,
        parent_span_id=one.parent_span_id,
        kind=one.op,
        name=one.name,
        start_s=one.start_s,
        end_s=one.end_s,
        status=one.status,
        attributes=one.attributes,
        further="".join(
            [
                titled("tags", pairs(one.tags)),
                titled("measurements", measured(one.measurements)),
                titled("links", "".join(links)),
                f"<p class='quiet'>span <code>{text(one.span_id)}</code></p>",
            ]
        ),
    )


def _log_row(log: StoredLog, index: int) -> ShownSpan:
    return ShownSpan(
        span_id=f"log {index}",  # no span has such an id
        parent_span_id=log.span_id,
        kind=log.level,
        name=log.body,
        note=_facts(log),
        start_s=log.timestamp_s,
        end_s=None,
        status=None,
        attributes=log.attributes,
        is_moment=True,
        mark=_mark(log),
    )


def _issue_row(item: StoredItem) -> ShownSpan:
    payload = item.payload
    return ShownSpan(
        span_id=f"issue {item.id}",
        parent_span_id=str(at(payload, "contexts", "trace", "span_id")),
        kind="issue",
        name=issue_title(payload),
        start_s=number(payload.get("timestamp")),
        end_s=None,
        status=None,
        further=f"<p><a href='#issue-{item.id}'>see the issue</a></p>",
        is_moment=True,
        mark="bad",
    )


def _link(link: SentLink, project_id: str | None, anchors: Collection[str]) -> str:
    anchor = trace_anchor(link.trace_id, project_id)
    trace = f"<code>{text(link.trace_id)}</code>"
    place = f"<a href='#{anchor}'>{trace}</a>" if anchor in anchors else trace
    ids = f"<p>trace {place} span <code>{text(link.span_id)}</code></p>"
    return f"{ids}{pairs(link.attributes)}"


def _mark(log: StoredLog) -> str:
    return "bad" if log.level in _BAD_LEVELS else "quiet"


def _facts(log: StoredLog) -> str:
    """What it says beside its text, on a line; all of it is among the attributes."""
    facts = ", ".join(f"{name} {value}" for name, value in log.own_attributes.items())
    return text(facts if len(facts) <= _LONGEST_FACTS else f"{facts[:_LONGEST_FACTS]}…")


def _duration_s(trace: Trace) -> float | None:
    starts = [one.start_s for one in trace.spans if one.start_s is not None]
    ends = [one.end_s for one in trace.spans if one.end_s is not None]
    return max(ends) - min(starts) if starts and ends else None


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _measured(measurement: Json) -> str:
    value, unit = at(measurement, "value"), at(measurement, "unit")
    amount = number(value)
    shown = f"{value if amount is None else f'{amount:g}'}"
    return shown if unit in (None, "", "none") else f"{shown} {unit}"
