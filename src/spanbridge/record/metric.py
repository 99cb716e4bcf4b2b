"""What the SDK collected becomes :class:`MetricPoint` records."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    Sum,
)

from spanbridge.model.metric import (
    Buckets,
    Distribution,
    Exemplar,
    ExponentialDistribution,
    MetricKind,
    MetricPoint,
    MetricValue,
    Temporality,
)
from spanbridge.record.span import read_attributes, read_resource, read_scope

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import Exemplar as OtelExemplar
    from opentelemetry.sdk.metrics.export import Buckets as OtelBuckets
    from opentelemetry.sdk.metrics.export import DataPointT, DataT, Metric, MetricsData

_TEMPORALITIES: Final[dict[AggregationTemporality, Temporality]] = {
    AggregationTemporality.CUMULATIVE: "cumulative",
    AggregationTemporality.DELTA: "delta",
}


def read_points(data: MetricsData) -> Iterator[MetricPoint]:
    """Every data point of a collection, in its order."""
    for of_resource in data.resource_metrics:
        resource = read_resource(of_resource.resource)
        for of_scope in of_resource.scope_metrics:
            scope = read_scope(of_scope.scope)
            for metric in of_scope.metrics:
                kind, temporality = _kind(metric.data), _temporality(metric)
                for point in metric.data.data_points:
                    yield MetricPoint(
                        name=metric.name,
                        kind=kind,
                        description=metric.description or "",
                        unit=metric.unit or "",
                        attributes=read_attributes(point.attributes),
                        value=_value(point),
                        start_ns=point.start_time_unix_nano or 0,
                        time_ns=point.time_unix_nano,
                        temporality=temporality,
                        exemplars=tuple(map(_exemplar, point.exemplars)),
                        scope=scope,
                        resource=resource,
                    )


def _kind(data: DataT) -> MetricKind:
    if isinstance(data, Sum):
        return "counter" if data.is_monotonic else "sum"
    if isinstance(data, Gauge):
        return "gauge"
    return "histogram" if isinstance(data, Histogram) else "exponential_histogram"


def _temporality(metric: Metric) -> Temporality | None:
    data = metric.data
    return None if isinstance(data, Gauge) else _TEMPORALITIES[data.aggregation_temporality]


def _value(point: DataPointT) -> MetricValue:
    if isinstance(point, NumberDataPoint):
        return point.value
    if isinstance(point, HistogramDataPoint):
        return Distribution(
            count=point.count,
            sum=point.sum,
            min=_if_finite(point.min),
            max=_if_finite(point.max),
            bounds=tuple(point.explicit_bounds),
            counts=tuple(point.bucket_counts),
        )
    assert isinstance(point, ExponentialHistogramDataPoint)
    return ExponentialDistribution(
        count=point.count,
        sum=point.sum,
        min=_if_finite(point.min),
        max=_if_finite(point.max),
        scale=point.scale,
        zero_count=point.zero_count,
        positive=_buckets(point.positive),
        negative=_buckets(point.negative),
    )


def _if_finite(value: float) -> float | None:
    # The SDK's way to say that a view does not record the extremes.
    return value if math.isfinite(value) else None


def _buckets(buckets: OtelBuckets) -> Buckets:
    return Buckets(buckets.offset, tuple(buckets.bucket_counts))


def _exemplar(exemplar: OtelExemplar) -> Exemplar:
    return Exemplar(
        value=exemplar.value,
        time_ns=exemplar.time_unix_nano,
        trace_id=f"{exemplar.trace_id:032x}" if exemplar.trace_id is not None else None,
        span_id=f"{exemplar.span_id:016x}" if exemplar.span_id is not None else None,
        attributes=read_attributes(exemplar.filtered_attributes),
    )
