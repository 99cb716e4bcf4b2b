"""Points of one series become one point."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.model.metric import Buckets, Distribution, ExponentialDistribution

if TYPE_CHECKING:
    from spanbridge.model.metric import MetricPoint, MetricValue
    from spanbridge.model.span import Attributes

MAX_EXEMPLARS: Final = 10
"""Exemplars that a merged point keeps."""
MAX_SERIES: Final = 2000
"""Points of one metric that leave together; the limit of OpenTelemetry's specification."""
OVERFLOW: Final[Attributes] = {"otel.metric.overflow": True}
MAX_BUCKETS: Final = 160
"""Buckets of an exponential distribution on each side of zero; OpenTelemetry's own limit."""


def merge_equal(points: Iterable[MetricPoint]) -> list[MetricPoint]:
    """One point for each series, in the order of their first points.

    Sums and distributions are added. Of several values of a gauge the last stays.
    """
    by_series: dict[Hashable, MetricPoint] = {}
    for point in points:
        series = _series(point)
        known = by_series.get(series)
        by_series[series] = point if known is None else _merged(known, point)
    return list(by_series.values())


def fold_overflow(points: list[MetricPoint]) -> list[MetricPoint]:
    """At most :data:`MAX_SERIES` points of each metric: those beyond become one.

    That one says so by an attribute. Which series are told stays the same from one collection to
    the next, as the SDK keeps the order in which it met them.

    Source: OpenTelemetry specification, metrics SDK, "Cardinality limits".
    """
    if len(points) <= MAX_SERIES:
        return points
    groups: dict[Hashable, list[MetricPoint]] = {}
    for point in points:
        metric = (id(point.scope), point.name, point.kind, point.unit)
        groups.setdefault(metric, []).append(point)
    if all(len(group) <= MAX_SERIES for group in groups.values()):
        return points
    return [point for group in groups.values() for point in _folded(group)]


def _folded(group: list[MetricPoint]) -> list[MetricPoint]:
    if len(group) <= MAX_SERIES:
        return group
    told, beyond = group[: MAX_SERIES - 1], group[MAX_SERIES - 1 :]
    nameless = [msgspec.structs.replace(point, attributes=OVERFLOW) for point in beyond]
    return merge_equal([*told, *nameless])


def _series(point: MetricPoint) -> Hashable:
    value = point.value
    return (
        # repr() tells True from 1 and 1 from 1.0, and makes one word of a list.
        repr(point.resource),
        repr(point.scope),
        point.name,
        point.kind,
        point.unit,
        point.temporality,
        frozenset((key, repr(value)) for key, value in point.attributes.items()),
        value.bounds if isinstance(value, Distribution) else None,
    )


def _merged(first: MetricPoint, second: MetricPoint) -> MetricPoint:
    if first.kind == "gauge":
        return second if second.time_ns >= first.time_ns else first
    return msgspec.structs.replace(
        first,
        value=_added(first.value, second.value),
        start_ns=min(first.start_ns, second.start_ns),
        time_ns=max(first.time_ns, second.time_ns),
        exemplars=(first.exemplars + second.exemplars)[:MAX_EXEMPLARS],
    )


def _added(first: MetricValue, second: MetricValue) -> MetricValue:
    if isinstance(first, Distribution) and isinstance(second, Distribution):
        return Distribution(
            count=first.count + second.count,
            sum=first.sum + second.sum,
            min=_least(first.min, second.min),
            max=_most(first.max, second.max),
            bounds=first.bounds,
            counts=tuple(map(sum, zip(first.counts, second.counts, strict=True))),
        )
    if isinstance(first, ExponentialDistribution) and isinstance(second, ExponentialDistribution):
        scale = _common_scale(first, second)
        return ExponentialDistribution(
            count=first.count + second.count,
            sum=first.sum + second.sum,
            min=_least(first.min, second.min),
            max=_most(first.max, second.max),
            scale=scale,
            zero_count=first.zero_count + second.zero_count,
            positive=_together(_at(scale, first, "+"), _at(scale, second, "+")),
            negative=_together(_at(scale, first, "-"), _at(scale, second, "-")),
        )
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first + second
    raise TypeError("values of one series are of one kind")


def _least(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else min(first, second)


def _most(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else max(first, second)


def _common_scale(first: ExponentialDistribution, second: ExponentialDistribution) -> int:
    """The finest scale at which both together fit into the allowed number of buckets."""
    scale = min(first.scale, second.scale)
    while any(
        _width(_at(scale, first, side), _at(scale, second, side)) > MAX_BUCKETS for side in "+-"
    ):
        scale -= 1
    return scale


def _at(scale: int, distribution: ExponentialDistribution, side: str) -> Buckets:
    """The buckets of one side at a scale that is not finer: each holds 2**n of the former."""
    buckets = distribution.positive if side == "+" else distribution.negative
    shift = distribution.scale - scale
    if shift == 0 or not buckets.counts:
        return buckets
    offset = buckets.offset >> shift
    counts = [0] * (((buckets.offset + len(buckets.counts) - 1) >> shift) - offset + 1)
    for index, count in enumerate(buckets.counts, buckets.offset):
        counts[(index >> shift) - offset] += count
    return Buckets(offset, tuple(counts))


def _width(first: Buckets, second: Buckets) -> int:
    start, end = _span(first, second)
    return end - start


def _together(first: Buckets, second: Buckets) -> Buckets:
    start, end = _span(first, second)
    counts = [0] * (end - start)
    for buckets in (first, second):
        for index, count in enumerate(buckets.counts, buckets.offset - start):
            counts[index] += count
    return Buckets(start, tuple(counts))


def _span(first: Buckets, second: Buckets) -> tuple[int, int]:
    filled = [buckets for buckets in (first, second) if buckets.counts]
    if not filled:
        return 0, 0
    return (
        min(buckets.offset for buckets in filled),
        max(buckets.offset + len(buckets.counts) for buckets in filled),
    )
