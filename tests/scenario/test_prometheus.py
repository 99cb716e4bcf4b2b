"""The page for Prometheus: a port of its own, a range of them, or a route of the application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.hostile.test_shutdown import one_line_per_cause
from tests.support.ports import free_port, free_ports
from tests.support.program import Finished, run_program, running, wait_until
from tests.support.service import serving

SHOP = """
import sys, time, urllib.error, urllib.request, spanbridge
from opentelemetry import metrics, trace

def read(port, path="/metrics", **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    return urllib.request.urlopen(request, timeout=10)

"""


def read_openmetrics(text: str) -> Iterator[Metric]:
    families: Iterator[Metric] = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return families


def run_shop(text: str, *ports: int, cwd: str | None = None) -> Finished:
    done = run_program(SHOP + text, *map(str, ports), cwd=cwd, SPANBRIDGE_RERAISE="1")
    assert done.exit_code == 0, done.stderr
    return done


def test_its_own_parsers_read_the_page_in_both_forms(tmp_path: Path) -> None:
    done = run_shop(
        """
# Exemplars are taken in traces that somebody keeps.
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}, "file": {"metrics": False}})
meter = metrics.get_meter("shop")
took = meter.create_histogram("took", unit="s", explicit_bucket_boundaries_advisory=[1, 2])
orders = meter.create_counter("orders", unit="{order}", description='Said "so"\\nin two lines')
with trace.get_tracer("x").start_as_current_span("order") as span:
    took.record(1.5, {"le": "clash", "app.kind": "a\\nb", "app_kind": "c"})
    orders.add(2)
    print(f"{span.get_span_context().span_id:016x}")
print("PLAIN")
print(read(sys.argv[1]).read().decode())
with trace.get_tracer("x").start_as_current_span("order") as span:
    took.record(1.5, {"le": "clash", "app.kind": "a\\nb", "app_kind": "c"})
    orders.add(1)
    print(f"{span.get_span_context().span_id:016x}")
print("OPENMETRICS")
answer = read(sys.argv[1], Accept="application/openmetrics-text; version=1.0.0",
              **{"Accept-Encoding": "gzip"})
assert answer.headers["content-encoding"] == "gzip"
import gzip
print(gzip.decompress(answer.read()).decode())
""",
        free_port(),
        cwd=str(tmp_path),
    )

    text = done.stdout.partition("PLAIN\n")[2]
    first, _, second = text.partition("OPENMETRICS\n")
    page, span_id = first[:-17], first[-17:].strip()
    families = {family.name: family for family in plain(page)}
    assert families["orders"].type == "counter"
    assert families["took_seconds"].type == "histogram"
    labels = families["took_seconds"].samples[0].labels
    assert labels["exported_le"] == "clash"
    assert labels["app_kind"] == "a\nb;c"
    named = {family.name: family for family in read_openmetrics(f"{second.strip()}\n")}
    [counted] = named["orders"].samples
    assert (counted.name, counted.value) == ("orders_total", 3)
    assert counted.exemplar is not None
    assert (counted.exemplar.labels["span_id"], counted.exemplar.value) == (span_id, 1)
    by_bound = {s.labels.get("le"): s.exemplar for s in named["took_seconds"].samples}
    assert by_bound["1.0"] is None
    exemplar = by_bound["2.0"]
    assert exemplar is not None
    assert (exemplar.labels["span_id"], exemplar.value) == (span_id, 1.5)


def test_what_cannot_be_shown_is_left_out_and_said_and_the_page_stays() -> None:
    done = run_program(
        SHOP
        + """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
view = View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())
metrics.set_meter_provider(MeterProvider(views=[view]))
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}})
meter = metrics.get_meter("shop")
meter.create_histogram("exponential").record(1)
meter.create_counter("clash").add(1)
meter.create_histogram("clash").record(1)
meter.create_counter("fine").add(1)
for _ in range(2):
    print(read(sys.argv[1]).read().decode())
tell_status()
""",
        str(free_port()),
    )

    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("\nfine_total{") == 2
    assert "exponential" not in done.stdout.partition("STATUS")[0]
    outcomes = done.status.destinations["prometheus"].ledger.outcomes["metric"]
    assert outcomes == {"delivered": 4, "filtered": 4}
    assert len(done.log_lines) == 2
    assert one_line_per_cause(done)


def test_a_number_of_another_class_is_a_label_like_any_other() -> None:
    done = run_program(
        SHOP
        + """
class Fraction(float): pass
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}})
meter = metrics.get_meter("shop")
meter.create_counter("fine").add(1)
meter.create_counter("odd").add(1, {"k": Fraction(0.5)})
print(read(sys.argv[1]).read().decode())
tell_status()
""",
        str(free_port()),
    )

    assert done.exit_code == 0, done.stderr
    assert "\nfine_total{" in done.stdout
    assert '\nodd_total{k="0.5"' in done.stdout
    ledger = done.status.destinations["prometheus"].ledger
    assert ledger.outcomes["metric"] == {"delivered": 2}
    assert ledger.is_closed


def test_a_port_that_is_taken_is_said_once_and_used_once_it_is_free() -> None:
    port = free_port()
    done = run_program(
        SHOP
        + """
import socket, spanbridge.destinations.prometheus_server as server
server.RETRY_S = 0.05
other = socket.socket()
other.bind(("127.0.0.1", int(sys.argv[1])))
other.listen()
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}})
metrics.get_meter("shop").create_counter("orders").add(1)
print(spanbridge.status().destinations["prometheus"].address)
print(spanbridge.status().destinations["prometheus"].last_error)
time.sleep(0.3)
other.close()
deadline = time.monotonic() + 20
while spanbridge.status().destinations["prometheus"].address == "nowhere":
    assert time.monotonic() < deadline
    time.sleep(0.02)
print(spanbridge.status().destinations["prometheus"].last_error)
print(read(sys.argv[1]).status)
""",
        str(port),
    )

    taken = f"127.0.0.1:{port}: Address already in use"
    assert (done.exit_code, done.lines) == (0, ["nowhere", taken, "None", "200"]), done.stderr
    [line] = done.log_lines
    assert f"prometheus: no page: 127.0.0.1:{port}: Address already in use." in line


def test_workers_share_a_range_of_ports() -> None:
    first = free_ports(21)[0]
    done = run_program(
        """
        import os, sys, urllib.request, spanbridge
        from opentelemetry import metrics
        first = int(sys.argv[1])
        spanbridge.configure(destinations={"prometheus": {"port": f"{first}-{first + 20}"}})
        orders = metrics.get_meter("x").create_counter("orders")
        orders.add(100)
        pipes, children = [], []
        for number in range(3):
            (read_end, write_end), (go, started) = os.pipe(), os.pipe()
            child = os.fork()
            if child == 0:
                orders.add(number + 1)
                os.write(started, spanbridge.status().destinations["prometheus"].address.encode())
                os.read(read_end, 1)
                os._exit(0)
            children.append(child)
            pipes.append((write_end, os.read(go, 100).decode()))
        addresses = [spanbridge.status().destinations["prometheus"].address]
        addresses += [address for _, address in pipes]
        for address in addresses:
            page = urllib.request.urlopen(address).read().decode()
            print([line.split()[-1] for line in page.splitlines() if line[:7] == "orders_"])
        print(len(set(addresses)))
        for (write_end, _), child in zip(pipes, children):
            os.write(write_end, b"x")
            os.waitpid(child, 0)
        """,
        str(first),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["['100.0']", "['1.0']", "['2.0']", "['3.0']", "4"]


def test_the_page_outlasts_a_change_of_other_settings_and_moves_with_its_port() -> None:
    done = run_shop(
        """
def configure(port, **more):
    spanbridge.configure(destinations={"prometheus": {"port": port}}, environment="e", **more)

def orders_on(port):
    return [l.split()[-1] for l in read(port).read().decode().splitlines() if l[:7] == "orders_"]

first, second = sys.argv[1:]
configure(first)
orders = metrics.get_meter("shop").create_counter("orders")
orders.add(1)
configure(first, release="2")
print(orders_on(first))
configure(second)
print(orders_on(second))
try:
    read(first)
except urllib.error.URLError as error:
    print(type(error.reason).__name__)
spanbridge.configure(destinations="none")
spanbridge.flush()  # the page goes in the background
try:
    read(second)
except urllib.error.URLError as error:
    print(type(error.reason).__name__)
configure(second)
print(orders_on(second))
spanbridge.shutdown()
""",
        free_port(),
        free_port(),
    )

    assert done.lines == [
        "['1.0']",
        "['1.0']",
        "ConnectionRefusedError",
        "ConnectionRefusedError",
        "[]",
    ]


def test_a_callback_that_hangs_fails_the_next_readings_soon_and_nothing_else() -> None:
    done = run_program(
        SHOP
        + """
import threading
import spanbridge.metrics.collector as collector
collector.PAGE_TIMEOUT_S = 0.2
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}})
meter = metrics.get_meter("shop")
is_in = threading.Event()
meter.create_observable_gauge("stuck", [lambda _: is_in.set() or time.sleep(60) or []])
threading.Thread(target=read, args=(sys.argv[1],), daemon=True).start()
assert is_in.wait(20)
meter.create_counter("orders").add(1)
for _ in range(2):
    try:
        read(sys.argv[1])
    except urllib.error.HTTPError as error:
        print(error.code)
""",
        str(free_port()),
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1",
    )

    assert (done.exit_code, done.lines) == (0, ["503", "503"]), done.stderr
    assert done.seconds < 30
    causes = [line.split(": ")[2] for line in done.log_lines]
    assert causes == ["no page"]


def test_a_reading_that_failed_is_told_until_one_goes_well() -> None:
    done = run_program(
        SHOP
        + """
import threading
import spanbridge.metrics.collector as collector
collector.PAGE_TIMEOUT_S = 0.2
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}})
def status():
    return spanbridge.status().destinations["prometheus"]
is_in, is_over = threading.Event(), threading.Event()
meter = metrics.get_meter("shop")
meter.create_observable_gauge("stuck", [lambda _: is_in.set() or is_over.wait(60) and []])
def is_read():
    try:
        return read(sys.argv[1]).status == 200
    except urllib.error.HTTPError:
        return False
threading.Thread(target=is_read, daemon=True).start()
assert is_in.wait(20)
print(is_read(), status().last_error)
is_over.set()
deadline = time.monotonic() + 20
while not is_read():
    assert time.monotonic() < deadline
    time.sleep(0.05)
print(status().last_error)
""",
        str(free_port()),
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1",
    )

    assert done.exit_code == 0, done.stderr
    assert done.lines == ["False a callback of an observable instrument does not return", "None"]


def test_nobody_can_write_and_a_broken_client_makes_no_noise() -> None:
    done = run_program(
        SHOP
        + """
import http.client, socket
spanbridge.configure(destinations={"prometheus": {"port": sys.argv[1]}})
metrics.get_meter("shop").create_counter("orders").add(1)
for method in ("POST", "HEAD"):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    connection.request(method, "/metrics")
    answer = connection.getresponse()
    print(answer.status, len(answer.read()) > 0)
for nonsense in (b"", b"GET /metrics HTT", b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    client.sendall(nonsense)
    client.close()
time.sleep(0.3)
print(read(sys.argv[1], "/anything").status)
""",
        str(free_port()),
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["405 True", "200 False", "200"]


FASTAPI = """
import spanbridge
from fastapi import FastAPI
from opentelemetry import metrics
from spanbridge.instrument.fastapi import instrument_app
from spanbridge.prometheus import make_asgi_app

spanbridge.configure()
orders = metrics.get_meter("shop").create_counter("orders")
app = FastAPI()
app.mount("/metrics", make_asgi_app())

@app.get("/order")
async def order() -> str:
    orders.add(1)
    return "taken"

instrument_app(app, excluded_urls="metrics")
"""


def test_fastapi_mounts_the_page_and_runs_unchanged_without_one(tmp_path: Path) -> None:
    for variables in (
        {"SPANBRIDGE_DESTINATIONS": "prometheus", "SPANBRIDGE_PROMETHEUS_PORT": "off"},
        {"SPANBRIDGE_DESTINATIONS": "none"},
    ):
        with serving(tmp_path, FASTAPI, **variables) as service:
            for _ in range(3):
                assert httpx.get(f"{service.url}/order").json() == "taken"
            answer = httpx.get(f"{service.url}/metrics/")
        if variables["SPANBRIDGE_DESTINATIONS"] == "none":
            assert answer.status_code == 404
        else:
            assert answer.status_code == 200
            assert re.search(r"^orders_total{.*} 3\.0$", answer.text, re.M)
            assert re.search(r"^http_server_\w+_count{.*} 3", answer.text, re.M)


FLASK = """
import sys, spanbridge
from flask import Flask
from opentelemetry import metrics
from spanbridge.prometheus import make_wsgi_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware

spanbridge.configure()
orders = metrics.get_meter("shop").create_counter("orders")
app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app()})

@app.get("/order")
def order():
    orders.add(1)
    return "taken"

app.run(port=int(sys.argv[1]))
"""


def test_flask_mounts_it_too() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {"SPANBRIDGE_DESTINATIONS": "prometheus", "SPANBRIDGE_PROMETHEUS_PORT": "off"}
    with running("-c", FLASK, str(port), port=port, **variables):
        httpx.get(f"{url}/order")
        page = wait_until(lambda: httpx.get(f"{url}/metrics").text)

    assert re.search(r"^orders_total{.*} 1", page, re.M)
