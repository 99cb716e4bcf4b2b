"""What an application records with OpenTelemetry's metrics API, at every destination."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.support.documents import all_blocks
from tests.support.metric_points import Arrived, arrived, in_file
from tests.support.ports import free_port
from tests.support.program import Finished, run_program

APPLICATION = """
import os, urllib.request, spanbridge
from opentelemetry import metrics, trace

spanbridge.configure()
meter = metrics.get_meter("shop", "1.2")
orders = meter.create_counter("orders", unit="{order}", description="Taken by https://joe:hunter2@shop.example")
stock = meter.create_up_down_counter("stock")
took = meter.create_histogram("order.duration", unit="s",
                              explicit_bucket_boundaries_advisory=[0.1, 1, 10])
meter.create_observable_gauge("load", [lambda _: [metrics.Observation(0.5, {"core": 1})]])

for customer in ("ann@example.com", "bob@example.com"):
    orders.add(2, {"app.kind": "book", "user.email": customer})
stock.add(5)
stock.add(-7)
with trace.get_tracer("shop").start_as_current_span("order"):
    for seconds in (0.05, 0.5, 5, 50):
        took.record(seconds, {"app.note": "card 4111", "password": "hunter2"})
if page := os.environ.get("PAGE"):
    print(urllib.request.urlopen(page).read().decode())
assert spanbridge.flush()
tell_status()
"""

SECRETS = ("ann@", "bob@", "hunter2")


def run_on(destinations: str, receiver: Receiver, folder: Path, **variables: str) -> Finished:
    return run_program(
        APPLICATION,
        SPANBRIDGE_DESTINATIONS=destinations,
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_FILE_PATH=str(folder / "told.jsonl"),
        SENTRY_ENVIRONMENT="development",
        SPANBRIDGE_RERAISE="1",
        OTEL_SERVICE_NAME="shop",
        **variables,
    )


def only(points: list[Arrived], name: str) -> Arrived:
    [point] = [point for point in points if point.name == name][:1]
    return point


def test_over_otlp_they_arrive_whole_scrubbed_and_from_the_same_resource_as_spans(
    receiver: Receiver, tmp_path: Path
) -> None:
    done = run_on("otlp", receiver, tmp_path)

    assert (done.exit_code, done.stderr) == (0, "")
    points = arrived(receiver)
    orders = only(points, "orders")
    # Two customers are one series once they are nobody.
    assert (orders.value, orders.unit, orders.kind) == (4, "{order}", "sum")
    assert orders.data["isMonotonic"] is True
    assert orders.data["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE"
    assert orders.attributes["app.kind"] == "book"
    assert (only(points, "stock").value, only(points, "load").value) == (-2, 0.5)
    duration = only(points, "order.duration").point
    assert duration["bucketCounts"] == ["1", "1", "1", "1"]
    assert duration["explicitBounds"] == [0.1, 1.0, 10.0]
    assert (duration["count"], duration["sum"]) == ("4", 55.55)
    [span] = receiver.spans
    exemplars = duration["exemplars"]
    assert len(exemplars) == 4
    assert orders.scope == "shop"
    told_of_spans = {key: str(value) for key, value in span.resource.attributes.items()}
    assert {key: str(value) for key, value in orders.resource.items()} == told_of_spans
    assert orders.resource["service.name"] == "shop"
    text = json.dumps([item.payload for item in receiver.items("otlp_metrics")])
    assert not [secret for secret in SECRETS if secret in text]
    ledger = done.status.destinations["otlp"].ledger
    assert ledger.is_closed
    assert ledger.outcomes["metric"] == {"delivered": 4, "merged": 1}
    assert receiver.violations == []
    assert done.status.metrics == ("otlp",)


def test_a_file_holds_a_line_for_each_point(receiver: Receiver, tmp_path: Path) -> None:
    done = run_on("file", receiver, tmp_path)

    assert (done.exit_code, done.stderr) == (0, "")
    lines = in_file(tmp_path / "told.jsonl")
    by_name = {line["name"]: line for line in lines}
    assert by_name["orders"]["value"] == 4
    assert by_name["orders"]["kind"] == "counter"
    assert by_name["stock"]["kind"] == "sum"
    assert by_name["order.duration"]["value"]["counts"] == [1, 1, 1, 1]
    assert not [s for s in SECRETS if s in (tmp_path / "told.jsonl").read_text()]


def test_the_console_prints_each_value_on_a_line_and_again_only_if_it_changed(
    receiver: Receiver, tmp_path: Path
) -> None:
    more = "orders.add(1, {'app.kind': 'game'})\nassert spanbridge.flush()\n"
    done = run_program(
        APPLICATION + more, SPANBRIDGE_DESTINATIONS="console", SPANBRIDGE_RERAISE="1"
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert [line for line in done.lines if line.startswith(("metrics", "  "))] == [
        "metrics",
        "  orders  4 {order}  app.kind=book",
        "  stock  -2",
        "  order.duration  4 × mean 13.89 s max 50 s  app.note=card 4111  password=[REDACTED]",
        "  load  0.5  core=1",
        "metrics",
        "  orders  1 {order}  app.kind=game",
    ]


def test_prometheus_reads_them_from_a_page(receiver: Receiver, tmp_path: Path) -> None:
    port = free_port()
    done = run_on(
        "prometheus",
        receiver,
        tmp_path,
        SPANBRIDGE_PROMETHEUS_PORT=str(port),
        PAGE=f"http://127.0.0.1:{port}/metrics",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    scope = 'otel_scope_name="shop",otel_scope_version="1.2"'
    assert f'orders_total{{app_kind="book",{scope}}} 4.0' in done.lines
    assert f"stock{{{scope}}} -2.0" in done.lines
    assert f'load{{core="1",{scope}}} 0.5' in done.lines
    buckets = re.findall(r'order_duration_seconds_bucket{.*le="(.+?)",.*} (.+)', done.stdout)
    assert buckets == [("0.1", "1.0"), ("1.0", "2.0"), ("10.0", "3.0"), ("+Inf", "4.0")]
    assert 'service_name="shop"' in done.stdout
    assert not [secret for secret in SECRETS if secret in done.stdout]
    prometheus = done.status.destinations["prometheus"]
    assert prometheus.ledger.outcomes == {"metric": {"delivered": 4, "merged": 1}}
    assert prometheus.address == f"http://127.0.0.1:{port}/metrics"
    assert receiver.requests == {}


def test_sentry_takes_none_and_is_asked_for_none(receiver: Receiver, tmp_path: Path) -> None:
    program = APPLICATION + "print(type(metrics.get_meter_provider()).__name__)"
    done = run_program(
        program,
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_DESTINATIONS="sentry",
        SENTRY_ENVIRONMENT="development",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert list(receiver.requests) == ["/api/1/envelope/"]
    assert done.status.metrics == ()
    assert "metric" not in done.status.destinations["sentry"].ledger.accepted
    # The application can still install what it likes.
    assert done.lines[-1] == "_ProxyMeterProvider"


def test_beside_sentry_prometheus_has_all_of_them_whatever_share_of_traces_is_kept(
    receiver: Receiver, tmp_path: Path
) -> None:
    port = free_port()
    done = run_on(
        "sentry,prometheus",
        receiver,
        tmp_path,
        SENTRY_TRACES_SAMPLE_RATE="0",
        SPANBRIDGE_PROMETHEUS_PORT=str(port),
        PAGE=f"http://127.0.0.1:{port}/metrics",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert receiver.transactions == []
    assert re.search(r"order_duration_seconds_count{.*} 4.0", done.stdout)
    assert set(receiver.requests) <= {"/api/1/envelope/"}


@pytest.mark.parametrize(
    ("preference", "deltas"),
    [
        ("cumulative", set()),
        ("DELTA", {"orders", "order.duration", "seen"}),
        ("lowmemory", {"orders", "order.duration"}),
    ],
)
def test_the_temporality_is_what_otels_variable_asks_for(
    receiver: Receiver, preference: str, deltas: set[str]
) -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import metrics
        spanbridge.configure()
        meter = metrics.get_meter("x")
        orders, took = meter.create_counter("orders"), meter.create_histogram("order.duration")
        meter.create_observable_counter("seen", [lambda _: [metrics.Observation(9)]])
        stock = meter.create_up_down_counter("stock")
        for _ in range(2):
            orders.add(5); took.record(1); stock.add(1)
            assert spanbridge.flush()
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=preference,
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    points = arrived(receiver)
    told = {p.name for p in points if p.data["aggregationTemporality"].endswith("DELTA")}
    assert told == deltas
    orders = [point.value for point in points if point.name == "orders"]
    assert orders[:2] == ([5, 5] if "orders" in deltas else [5, 10])
    stock = [point.value for point in points if point.name == "stock"]
    assert stock[:2] == [1, 2]


def test_histograms_may_be_exponential(receiver: Receiver, tmp_path: Path) -> None:
    done = run_on(
        "otlp",
        receiver,
        tmp_path,
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    duration = only(arrived(receiver), "order.duration")
    assert duration.kind == "exponentialHistogram"
    assert (duration.point["count"], duration.point["sum"]) == ("4", 55.55)
    assert sum(map(int, duration.point["positive"]["bucketCounts"])) == 4


def test_they_are_sent_on_the_interval_without_anybody_asking(receiver: Receiver) -> None:
    done = run_program(
        """
        import sys, time, spanbridge
        from opentelemetry import metrics
        spanbridge.configure()
        orders = metrics.get_meter("x").create_counter("orders")
        deadline = time.monotonic() + 20
        delivered = 0
        while delivered < 5 and time.monotonic() < deadline:
            orders.add(1)
            time.sleep(0.05)
            outcomes = spanbridge.status().destinations["otlp"].ledger.outcomes
            delivered = outcomes.get("metric", {}).get("delivered", 0)
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        OTEL_METRIC_EXPORT_INTERVAL="100",
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    values = [point.value for point in arrived(receiver)]
    assert len(values) >= 5
    assert values == sorted(values)


def test_which_destinations_get_them_is_said_by_otels_variable_and_by_ours(
    receiver: Receiver, tmp_path: Path
) -> None:
    done = run_on(
        "otlp,file,console",
        receiver,
        tmp_path,
        OTEL_METRICS_EXPORTER="otlp",
        SPANBRIDGE_FILE_METRICS="true",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.status.metrics == ("otlp", "file")
    assert arrived(receiver)
    assert in_file(tmp_path / "told.jsonl")
    assert "metrics" not in done.lines


def test_with_none_of_them_there_is_no_provider_and_no_thread(
    receiver: Receiver, tmp_path: Path
) -> None:
    done = run_program(
        """
        import threading, spanbridge
        from opentelemetry import metrics
        spanbridge.configure()
        print(type(metrics.get_meter_provider()).__name__)
        print([t.name for t in threading.enumerate() if "metrics" in t.name])
        """,
        SPANBRIDGE_DESTINATIONS="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        OTEL_METRICS_EXPORTER="none",
    )

    assert (done.exit_code, done.lines) == (0, ["_ProxyMeterProvider", "[]"])


def test_series_beyond_the_limit_of_a_metric_become_one(receiver: Receiver) -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import metrics
        spanbridge.configure()
        orders = metrics.get_meter("x").create_counter("orders")
        for number in range(3000):
            orders.add(1, {"app.number": number})
        assert spanbridge.flush(20)
        tell_status()
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_RERAISE="1",
    )

    assert done.exit_code == 0
    ledger = done.status.destinations["otlp"].ledger
    assert ledger.is_closed
    assert ledger.outcomes["metric"]["delivered"] == 2000
    by_kind: Counter[bool] = Counter()
    for point in arrived(receiver)[:2000]:
        by_kind["otel.metric.overflow" in point.attributes] += int(point.value)
    assert by_kind == {False: 1999, True: 1001}


def test_views_are_those_of_a_provider_set_before_as_the_guide_shows() -> None:
    [block] = all_blocks("python", "views")
    done = run_program(
        "from opentelemetry import metrics\nimport spanbridge\n"
        + block.text
        + "orders = metrics.get_meter('x').create_counter('orders')\n"
        + "orders.add(1, {'app.kind': 'book', 'app.number': 1})\n"
        + "orders.add(2, {'app.kind': 'book', 'app.number': 2})\n"
        + "assert spanbridge.flush()\n",
        SPANBRIDGE_DESTINATIONS="console",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["metrics", "  orders  3  app.kind=book"]
