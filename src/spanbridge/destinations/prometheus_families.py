"""Points of metrics as families of samples, which Prometheus reads.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility".
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client.core import Metric
from prometheus_client.samples import Exemplar as PrometheusExemplar
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from spanbridge.destinations.prometheus_names import label_name, metric_name, unit_name
from spanbridge.model.metric import Distribution, ExponentialDistribution
from spanbridge.model.plain_json import encode_json, plain_text

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
# OpenMetrics, "Suffixes": what the samples of a family of a type are called besides. No other
# family may have such a name.
_SUFFIXES: Final = {
    "counter": ("_total", "_created"),
    "gauge": (),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "info": ("_info",),
}

EXPONENTIAL: Final = "exponential histogram"
OTHER_KIND: Final = "name of another kind"
NAME_TAKEN: Final = "name of another metric's samples"
TOLD_TWICE: Final = "series told twice"


class Families:
    """The families of one page.

    Attributes:
        left_out: Points that cannot be shown, by the reason.
        failed: Points on which something failed, by the name of the error.
    """

    def __init__(self, points: Iterable[MetricPoint]) -> None:
        self.left_out: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._by_name: dict[str, Metric] = {}
        self._taken: set[str] = set()
        """Names of families and of their samples."""
        self._series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._scopes: dict[int, dict[str, str]] = {}
        for point in points:
            if not self._by_name:
                self._show(_target(point.resource))
            try:
                self._add(point)
            except Exception as error:  # a value of the application's costs its own point
                self.failed[type(error).__name__] += 1

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
            family = Metric(name, plain_text(point.description or point.name), kind, unit)
            if not self._taken.isdisjoint(_names(family)):
                self.left_out[NAME_TAKEN] += 1
                return
        if family.type != kind:
            self.left_out[OTHER_KIND] += 1
            return
        labels = {**self._of_scope(point.scope), **_labels(point.attributes)}
        series = (name, frozenset(labels.items()))
        if series in self._series:
            self.left_out[TOLD_TWICE] += 1
            return
        # Whole or not at all.
        samples = _samples(name, labels, point)
        self._series.add(series)
        self._show(family)
        family.samples += samples

    def _show(self, family: Metric) -> None:
        self._by_name[family.name] = family
        self._taken.update(_names(family))

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


def _names(family: Metric) -> list[str]:
    return [family.name, *[f"{family.name}{suffix}" for suffix in _SUFFIXES[family.type]]]


def _samples(name: str, labels: dict[str, str], point: MetricPoint) -> list[Sample]:
    value = point.value
    if isinstance(value, Distribution):
        own = {
            f"exported_{key}" if key == _BUCKET_LABEL else key: label
            for key, label in labels.items()
        }
        exemplars = _by_bucket(value, point.exemplars)
        bounds = [*map(floatToGoString, value.bounds), "+Inf"]
        return [
            *[
                Sample(
                    f"{name}_bucket",
                    {**own, _BUCKET_LABEL: bounds[index]},
                    below,
                    exemplar=exemplars.get(index),
                )
                for index, below in enumerate(accumulate(value.counts))
            ],
            Sample(f"{name}_sum", own, float(value.sum)),
            Sample(f"{name}_count", own, value.count),
        ]
    assert not isinstance(value, ExponentialDistribution)
    if point.kind == "counter":
        exemplar = _exemplar(point.exemplars[-1]) if point.exemplars else None
        return [Sample(f"{name}_total", labels, float(value), exemplar=exemplar)]
    return [Sample(name, labels, float(value))]


def _by_bucket(value: Distribution, exemplars: Iterable[Exemplar]) -> dict[int, PrometheusExemplar]:
    return {
        bisect_left(value.bounds, exemplar.value): _exemplar(exemplar) for exemplar in exemplars
    }


def _exemplar(exemplar: Exemplar) -> PrometheusExemplar:
    ids = {"trace_id": exemplar.trace_id, "span_id": exemplar.span_id}
    return PrometheusExemplar(
        {name: value for name, value in ids.items() if value},
        float(exemplar.value),
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
    return plain_text(value) if isinstance(value, str) else encode_json(value).decode()
