"""One data point of a metric as every destination reads it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from spanbridge.model.span import Attributes, Resource, Scope

Temporality: TypeAlias = Literal["cumulative", "delta"]

POINT_BYTES: Final = 768
"""What a point takes beside its texts and buckets, about."""


class Exemplar(msgspec.Struct, frozen=True, gc=False):
    """One of the measurements behind a point, with the span it was made in.

    Ids are lower-case hex (32 and 16 characters), or ``None`` outside spans.
    """

    value: int | float
    time_ns: int
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Attributes = {}
    """Those that the metric itself leaves out."""


class Distribution(msgspec.Struct, frozen=True, gc=False):
    """How measured values are spread over buckets with given bounds.

    ``counts`` has one number more than ``bounds``; each bound belongs to the bucket below it.
    """

    count: int
    sum: int | float
    min: float | None
    max: float | None
    bounds: tuple[float, ...]
    counts: tuple[int, ...]


class Buckets(msgspec.Struct, frozen=True, gc=False):
    """Buckets with bounds at powers of one base; the first has the index ``offset``."""

    offset: int
    counts: tuple[int, ...]


class ExponentialDistribution(msgspec.Struct, frozen=True, gc=False):
    """How measured values are spread over buckets whose width grows with the value.

    Source: OpenTelemetry metrics data model, "ExponentialHistogram".
    """

    count: int
    sum: int | float
    min: float | None
    max: float | None
    scale: int
    zero_count: int
    positive: Buckets
    negative: Buckets


MetricKind: TypeAlias = Literal["counter", "sum", "gauge", "histogram", "exponential_histogram"]
MetricValue: TypeAlias = int | float | Distribution | ExponentialDistribution


class MetricPoint(msgspec.Struct, frozen=True, gc=False):
    """The value of a metric for one set of attributes at one time.

    A ``counter`` only rises, a ``sum`` may fall too. Times are Unix time in nanoseconds.
    """

    name: str
    kind: MetricKind
    description: str
    unit: str
    attributes: Attributes
    value: MetricValue
    start_ns: int
    """Since when values are summed up; 0 for a gauge."""
    time_ns: int
    temporality: Temporality | None
    """Whether the value is the total since the start or what came since the point before."""
    exemplars: tuple[Exemplar, ...]
    scope: Scope
    resource: Resource

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, for the bounds of queues."""
        texts = sum(len(key) + len(str(value)) for key, value in self.attributes.items())
        exemplars = (POINT_BYTES // 4) * len(self.exemplars)
        return POINT_BYTES + texts + exemplars + 8 * _buckets(self.value)


def _buckets(value: MetricValue) -> int:
    if isinstance(value, Distribution):
        return 2 * len(value.counts)
    if isinstance(value, ExponentialDistribution):
        return len(value.positive.counts) + len(value.negative.counts)
    return 0
