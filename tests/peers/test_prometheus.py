"""The page as Prometheus itself reads it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.prometheus import complaints, program, prometheus_server
from tests.support.ports import free_port, free_ports, listens
from tests.support.program import clean_environment, wait_until

LEDGER = Path(__file__).parents[2] / "docs" / "explain" / "ledger.md"

SHOP = """
import os, sys, spanbridge
from opentelemetry import metrics
spanbridge.configure()
meter = metrics.get_meter("shop", "1.0")
orders = meter.create_counter("orders", unit="{order}", description="Orders taken")
meter.create_up_down_counter("stock", description="Books in stock").add(7)
meter.create_gauge("load", unit="1", description="Share of a core").set(0.25, {"core": 1})
took = meter.create_histogram("took", unit="s", description="Time an order takes",
                              explicit_bucket_boundaries_advisory=[0.1, 1])
for seconds in (0.05, 0.5, 5):
    took.record(seconds, {"app.kind": 'a "quoted" \\\\ kind'})
children = []
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        orders.add(10, {"app.kind": "book"})
        sys.stdin.read()
        os._exit(0)
    children.append(child)
orders.add(1, {"app.kind": "book"})
sys.stdin.read()
"""

LOSING = """
import sys, threading, spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("shop")
is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), is_over.set())).start()
while not is_over.wait(0.2):
    tracer.start_span("order").end()
"""


@pytest.fixture(scope="module", autouse=True)
def _prometheus_is_installed() -> None:
    try:
        program("promtool")
        program("prometheus")
    except PeerUnavailable as reason:
        skip_or_fail("Prometheus", reason)


@contextmanager
def shop(ports: Sequence[int]) -> Iterator[None]:
    """A shop whose processes, one for each port, show a page each."""
    process = subprocess.Popen(
        [sys.executable, "-c", SHOP, str(len(ports) - 1)],
        stdin=subprocess.PIPE,
        text=True,
        env=clean_environment(
            SPANBRIDGE_DESTINATIONS="prometheus",
            SPANBRIDGE_PROMETHEUS_PORT=f"{ports[0]}-{ports[-1]}",
            OTEL_SERVICE_NAME="shop",
        ),
    )
    try:
        wait_until(lambda: all(map(listens, ports)), 30)
        yield
    finally:
        process.communicate("", timeout=30)


def test_promtool_has_no_complaint_about_any_kind_of_metric() -> None:
    port = free_port()

    def told() -> str:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        return page if "\norders_total{" in page else ""

    with shop([port]):
        page = wait_until(told, 30)  # it listens before it takes an order, which it does last

    assert "took_seconds_bucket" in page
    assert complaints(page) == ""


def test_a_server_reads_every_worker_of_a_range_and_adds_them_up(tmp_path: Path) -> None:
    ports = free_ports(3)
    with shop(ports), prometheus_server(tmp_path, ports) as server:
        server.wait_for("sum(up)", 3)
        server.wait_for("sum(orders_total)", 21)
        server.wait_for('stock{otel_scope_name="shop"}', 7)
        server.wait_for("histogram_quantile(0.5, sum by (le) (took_seconds_bucket))", 0.55)
        [(labels, value)] = server.query("max(load_ratio) by (core)")
        assert (labels, value) == ({"core": "1"}, 0.25)
        joined = server.query("orders_total * on (instance) group_left (service_name) target_info")
        assert {labels["service_name"] for labels, _ in joined} == {"shop"}
        assert len(joined) == 3


def test_the_alert_on_what_is_lost_begins_with_the_first_loss_and_lasts_as_long(
    receiver: Receiver, tmp_path: Path
) -> None:
    [alert] = re.findall(r"```promql\n(.*)\n```", LEDGER.read_text())
    lasting, _, first = alert.partition(" or ")
    receiver.fault("status", status=403, endpoint="envelope", times=None)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", LOSING],
        stdin=subprocess.PIPE,
        text=True,
        env=clean_environment(
            SPANBRIDGE_DESTINATIONS="sentry,prometheus",
            SPANBRIDGE_SELF_METRICS="true",
            SPANBRIDGE_PROMETHEUS_PORT=str(port),
            SENTRY_DSN=receiver.dsn,
            SENTRY_ENVIRONMENT="development",
        ),
    )
    try:
        with prometheus_server(tmp_path, [port]) as server:
            wait_until(partial(server.query, first), 30)
            # As it is once the series is older than the window.
            wait_until(partial(server.query, lasting), 30)
            lost = [labels for labels, _ in server.query(alert)]
            page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    finally:
        process.communicate("", timeout=30)

    assert {
        "otel_component_name": "sentry",
        "spanbridge_ledger_signal": "span",
        "spanbridge_ledger_outcome": "failed",
    } in lost
    assert complaints(page) == ""
