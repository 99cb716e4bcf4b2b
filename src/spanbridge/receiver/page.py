"""One plain HTML page of what was received: no script, nothing from elsewhere, all escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spanbridge.receiver.page_html import (
    at,
    details,
    number,
    objects,
    pairs,
    span,
    status,
    text,
    titled,
    when,
)
from spanbridge.receiver.page_issue import issue_body, issue_line
from spanbridge.receiver.page_style import STYLE
from spanbridge.receiver.page_tree import ShownSpan, milliseconds, tree
from spanbridge.receiver.records import JsonObject, StoredItem, StoredSpan, StoredViolation

REFRESH_S = 5
_NS_PER_S = 1e9
_ENDPOINTS = (
    ("/api/issues", "what Sentry would make issues of"),
    ("/api/transactions", "transactions"),
    ("/api/spans", "OTLP spans"),
    ("/api/items?kind=client_report", "envelope items of one kind, or without a kind of any"),
    ("/api/violations", "where something broke the protocol"),
    ("/api/counts", "how many of what, and requests by path"),
)


def render_page(
    *,
    issues: Sequence[StoredItem],
    transactions: Sequence[StoredItem],
    spans: Sequence[StoredSpan],
    violations: Sequence[StoredViolation],
    counts: Mapping[str, int],
    is_static: bool = False,
) -> str:
    """The page.

    Args:
        issues: Items of kind ``event``, oldest first.
        transactions: Items of kind ``transaction``, oldest first.
        spans: OTLP spans, oldest first.
        violations: Broken rules, oldest first.
        counts: How many of each kind were received, shown here or not.
        is_static: Whether it stays as it is, instead of loading itself anew every few seconds.
    """
    anchors = {
        str(at(item.payload, "contexts", "trace", "trace_id")): f"transaction-{item.id}"
        for item in transactions
    }
    sections = [
        _section(
            "Issues",
            [_issue(item, anchors, is_open=item is issues[-1]) for item in reversed(issues)],
            _left_out(len(issues), counts.get("event", 0), "/api/issues"),
        ),
        _section(
            "Transactions",
            [_transaction(item) for item in reversed(transactions)],
            _left_out(len(transactions), counts.get("transaction", 0), "/api/transactions"),
        ),
        _section(
            "OTLP traces",
            [_otlp_trace(trace_id, group) for trace_id, group in _by_trace(spans)],
            _left_out(len(spans), counts.get("otlp_span", 0), "/api/spans"),
        ),
        _section(
            "Violations",
            [_violation(one) for one in reversed(violations)],
            _left_out(len(violations), counts.get("violations", 0), "/api/violations"),
        ),
    ]
    refresh = "" if is_static else f"<meta http-equiv='refresh' content='{REFRESH_S}'>"
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'>{refresh}"
        f"<title>spanbridge receiver</title><style>{STYLE}</style></head><body>"
        f"<h1>spanbridge receiver</h1>{_head(counts, is_static=is_static)}"
        f"{''.join(sections)}{_foot()}</body></html>"
    )


def _head(counts: Mapping[str, int], *, is_static: bool) -> str:
    shown = ", ".join(f"{text(name)} {count}" for name, count in sorted(counts.items()) if count)
    refreshing = (
        "This page stands still. <a href='/'>Keep it up to date</a>"
        if is_static
        else f"Loads anew every {REFRESH_S} seconds, which closes what you opened. "
        "<a href='/?static'>Hold it still</a>"
    )
    return f"<p>{shown or 'nothing received yet'}</p><p class='quiet'>{refreshing}</p>"


def _foot() -> str:
    rows = "".join(
        f"<dt><a href='{path}'>{path}</a></dt><dd>{what}</dd>" for path, what in _ENDPOINTS
    )
    return (
        f"<h2>As JSON</h2><dl>{rows}</dl><p class='quiet'>Each list takes <code>limit</code>; "
        "<code>POST /api/reset</code> forgets everything.</p>"
    )


def _section(title: str, entries: Sequence[str], note: str) -> str:
    return f"<h2>{title}</h2>{note}{''.join(entries) or span('quiet', 'none')}"


def _left_out(shown: int, total: int, path: str) -> str:
    if total <= shown:
        return ""
    return f"<p class='quiet'>the newest {shown} of {total}; more at <code>{path}</code></p>"


def _entry(anchor: str, moment: str, line: str, body: str, *, is_open: bool = False) -> str:
    # The anchor stands inside, as browsers open a part that a link leads into.
    link = f"<p><a id='{anchor}' href='/?static#{anchor}'>link to this</a></p>"
    summary = f"<span class='time'>{moment}</span>{line}"
    return details(summary, f"<div>{body}{link}</div>", css_class="item", is_open=is_open)


def _issue(item: StoredItem, anchors: Mapping[str, str], *, is_open: bool) -> str:
    moment = when(item.payload.get("timestamp") or item.received_at)
    line = issue_line(item.payload) + _breaches(item)
    body = issue_body(item.payload, anchors)
    return _entry(f"issue-{item.id}", moment, line, body, is_open=is_open)


def _transaction(item: StoredItem) -> str:
    payload = item.payload
    trace = at(payload, "contexts", "trace")
    root = _root_of(payload)
    line = (
        f"<strong>{text(root.name)}</strong> {span('op', text(root.kind))} "
        f"{milliseconds(root.duration_s)} {status(root.status)}{_breaches(item)}"
    )
    children = [_child_of(one) for one in objects(payload.get("spans"))]
    ids = f"trace <code>{text(at(trace, 'trace_id'))}</code> span <code>{text(root.span_id)}</code>"
    body = (
        f"{tree([root, *children])}<p>{ids}</p>{titled('tags', pairs(payload.get('tags')))}"
        f"{titled('measurements', _measurements(payload.get('measurements')))}"
    )
    moment = when(payload.get("timestamp") or item.received_at)
    return _entry(f"transaction-{item.id}", moment, line, body)


def _root_of(payload: JsonObject) -> ShownSpan:
    trace = at(payload, "contexts", "trace")
    data = at(trace, "data")
    return ShownSpan(
        span_id=str(at(trace, "span_id")),
        parent_id=None,  # it is in another service, so the tree starts here
        kind=at(trace, "op"),
        name=payload.get("transaction"),
        start_s=number(payload.get("start_timestamp")),
        end_s=number(payload.get("timestamp")),
        status=at(trace, "status"),
        attributes=data if isinstance(data, dict) else {},
    )


def _child_of(one: JsonObject) -> ShownSpan:
    data = one.get("data")
    return ShownSpan(
        span_id=str(one.get("span_id")),
        parent_id=str(one.get("parent_span_id")),
        kind=one.get("op"),
        name=one.get("description"),
        start_s=number(one.get("start_timestamp")),
        end_s=number(one.get("timestamp")),
        status=one.get("status"),
        attributes=data if isinstance(data, dict) else {},
        further=titled("measurements", _measurements(one.get("measurements"))),
    )


def _measurements(measurements: object) -> str:
    if not isinstance(measurements, dict):
        return ""
    return pairs({name: _measured(one) for name, one in measurements.items()})


def _measured(measurement: object) -> str:
    value, unit = at(measurement, "value"), at(measurement, "unit")
    amount = number(value)
    shown = f"{value if amount is None else f'{amount:g}'}"
    return shown if unit in (None, "", "none") else f"{shown} {unit}"


def _breaches(item: StoredItem) -> str:
    count = len(item.violations)
    return f" {span('bad', f'{count} violations')}" if count else ""


def _by_trace(spans: Sequence[StoredSpan]) -> list[tuple[str, list[StoredSpan]]]:
    """The spans by trace, the trace that got a span last first."""
    traces: dict[str, list[StoredSpan]] = {}
    for one in spans:
        # Taken out and put back, so that the order is that of the last span.
        traces[one.trace_id] = [*traces.pop(one.trace_id, []), one]
    return list(reversed(traces.items()))


def _otlp_trace(trace_id: str, spans: Sequence[StoredSpan]) -> str:
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
    return _entry(f"trace-{text(trace_id)}", when(root.end_ns / _NS_PER_S), line, body)


def _shown(one: StoredSpan) -> ShownSpan:
    message = f"<p class='bad'>{text(one.status_message)}</p>" if one.status_message else ""
    events = "".join(
        f"<h4>event {text(event.name)} at {(event.time_ns - one.start_ns) / 1e6:.1f} ms</h4>"
        f"{pairs(event.attributes)}"
        for event in one.events
    )
    return ShownSpan(
        span_id=one.span_id,
        parent_id=one.parent_span_id,
        kind=one.kind,
        name=one.name,
        start_s=one.start_ns / _NS_PER_S,
        end_s=one.end_ns / _NS_PER_S,
        status=one.status,
        attributes=one.attributes,
        further=message + events,
    )


def _violation(one: StoredViolation) -> str:
    body = pairs({"kind": one.kind, "rule": one.rule, "where": one.where, "what": one.message})
    line = f"<span class='bad'>{text(one.rule)}</span> {text(one.message)}"
    return details(
        f"<span class='time'>{when(one.received_at)}</span>{line}",
        f"<div>{body}</div>",
        css_class="item",
    )
