"""The pages of both tiers as Prometheus itself reads them, with the names that the guide uses."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml

from spanbridge.testing import Receiver
from tests.peers.collector import CONFIG, Collector, tiers
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.prometheus import Prometheus, complaints, program, prometheus_server
from tests.support.program import REPOSITORY, run_program, wait_until

GUIDE = (REPOSITORY / "docs" / "guides" / "collector.md").read_text()
SECTION = GUIDE.partition("\n## What Prometheus reads\n")[2].partition("\n## ")[0]
CALLS = "traces_span_metrics_calls_total"
ARRIVAL_S = 30.0

# All that is paid takes 75 ms, so half of a bucket; every tenth fails.
SHOP = """
import time, spanbridge
from opentelemetry import metrics, trace
spanbridge.configure()
metrics.get_meter("shop").create_counter("orders", description="Orders taken").add(7)
tracer = trace.get_tracer("shop")
for number in range(200):
    with tracer.start_as_current_span("order"):
        began = time.time_ns()
        pay = tracer.start_span("pay", kind=trace.SpanKind.CLIENT, start_time=began)
        if number % 10 == 0:
            pay.set_status(trace.StatusCode.ERROR)
        pay.end(began + 75_000_000)
spanbridge.shutdown(timeout_s=30)
tell_status()
"""


@dataclass
class Watched:
    """Tiers through which a shop's spans went, and a server that reads all of their pages."""

    agent: Collector
    gateways: list[Collector]
    server: Prometheus


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    try:
        program("promtool")
        program("prometheus")
    except PeerUnavailable as reason:
        skip_or_fail("Prometheus", reason)
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver()) for _ in range(2)]
        for receiver in receivers:
            # Final to the Collector.
            receiver.fault("status", status=400, times=1)
        agent, gateways = stack.enter_context(
            tiers(
                tmp_path_factory.mktemp("tiers"),
                receivers,
                "yaml:connectors::span_metrics::metrics_flush_interval: 200ms",
                environment="staging",
                variables={"COLLECTOR_DECISION_WAIT": "1s", "COLLECTOR_SAMPLE_PERCENTAGE": "50"},
            )
        )
        run_program(
            SHOP,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{agent.http}",
            OTEL_SERVICE_NAME="shop",
            SPANBRIDGE_DESTINATIONS="otlp",
            ENVIRONMENT="staging",
        )
        wait_until(lambda: all(CALLS in gateway.page() for gateway in gateways), ARRIVAL_S)
        ports = [
            agent.metrics,
            *(port for one in gateways for port in (one.metrics, one.prometheus)),
        ]
        folder = tmp_path_factory.mktemp("prometheus")
        yield Watched(agent, gateways, stack.enter_context(prometheus_server(folder, ports)))


def test_a_server_reads_every_page(watched: Watched) -> None:
    watched.server.wait_for("sum(up)", 5)


def test_promtool_can_read_every_page_and_finds_only_names_that_are_others(
    watched: Watched,
) -> None:
    """It is about style: the Collector counts without ``_total`` and leaves out some help."""
    pages = [one.page() for one in watched.gateways]
    for page in pages:
        said = complaints(page).splitlines()
        assert [line for line in said if not line.startswith("traces_span_metrics_")] == [
            "exit code 3"
        ]
        assert {line.partition(" ")[2] for line in said[:-1]} == {"no help text"}
    for port in (watched.agent.metrics, *(one.metrics for one in watched.gateways)):
        said = complaints(httpx.get(f"http://127.0.0.1:{port}/metrics").text).splitlines()
        assert [line for line in said if not line.startswith("otelcol_")] == ["exit code 3"]
        assert {line.partition(" ")[2].partition(" suffix")[0] for line in said[:-1]} <= {
            'counter metrics should have "_total"',
            'non-histogram and non-summary metrics should not have "_count"',
            'non-histogram and non-summary metrics should not have "_sum"',
        }


def test_a_page_that_cannot_be_read_is_found(watched: Watched) -> None:
    page = watched.gateways[0].page()

    assert "exit code 1" in complaints(page.replace('span_name="pay"', "span_name=pay"))


def test_calls_of_all_gateways_add_up_under_the_labels_that_the_guide_names(
    watched: Watched,
) -> None:
    server = watched.server
    for name, number in (("order", 200), ("pay", 200)):
        server.wait_for(f'sum({CALLS}{{service_name="shop", span_name="{name}"}})', number)
    server.wait_for(f'sum({CALLS}{{span_name="pay", status_code="STATUS_CODE_ERROR"}})', 20)
    server.wait_for(f'sum({CALLS}{{span_kind="SPAN_KIND_CLIENT"}})', 200)
    server.wait_for(f'sum({CALLS}{{deployment_environment_name="staging"}})', 400)
    server.wait_for(f"count(count by (collector_instance_id) ({CALLS}))", 2)
    server.wait_for("sum(orders_total)", 7)

    named = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", SECTION, re.MULTILINE))
    labels = {name for row in named for name in row if name}
    assert len(labels) >= 8
    for found, _ in server.query(CALLS):
        assert labels <= found.keys()


def test_durations_are_in_seconds_and_in_buckets_that_tell_them_apart(watched: Watched) -> None:
    buckets = 'sum by (le) (traces_span_metrics_duration_seconds_bucket{span_name="pay"})'
    watched.server.wait_for("sum(traces_span_metrics_duration_seconds_count)", 400)
    [(_, median)] = watched.server.query(f"histogram_quantile(0.5, {buckets})")
    assert median == pytest.approx(0.075)
    told = 'traces_span_metrics_duration_seconds_sum{span_name="pay"}'
    [(_, total)] = watched.server.query(f"sum({told})")
    assert total == pytest.approx(200 * 0.075)


def test_the_queries_of_the_guide_have_answers(watched: Watched) -> None:
    [block] = re.findall(r"```promql\n(.*?)```", SECTION, re.DOTALL)
    queries = [line for line in block.splitlines() if line and not line.startswith("#")]
    assert len(queries) == 7
    # Nothing is wrong here: what is far below its limit is asked for without that.
    queries = [re.sub(r" > 0\.8.*", "", query) for query in queries]
    # Nothing was lost in a queue here, and what was not has no series: it is asked the same way.
    lost, lost_in_queue = (query for query in queries if "_failed_spans" in query)
    assert lost_in_queue == lost.replace("send_failed", "enqueue_failed")
    for query in queries:
        if query != lost_in_queue:
            wait_until(partial(watched.server.query, query), ARRIVAL_S)


def test_what_is_lost_once_is_an_alert_of_the_guide(watched: Watched) -> None:
    """Each receiver refused one request for good, before Prometheus came."""
    [query] = re.findall(r"^sum.*send_failed.*$", SECTION, re.MULTILINE)
    wait_until(partial(watched.server.query, query), ARRIVAL_S)

    exporters = {labels["exporter"] for labels, lost in watched.server.query(query) if lost > 0}

    assert exporters == {"otlp_http/sentry"}


def test_prometheus_accepts_what_the_guide_tells_it_to_scrape(
    watched: Watched, tmp_path: Path
) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    file = tmp_path / "prometheus.yml"
    file.write_text(block)
    done = subprocess.run(
        [program("promtool"), "check", "config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    [job] = yaml.safe_load(block)["scrape_configs"]
    manifest = CONFIG / "kubernetes" / "base" / "gateway.yaml"
    objects = {one["kind"]: one for one in yaml.safe_load_all(manifest.read_text())}
    [container] = objects["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert {one["port"] for one in job["dns_sd_configs"]} == {ports["metrics"], ports["spans"]}
    service = objects["Service"]["metadata"]["name"]
    assert {name for one in job["dns_sd_configs"] for name in one["names"]} == {
        f"{service}.telemetry.svc"
    }
