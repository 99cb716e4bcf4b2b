"""Metrics as a short table: what changed since it was printed last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.destinations.console_text import MAX_LINE, cut, plain, short
from spanbridge.model.metric import Distribution, ExponentialDistribution
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from spanbridge.model.metric import MetricPoint

MAX_KNOWN: Final = 10_000
"""Series whose last value is remembered; beyond, all are printed again."""
LINE_BYTES: Final = 256


class MetricTable(msgspec.Struct, frozen=True):
    """Lines to print.

    Attributes:
        points: How many points it stands for, with those that did not change.
    """

    lines: tuple[str, ...]
    points: int

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return LINE_BYTES * (1 + len(self.lines))


class MetricNews:
    """Knows what was printed last, so that only what changed is printed again."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def table(self, points: Sequence[MetricPoint]) -> MetricTable:
        """The lines of those points that changed; none if nothing did."""
        return MetricTable(tuple(self._lines(points)), len(points))

    def _lines(self, points: Sequence[MetricPoint]) -> Iterator[str]:
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        has_head = False
        for point in points:
            if (line := self._line(point)) is None:
                continue
            if not has_head:
                has_head = True
                yield "metrics"
            yield line

    def _line(self, point: MetricPoint) -> str | None:
        """The line of a point; none if it is known."""
        try:
            # The scope tells two metrics of one name apart; it is not worth a column.
            series = f"{point.scope.name} {point.name} {point.attributes}"
            value = _value(point)
            if self._known.get(series) == value and point.temporality != "delta":
                return None
            line = _line(point, value)
        except Exception as error:  # a text that an attribute of the application's cannot make
            GUARD.report("console: a metric cannot be shown", type(error).__name__)
            return cut(f"  {plain(point.name)}  cannot be shown: {type(error).__name__}", MAX_LINE)
        self._known[series] = value
        return line


def _line(point: MetricPoint, value: str) -> str:
    pairs = "".join(f"  {plain(key)}={short(own)}" for key, own in point.attributes.items())
    return cut(f"  {plain(point.name)}  {value}{pairs}", MAX_LINE)


def _value(point: MetricPoint) -> str:
    value, unit = point.value, f" {plain(point.unit)}" if point.unit not in ("", "1") else ""
    if not isinstance(value, Distribution | ExponentialDistribution):
        return f"{_number(value)}{unit}"
    parts = [f"{value.count} ×"]
    if value.count:
        parts.append(f"mean {_number(value.sum / value.count)}{unit}")
    if value.max is not None:
        parts.append(f"max {_number(value.max)}{unit}")
    return " ".join(parts)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
