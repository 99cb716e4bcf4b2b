"""Points of metrics as families of samples, which Prometheus reads.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility".
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec
from prometheus_client.core import Metric
from prometheus_client.samples import Exemplar as PrometheusExemplar
from prometheus_client.utils import floatToGoString

from spanbridge.destinations.prometheus_names import label_name, metric_name, unit_name
from spanbridge.model.metric import Distribution

if TYPE_CHECKING:
    from spanbridge.model.metric import Exemplar, MetricKind, MetricPoint
    from spanbridge.model.span import Attributes, AttributeValue, Resource, Scope

_TYPES: Final[dict[MetricKind, str]] = {
    "counter": "counter",
    "sum": "gauge",
    "gauge": "gauge",
    "histogram": "histogram",
}
_BUCKET_LABEL: Final = "le"

EXPONENTIAL: Final = "exponential histogram"
OTHER_KIND: Final = "name of another kind"
TOLD_TWICE: Final = "series told twice"


class Families:
    """The families of one page.

    Attributes:
        left_out: Points that cannot be shown, by the reason.
    """

    def __init__(self, points: Iterable[MetricPoint]) -> None:
        self.left_out: Counter[str] = Counter()
        self._by_name: dict[str, Metric] = {}
        self._series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._scopes: dict[int, dict[str, str]] = {}
        for point in points:
            if not self._by_name:
                self._by_name["target"] = _target(point.resource)
            self._add(point)

    def collect(self) -> Iterator[Metric]:
        """The families, as the Prometheus client asks for them."""
        yield from self._by_name.values()

    def _add(self, point: MetricPoint) -> None:
        kind = _TYPES.get(point.kind)
        if kind is None:
            self.left_out[EXPONENTIAL] += 1
            return
        unit = unit_name(point.unit, point.kind)
        name = metric_name(point.name, unit, point.kind)
        family = self._by_name.get(name)
        if family is None:
            family = self._by_name[name] = Metric(name, point.description or point.name, kind, unit)
        if family.type != kind:
            self.left_out[OTHER_KIND] += 1
            return
        labels = {**self._of_scope(point.scope), **_labels(point.attributes)}
        series = (name, frozenset(labels.items()))
        if series in self._series:
            self.left_out[TOLD_TWICE] += 1
            return
        self._series.add(series)
        _add_samples(family, name, labels, point)

    def _of_scope(self, scope: Scope) -> dict[str, str]:
        known = self._scopes.get(id(scope))
        if known is None:
            known = {
                "otel_scope_name": scope.name,
                "otel_scope_version": scope.version or "",
                "otel_scope_schema_url": scope.schema_url or "",
            }
            own = {f"otel_scope_{key}": value for key, value in scope.attributes.items()}
            known = self._scopes[id(scope)] = {
                **_labels(own),
                **{key: value for key, value in known.items() if value},
            }
        return known


def _add_samples(family: Metric, name: str, labels: dict[str, str], point: MetricPoint) -> None:
    value = point.value
    if isinstance(value, Distribution):
        own = {
            f"exported_{key}" if key == _BUCKET_LABEL else key: label
            for key, label in labels.items()
        }
        exemplars = _by_bucket(value, point.exemplars)
        bounds = [*map(floatToGoString, value.bounds), "+Inf"]
        for index, below in enumerate(accumulate(value.counts)):
            family.add_sample(
                f"{name}_bucket",
                {**own, _BUCKET_LABEL: bounds[index]},
                below,
                exemplar=exemplars.get(index),
            )
        family.add_sample(f"{name}_sum", own, value.sum)
        family.add_sample(f"{name}_count", own, value.count)
        return
    assert isinstance(value, int | float)
    if point.kind == "counter":
        exemplar = _exemplar(point.exemplars[-1]) if point.exemplars else None
        family.add_sample(f"{name}_total", labels, value, exemplar=exemplar)
    else:
        family.add_sample(name, labels, value)


def _by_bucket(value: Distribution, exemplars: Iterable[Exemplar]) -> dict[int, PrometheusExemplar]:
    return {
        bisect_left(value.bounds, exemplar.value): _exemplar(exemplar) for exemplar in exemplars
    }


def _exemplar(exemplar: Exemplar) -> PrometheusExemplar:
    ids = {"trace_id": exemplar.trace_id, "span_id": exemplar.span_id}
    return PrometheusExemplar(
        {name: value for name, value in ids.items() if value},
        exemplar.value,
        exemplar.time_ns / 1e9,
    )


def _target(resource: Resource) -> Metric:
    family = Metric("target", "Target metadata", "info")
    family.add_sample("target_info", _labels(resource.attributes), 1)
    return family


def _labels(attributes: Attributes) -> dict[str, str]:
    """Labels; the values of attributes whose names become one are joined."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        name, text = label_name(key), _text(attributes[key])
        labels[name] = f"{labels[name]};{text}" if name in labels else text
    return labels


def _text(value: AttributeValue) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return str(value).encode("utf-8", "replace").decode()
