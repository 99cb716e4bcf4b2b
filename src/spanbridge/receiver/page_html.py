"""The small parts a page is made of. Whatever they are given comes out escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

import msgspec

from spanbridge.receiver.records import Json

_LONGEST_TEXT = 4000


def text(value: Json) -> str:
    """``value`` as escaped text, cut where it is very long; nothing for ``None``."""
    if value is None:
        return ""
    plain = (
        msgspec.json.encode(value).decode("utf-8", "replace")
        if isinstance(value, (dict, list, tuple))
        else str(value)
    )
    return escape(plain if len(plain) <= _LONGEST_TEXT else f"{plain[:_LONGEST_TEXT]}…")


def span(css_class: str, html: str) -> str:
    """``html`` under a style; nothing for nothing."""
    return f"<span class='{css_class}'>{html}</span>" if html else ""


def details(summary: str, body: str, *, css_class: str = "", is_open: bool = False) -> str:
    """A part that opens on a click; ``summary`` and ``body`` are HTML."""
    style = f" class='{css_class}'" if css_class else ""
    return (
        f"<details{style}{' open' if is_open else ''}><summary>{summary}</summary>{body}</details>"
    )


def pairs(values: Json) -> str:
    """A mapping as a list of names and values, sorted by name; nothing for anything else."""
    if not isinstance(values, Mapping) or not values:
        return ""
    rows = (
        f"<dt>{text(name)}</dt><dd>{text(value)}</dd>"
        for name, value in sorted(values.items(), key=lambda pair: str(pair[0]))
    )
    return f"<dl>{''.join(rows)}</dl>"


def titled(title: str, body: str) -> str:
    """``body`` under a small heading; nothing without a body."""
    return f"<h4>{title}</h4>{body}" if body else ""


def when(moment: Json) -> str:
    """A Unix time in seconds as date, time and zone; any other value as it is."""
    unix_s = number(moment)
    if unix_s is None:
        return text(moment)
    try:
        return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return text(moment)


def status(value: Json) -> str:
    """The status of a span, marked unless all is well."""
    return span("quiet" if value in ("ok", "unset") else "bad", text(value))


def number(value: Json) -> float | None:
    """``value`` if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def at(holder: Json, *path: str) -> Json:
    """What stands at ``path``; ``None`` if there is nothing."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder


def objects(value: Json) -> list[dict[str, Json]]:
    """The objects of a list; none if it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def trace_anchor(trace_id: Json, project_id: str | None) -> str:
    """Where on the page stands what a project got of a trace."""
    return f"trace-{text(trace_id)}" + (f"-{text(project_id)}" if project_id else "")
