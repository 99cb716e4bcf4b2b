"""One plain HTML page of what was received. Everything shown is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from spanbridge.receiver.records import Json, JsonObject, StoredItem, StoredViolation

_MOST_SPANS_SHOWN = 200
_MS_PER_S = 1000
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
       color: #1f1633; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd;
         vertical-align: top; overflow-wrap: anywhere; }
.bad { color: #a40000; } .quiet { color: #5f5a6b; }
.number { text-align: right; white-space: nowrap; }
pre { margin: 0; white-space: pre-wrap; }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #16131c; }
  th, td { border-color: #444; } .bad { color: #ff8f8f; } .quiet { color: #aaa; } }
"""


def render_page(
    *,
    issues: Sequence[StoredItem],
    transactions: Sequence[StoredItem],
    violations: Sequence[StoredViolation],
    counts: Mapping[str, int],
) -> str:
    """The page.

    Args:
        issues: Items of kind ``event``, oldest first.
        transactions: Items of kind ``transaction``, oldest first.
        violations: Broken rules, oldest first.
        counts: Received items by kind.
    """
    shown_counts = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)
    sections = [
        _section(
            "Issues",
            ("time", "level", "title", "culprit", "in"),
            [_issue_row(item.payload, item.received_at) for item in reversed(issues)],
        ),
        _section(
            "Transactions",
            ("time", "name", "status", "ms", "spans"),
            [_transaction_row(item.payload, item.received_at) for item in reversed(transactions)],
        ),
        _section(
            "Violations",
            ("time", "kind", "rule", "where", "what"),
            [
                [_time(one.received_at), *map(_text, (one.kind, one.rule, one.where, one.message))]
                for one in reversed(violations)
            ],
        ),
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>spanbridge receiver</title>"
        f"<style>{_STYLE}</style></head><body><h1>spanbridge receiver</h1>"
        f"<p class='quiet'>{_text(shown_counts or 'nothing received yet')}</p>"
        f"{''.join(sections)}</body></html>"
    )


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return f"<h2>{title}</h2><p class='quiet'>none</p>"
    head = "".join(f"<th scope='col'>{column}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _issue_row(payload: JsonObject, received_at: float) -> list[str]:
    trace = _at(payload, "contexts", "trace")
    return [
        _time(received_at),
        _text(payload.get("level", "error")),
        f"<strong>{_text(issue_title(payload))}</strong>",
        _text(payload.get("culprit") or payload.get("transaction")),
        _text(_at(trace, "op") or _at(trace, "span_id")),
    ]


def _transaction_row(payload: JsonObject, received_at: float) -> list[str]:
    trace = _at(payload, "contexts", "trace")
    return [
        _time(received_at),
        f"<strong>{_text(payload.get('transaction'))}</strong> "
        f"<span class='quiet'>{_text(_at(trace, 'op'))}</span>",
        _status(_at(trace, "status")),
        f"<span class='number'>{_duration_ms(payload)}</span>",
        f"<pre>{_tree(payload)}</pre>",
    ]


def issue_title(payload: JsonObject) -> str:
    """What Sentry would head the issue with: the outermost exception, or the message."""
    values = _at(payload, "exception", "values")
    if isinstance(values, list) and values and isinstance(values[-1], dict):
        return f"{values[-1].get('type') or 'Error'}: {values[-1].get('value') or ''}"
    message = _at(payload, "logentry", "formatted") or _at(payload, "logentry", "message")
    return str(message or payload.get("message") or "<no title>")


def _tree(payload: JsonObject) -> str:
    spans = payload.get("spans")
    spans = [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []
    shown = spans[:_MOST_SPANS_SHOWN]
    depths = _depths(shown)
    lines = [
        f"{'  ' * depths[index]}{_text(span.get('op'))} — {_text(span.get('description'))} "
        f"{_duration_ms(span)} ms {_status(span.get('status'))}"
        for index, span in enumerate(shown)
    ]
    if len(spans) > len(shown):
        lines.append(f"… {len(spans) - len(shown)} more")
    return "\n".join(lines)


def _depths(spans: Sequence[JsonObject]) -> list[int]:
    parents = {str(span.get("span_id")): str(span.get("parent_span_id")) for span in spans}
    return [_depth(str(span.get("span_id")), parents) for span in spans]


def _depth(span_id: str, parents: Mapping[str, str]) -> int:
    seen: set[str] = set()
    while span_id in parents and span_id not in seen:  # a sender may send a circle
        seen.add(span_id)
        span_id = parents[span_id]
    return len(seen) - 1


def _duration_ms(payload: JsonObject) -> str:
    start, end = payload.get("start_timestamp"), payload.get("timestamp")
    if isinstance(start, (int, float)) and isinstance(end, (int, float)):
        return f"{(end - start) * _MS_PER_S:.1f}"
    return "?"


def _status(status: Json) -> str:
    return f"<span class='{'quiet' if status in ('ok', None) else 'bad'}'>{_text(status)}</span>"


def _time(received_at: float) -> str:
    return datetime.fromtimestamp(received_at, UTC).strftime("%H:%M:%S")


def _text(value: Json) -> str:
    return "" if value is None else escape(str(value))


def _at(holder: Json, *path: str) -> Json:
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder
