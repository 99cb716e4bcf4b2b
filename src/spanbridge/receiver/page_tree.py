"""Spans as a tree with times, whether they came to Sentry's endpoint or to OTLP's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spanbridge.receiver.page_html import details, pairs, span, status, text, titled
from spanbridge.receiver.records import Json
from spanbridge.receiver.tree_order import in_tree_order

MOST_SPANS_SHOWN = 200
_DEEPEST_INDENT = 24
_MS_PER_S = 1000


@dataclass(frozen=True)
class ShownSpan:
    """A span as the page shows it, wherever it came from. Times are Unix times in seconds.

    What happened at one moment of a span, such as a log, stands below it like a span: without an
    end and a status.
    """

    span_id: str
    parent_span_id: str | None
    kind: Json
    """Sentry's op, or OpenTelemetry's kind, or what kind of moment it is."""
    name: Json
    start_s: float | None
    end_s: float | None
    status: Json
    attributes: Mapping[str, Json] = field(default_factory=dict)
    further: str = ""
    """More about it, as HTML."""
    note: str = ""
    """What stands beside the name, as HTML."""
    is_moment: bool = False
    mark: str = "quiet"
    """The style of the kind of a moment."""

    @property
    def duration_s(self) -> float | None:
        """How long it took, if both ends are known."""
        if self.start_s is None or self.end_s is None:
            return None
        return self.end_s - self.start_s


def tree(spans: Sequence[ShownSpan]) -> str:
    """The spans as rows, children indented below their parents, with a bar for the time."""
    shown = list(in_tree_order(spans))[:MOST_SPANS_SHOWN]
    starts = [one.start_s for _, one in shown if one.start_s is not None]
    ends = [one.end_s for _, one in shown if one.end_s is not None]
    ends += [one.start_s for _, one in shown if one.is_moment and one.start_s is not None]
    window = (min(starts), max(ends)) if starts and ends else (0.0, 0.0)
    rows = "".join(_row(one, depth, window) for depth, one in shown)
    left_out = len(spans) - len(shown)
    note = f"<p class='quiet'>and {left_out} more rows</p>" if left_out else ""
    return f"<div class='tree'>{rows}</div>{note}"


def milliseconds(duration_s: float | None) -> str:
    """A duration as a person reads it."""
    return "?" if duration_s is None else f"{duration_s * _MS_PER_S:,.1f} ms"


def _row(one: ShownSpan, depth: int, window: tuple[float, float]) -> str:
    indent = f"style='padding-left:{min(depth, _DEEPEST_INDENT) * 1.2:.1f}rem'"
    duration = "" if one.is_moment else milliseconds(one.duration_s)
    kind = span(one.mark if one.is_moment else "op", text(one.kind))
    line = (
        f"<span class='name' {indent}>{kind} {text(one.name)}"
        f"{span('quiet', f' {one.note}' if one.note else '')}</span>"
        f"<span class='number'>{duration}</span>"
        f"<span>{status(one.status)}</span>{_bar(one, window)}"
    )
    body = titled("attributes", pairs(one.attributes)) + one.further
    return details(line, body, css_class="row") if body else f"<div class='row leaf'>{line}</div>"


def _bar(one: ShownSpan, window: tuple[float, float]) -> str:
    length_s = window[1] - window[0]
    duration_s = 0.0 if one.is_moment else one.duration_s
    if one.start_s is None or duration_s is None or length_s <= 0:
        return "<span></span>"
    left = min(max((one.start_s - window[0]) / length_s, 0.0), 1.0) * 100
    width = min(max(duration_s / length_s, 0.0) * 100, 100 - left)
    return (
        f"<span class='bar'><i style='margin-left:{left:.2f}%;width:max(2px,{width:.2f}%)'>"
        "</i></span>"
    )
