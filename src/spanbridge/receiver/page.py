"""One plain HTML page of what was received: no script, nothing from elsewhere, all escaped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from spanbridge.receiver.page_html import details, pairs, span, text, trace_anchor, when
from spanbridge.receiver.page_issue import issue_body, issue_line
from spanbridge.receiver.page_otlp import otlp_trace, spans_by_trace
from spanbridge.receiver.page_style import STYLE
from spanbridge.receiver.page_trace import (
    log_line,
    trace_body,
    trace_line,
    trace_moment,
)
from spanbridge.receiver.records import StoredItem, StoredLog, StoredSpan, StoredViolation
from spanbridge.receiver.traces import Trace

REFRESH_S = 5
_ENDPOINTS = (
    ("/api/issues", "what Sentry would make issues of"),
    ("/api/traces", "all that a project got of a trace, joined"),
    ("/api/transactions", "transactions"),
    ("/api/streamed_spans", "streamed spans"),
    ("/api/logs", "logs"),
    ("/api/spans", "OTLP spans"),
    ("/api/items?kind=client_report", "envelope items of one kind, or without a kind of any"),
    ("/api/violations", "where something broke the protocol"),
    ("/api/counts", "how many of what, and requests by path"),
)


def render_page(
    *,
    issues: Sequence[StoredItem],
    traces: Sequence[Trace],
    logs: Sequence[StoredLog],
    spans: Sequence[StoredSpan],
    violations: Sequence[StoredViolation],
    counts: Mapping[str, int],
    trace_count: int = 0,
    log_count: int = 0,
    is_static: bool = False,
) -> str:
    """The page.

    Args:
        issues: Items of kind ``event``, oldest first.
        traces: Joined traces, the one that got something last at the end.
        logs: Entries of containers of logs, oldest first.
        spans: OTLP spans, oldest first.
        violations: Broken rules, oldest first.
        trace_count: How many traces there are, shown here or not.
        log_count: How many entries of logs there are, shown here or not.
        counts: How many items of each kind were received, shown here or not.
        is_static: Whether it stays as it is, instead of loading itself anew every few seconds.
    """
    with_spans = [trace for trace in traces if trace.spans]
    anchors = {trace_anchor(trace.trace_id, trace.project_id) for trace in with_spans}
    sections = [
        _section(
            "Issues",
            [_issue(item, anchors, is_open=item is issues[-1]) for item in reversed(issues)],
            _left_out(len(issues), counts.get("event", 0), "/api/issues"),
        ),
        _section(
            "Traces",
            [_trace(trace, anchors) for trace in reversed(with_spans)],
            _left_out(len(traces), trace_count, "/api/traces"),
        ),
        _section(
            "Logs",
            [log_line(log, anchors) for log in reversed(logs)],
            _left_out(len(logs), log_count, "/api/logs"),
        ),
        _section(
            "OTLP traces",
            [_otlp_trace(trace_id, group) for trace_id, group in spans_by_trace(spans)],
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


def _issue(item: StoredItem, anchors: Collection[str], *, is_open: bool) -> str:
    moment = when(item.payload.get("timestamp") or item.received_at)
    line = issue_line(item.payload) + _breaches(item)
    body = issue_body(item, anchors)
    return _entry(f"issue-{item.id}", moment, line, body, is_open=is_open)


def _trace(trace: Trace, anchors: Collection[str]) -> str:
    anchor = trace_anchor(trace.trace_id, trace.project_id)
    return _entry(anchor, trace_moment(trace), trace_line(trace), trace_body(trace, anchors))


def _otlp_trace(trace_id: str, spans: Sequence[StoredSpan]) -> str:
    return _entry(f"otlp-{text(trace_id)}", *otlp_trace(trace_id, spans))


def _breaches(item: StoredItem) -> str:
    count = len(item.violations)
    return f" {span('bad', f'{count} violations')}" if count else ""


def _violation(one: StoredViolation) -> str:
    body = pairs({"kind": one.kind, "rule": one.rule, "where": one.where, "what": one.message})
    line = f"<span class='bad'>{text(one.rule)}</span> {text(one.message)}"
    return details(
        f"<span class='time'>{when(one.received_at)}</span>{line}",
        f"<div>{body}</div>",
        css_class="item",
    )
