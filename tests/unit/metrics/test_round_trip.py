"""From the SDK's objects to ours and back: what is on the wire is what was recorded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from spanbridge.destinations.otlp_metrics import rebuild_metrics
from spanbridge.model.span import Scope
from spanbridge.record.metric import read_points
from tests.support.odd_values import Fraction, Text, Whole
from tests.support.points import RESOURCE, point, powers, spread


def collected() -> MetricsData:
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader],
        resource=Resource({"service.name": "shop"}, "https://schema.example"),
        exemplar_filter=AlwaysOnExemplarFilter(),
        shutdown_on_exit=False,
        views=[
            View(instrument_name="powers", aggregation=ExponentialBucketHistogramAggregation()),
            View(instrument_name="filtered", attribute_keys={"app.kept"}),
        ],
    )
    span = NonRecordingSpan(SpanContext(0xA, 0xB, False, TraceFlags(1)))
    context = set_span_in_context(span)
    meter = provider.get_meter("shop", "1.0", "https://other.example", {"app.scope": "x"})
    meter.create_counter("orders", "{order}", "Orders").add(2, {"app.kind": "book"}, context)
    meter.create_up_down_counter("stock").add(-1.5)
    meter.create_gauge("load").set(0.25, {"core": 1})
    meter.create_histogram("took", "s").record(0.5, {"app.list": ("a", "b")}, context)
    powers_of = meter.create_histogram("powers")
    for value in (0, 1, 3, 900):
        powers_of.record(value)
    meter.create_counter("filtered").add(1, {"app.kept": 1, "app.other": 2}, context)
    provider.get_meter("another").create_counter("orders").add(1)
    data = reader.get_metrics_data()
    assert data is not None
    return data


def test_every_kind_of_metric_is_on_the_wire_as_the_sdk_would_have_put_it_there() -> None:
    data = collected()

    rebuilt = rebuild_metrics(list(read_points(data)))

    assert encode_metrics(rebuilt) == encode_metrics(data)


def test_what_is_recorded_can_be_written_as_json_and_read_again() -> None:
    points = list(read_points(collected()))

    lines = [msgspec.json.decode(msgspec.json.encode(p)) for p in points]

    assert [line["name"] for line in lines] == [p.name for p in points]
    assert {line["kind"] for line in lines} == {
        "counter",
        "sum",
        "gauge",
        "histogram",
        "exponential_histogram",
    }


def test_equal_scopes_travel_together_as_the_encoder_keeps_only_one_of_them() -> None:
    points = [point(n, name=f"n{n}", scope=Scope("equal")) for n in range(3)]

    [resource] = encode_metrics(rebuild_metrics(points)).resource_metrics

    [scope] = resource.scope_metrics
    assert [metric.name for metric in scope.metrics] == ["n0", "n1", "n2"]


@pytest.mark.parametrize("field", ["name", "description", "unit"])
def test_what_utf8_cannot_hold_costs_a_character_not_the_batch(field: str) -> None:
    broken: dict[str, Any] = {field: "bad \udcff"}

    [resource] = encode_metrics(rebuild_metrics([point(1, **broken)])).resource_metrics

    assert getattr(resource.scope_metrics[0].metrics[0], field) == "bad \ufffd"


def test_a_queue_knows_about_how_much_memory_points_take() -> None:
    small = point(1).size_bytes
    assert point(1, attributes={"k": "x" * 1000}).size_bytes > small + 1000
    assert point(spread(*range(100), bounds=tuple(map(float, range(99))))).size_bytes > small + 1500
    assert point(powers(1, 0, *range(100))).size_bytes > small + 750
    assert point(1, resource=RESOURCE).size_bytes == small


@pytest.mark.parametrize(
    ("value", "on_the_wire"),
    [
        (Fraction(0.5), 0.5),
        (Whole(3), 3),
        (2**63 - 1, 2**63 - 1),
        (2**63, float(2**63)),
        (10**400, float("inf")),
        (-(10**400), float("-inf")),
    ],
)
def test_a_number_of_any_kind_or_size_costs_no_batch(value: Any, on_the_wire: float) -> None:
    request = encode_metrics(
        rebuild_metrics(
            [
                point(1, kind="gauge", name="a", attributes={"k": Text("a")}),
                point(value, kind="gauge", name="b"),
                point(spread(1, 0, 0, sum=value), kind="histogram", name="c"),
            ]
        )
    )

    gauge, odd, histogram = request.resource_metrics[0].scope_metrics[0].metrics
    assert gauge.gauge.data_points[0].attributes[0].value.string_value == "a"
    told = odd.gauge.data_points[0]
    assert (told.as_int or told.as_double) == on_the_wire
    assert histogram.histogram.data_points[0].sum == float(on_the_wire)
