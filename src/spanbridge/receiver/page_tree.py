"""Spans as a tree with times, for transactions and for OTLP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spanbridge.receiver.page_html import details, pairs, span, status, text, titled
from spanbridge.receiver.records import Json

MOST_SPANS_SHOWN = 200
_DEEPEST_INDENT = 24
_MS_PER_S = 1000


@dataclass(frozen=True)
class ShownSpan:
    """A span as the page shows it, wherever it came from. Times are Unix times in seconds."""

    span_id: str
    parent_id: str | None
    kind: Json
    """Sentry's op, or OpenTelemetry's kind."""
    name: Json
    start_s: float | None
    end_s: float | None
    status: Json
    attributes: Mapping[str, Json] = field(default_factory=dict)
    further: str = ""
    """More about it, as HTML."""

    @property
    def duration_s(self) -> float | None:
        """How long it took, if both ends are known."""
        if self.start_s is None or self.end_s is None:
            return None
        return self.end_s - self.start_s


def tree(spans: Sequence[ShownSpan]) -> str:
    """The spans as rows, children indented below their parents, with a bar for the time."""
    shown = list(_in_order(spans))[:MOST_SPANS_SHOWN]
    starts = [one.start_s for _, one in shown if one.start_s is not None]
    ends = [one.end_s for _, one in shown if one.end_s is not None]
    window = (min(starts), max(ends)) if starts and ends else (0.0, 0.0)
    rows = "".join(_row(one, depth, window) for depth, one in shown)
    left_out = len(spans) - len(shown)
    note = f"<p class='quiet'>and {left_out} more spans</p>" if left_out else ""
    return f"<div class='tree'>{rows}</div>{note}"


def milliseconds(duration_s: float | None) -> str:
    """A duration as a person reads it."""
    return "?" if duration_s is None else f"{duration_s * _MS_PER_S:,.1f} ms"


def _in_order(spans: Sequence[ShownSpan]) -> Iterator[tuple[int, ShownSpan]]:
    """Each span once with its depth: from those without a known parent down, by start."""
    by_start = sorted(spans, key=lambda one: one.start_s or 0.0)
    known = {one.span_id for one in spans}
    children: dict[str, list[ShownSpan]] = {}
    roots = []
    for one in by_start:
        if one.parent_id in known and one.parent_id is not None:
            children.setdefault(one.parent_id, []).append(one)
        else:
            roots.append(one)
    seen: set[int] = set()
    # A circle has no root, so what was not reached from one starts a tree of its own.
    for start in (*roots, *by_start):
        waiting = [(0, start)]
        while waiting:
            depth, one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            yield depth, one
            below = children.get(one.span_id, ())
            waiting += [(depth + 1, child) for child in reversed(below)]


def _row(one: ShownSpan, depth: int, window: tuple[float, float]) -> str:
    indent = f"style='padding-left:{min(depth, _DEEPEST_INDENT) * 1.2:.1f}rem'"
    line = (
        f"<span class='name' {indent}>{span('op', text(one.kind))} {text(one.name)}</span>"
        f"<span class='number'>{milliseconds(one.duration_s)}</span>"
        f"<span>{status(one.status)}</span>{_bar(one, window)}"
    )
    body = titled("attributes", pairs(one.attributes)) + one.further
    return details(line, body, css_class="row") if body else f"<div class='row leaf'>{line}</div>"


def _bar(one: ShownSpan, window: tuple[float, float]) -> str:
    length_s = window[1] - window[0]
    if one.start_s is None or one.duration_s is None or length_s <= 0:
        return "<span></span>"
    left = min(max((one.start_s - window[0]) / length_s, 0.0), 1.0) * 100
    width = min(max(one.duration_s / length_s, 0.0) * 100, 100 - left)
    return (
        f"<span class='bar'><i style='margin-left:{left:.2f}%;width:max(2px,{width:.2f}%)'>"
        "</i></span>"
    )
