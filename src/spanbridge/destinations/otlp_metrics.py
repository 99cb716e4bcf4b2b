"""Points of metrics as the SDK's objects, which OpenTelemetry's exporters read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.sdk.metrics import Exemplar as OtelExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    DataT,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Buckets as OtelBuckets

from spanbridge.destinations.otlp_spans import rebuild_resource, rebuild_scope
from spanbridge.model.metric import (
    Buckets,
    Distribution,
    Exemplar,
    ExponentialDistribution,
    MetricPoint,
)
from spanbridge.model.plain_json import plain_text

_TEMPORALITIES: Final = {
    "cumulative": AggregationTemporality.CUMULATIVE,
    "delta": AggregationTemporality.DELTA,
}


def rebuild_metrics(points: Sequence[MetricPoint]) -> MetricsData:
    """The points by resource, scope and metric, in the order of their first points."""
    return MetricsData(
        [
            ResourceMetrics(
                rebuild_resource(of_resource[0].resource),
                [_of_scope(of_scope) for of_scope in _grouped(of_resource, "scope")],
                of_resource[0].resource.schema_url or "",
            )
            for of_resource in _grouped(points, "resource")
        ]
    )


def _of_scope(points: list[MetricPoint]) -> ScopeMetrics:
    scope = points[0].scope
    metrics = [
        Metric(
            plain_text(group[0].name),
            plain_text(group[0].description),
            plain_text(group[0].unit),
            _data(group),
        )
        for group in _grouped(points, "name", "unit", "kind", "temporality")
    ]
    return ScopeMetrics(rebuild_scope(scope), metrics, scope.schema_url or "")


def _grouped(points: Sequence[MetricPoint], *fields: str) -> list[list[MetricPoint]]:
    """The points by what they have in these fields. The encoder loses what it meets twice."""
    groups: dict[str, list[MetricPoint]] = {}
    for point in points:
        key = repr([getattr(point, field) for field in fields])
        groups.setdefault(key, []).append(point)
    return list(groups.values())


def _data(points: list[MetricPoint]) -> DataT:
    kind = points[0].kind
    # The SDK's classes are annotated to take one kind of point each.
    rebuilt: list[Any] = [_point(point) for point in points]
    if kind == "gauge":
        return Gauge(rebuilt)
    temporality = _TEMPORALITIES[points[0].temporality or "cumulative"]
    if kind == "histogram":
        return Histogram(rebuilt, temporality)
    if kind == "exponential_histogram":
        return ExponentialHistogram(rebuilt, temporality)
    return Sum(rebuilt, temporality, is_monotonic=kind == "counter")


def _point(
    point: MetricPoint,
) -> NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint:
    value = point.value
    shared: dict[str, Any] = {
        "attributes": point.attributes,
        "start_time_unix_nano": point.start_ns,
        "time_unix_nano": point.time_ns,
        "exemplars": [_exemplar(exemplar) for exemplar in point.exemplars],
    }
    if isinstance(value, Distribution):
        return HistogramDataPoint(
            **shared,
            **_measured(value),
            bucket_counts=value.counts,
            explicit_bounds=value.bounds,
        )
    if isinstance(value, ExponentialDistribution):
        return ExponentialHistogramDataPoint(
            **shared,
            **_measured(value),
            scale=value.scale,
            zero_count=value.zero_count,
            positive=_buckets(value.positive),
            negative=_buckets(value.negative),
            flags=0,
        )
    return NumberDataPoint(**shared, value=_number(value))


def _measured(value: Distribution | ExponentialDistribution) -> dict[str, Any]:
    return {
        "count": value.count,
        "sum": _number(value.sum),
        "min": math.inf if value.min is None else value.min,
        "max": -math.inf if value.max is None else value.max,
    }


def _number(value: float) -> int | float:
    """The number as the wire holds it. One beyond 64 bits makes the encoder lose the batch."""
    if not isinstance(value, int) or -(2**63) <= value < 2**63:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _buckets(buckets: Buckets) -> OtelBuckets:
    return OtelBuckets(buckets.offset, buckets.counts)


def _exemplar(exemplar: Exemplar) -> OtelExemplar:
    return OtelExemplar(
        exemplar.attributes,
        _number(exemplar.value),
        exemplar.time_ns,
        int(exemplar.span_id, 16) if exemplar.span_id is not None else None,
        int(exemplar.trace_id, 16) if exemplar.trace_id is not None else None,
    )
