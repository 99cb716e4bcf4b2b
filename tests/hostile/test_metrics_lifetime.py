"""Metrics while settings change, providers are foreign, callbacks hang and processes fork."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.hostile.test_shutdown import one_line_per_cause
from tests.support.metric_points import arrived, in_file
from tests.support.program import run_program


def test_an_exchange_of_destinations_under_load_loses_and_doubles_nothing() -> None:
    with Receiver() as first, Receiver() as second:
        done = run_program(
            """
            import sys, threading, spanbridge
            from opentelemetry import metrics

            def configure(url):
                spanbridge.configure(
                    environment="development",
                    destinations={"otlp": {"endpoint": url, "metrics_temporality": "delta"}},
                )

            configure(sys.argv[1])
            orders = metrics.get_meter("x").create_counter("orders")

            def work(name):
                for _ in range(20_000):
                    orders.add(1, {"app.thread": name})

            threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
            for thread in threads:
                thread.start()
            for number in range(6):
                configure(sys.argv[1 + (number + 1) % 2])
            for thread in threads:
                thread.join()
            assert spanbridge.shutdown()
            """,
            first.otlp_endpoint,
            second.otlp_endpoint,
            SPANBRIDGE_RERAISE="1",
        )
        by_thread: Counter[str] = Counter()
        receivers = (arrived(first), arrived(second))

    assert (done.exit_code, done.stderr) == (0, "")
    for points in receivers:
        assert points
        for point in points:
            by_thread[point.attributes["app.thread"]] += int(point.value)
    assert by_thread == dict.fromkeys("0123", 20_000)


def test_totals_go_on_after_an_exchange_and_start_anew_after_a_shutdown(tmp_path: Path) -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import metrics

        def configure(path):
            spanbridge.configure(destinations={"file": {"path": path}})

        configure("a.jsonl")
        orders = metrics.get_meter("x").create_counter("orders")
        orders.add(5)
        configure("b.jsonl")
        orders.add(5)
        assert spanbridge.shutdown()
        orders.add(100)
        configure("c.jsonl")
        orders.add(1)
        assert spanbridge.shutdown()
        """,
        cwd=str(tmp_path),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    values = {
        name: [point["value"] for point in in_file(tmp_path / f"{name}.jsonl")] for name in "abc"
    }
    assert values == {"a": [5], "b": [10], "c": [1]}


def test_the_same_settings_again_change_nothing(tmp_path: Path) -> None:
    done = run_program(
        """
        import threading, spanbridge
        from opentelemetry import metrics

        def state():
            spanbridge.configure(destinations={"file": {"path": "a.jsonl"}})
            return metrics.get_meter_provider(), set(threading.enumerate())

        assert state() == state()
        """,
        cwd=str(tmp_path),
    )

    assert (done.exit_code, done.stderr) == (0, "")


def test_a_provider_that_was_set_before_stays_and_is_read_from_as_well(tmp_path: Path) -> None:
    done = run_program(
        """
        import os, spanbridge
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.metrics.view import View

        theirs = InMemoryMetricReader()
        provider = MeterProvider([theirs], views=[View(instrument_name="orders", name="bookings")])
        metrics.set_meter_provider(provider)
        spanbridge.configure(destinations={"file": {"path": "parent.jsonl"}})
        assert metrics.get_meter_provider() is provider
        orders = metrics.get_meter("x").create_counter("orders")
        orders.add(5)
        assert spanbridge.flush()

        child = os.fork()
        if child == 0:
            spanbridge.configure(destinations={"file": {"path": "child.jsonl"}})
            orders.add(1)
            assert spanbridge.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        data = theirs.get_metrics_data()
        [metric] = data.resource_metrics[0].scope_metrics[0].metrics
        print(metric.name, metric.data.data_points[0].value)
        """,
        cwd=str(tmp_path),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["bookings 5"]
    parent = in_file(tmp_path / "parent.jsonl")
    assert {(point["name"], point["value"]) for point in parent} == {("bookings", 5)}
    [last] = in_file(tmp_path / "child.jsonl")[-1:]
    assert (last["name"], last["value"]) == ("bookings", 1)


def test_a_provider_that_takes_no_readers_is_said_once() -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import metrics
        metrics.set_meter_provider(metrics.NoOpMeterProvider())
        spanbridge.configure(destinations={"console": {}})
        metrics.get_meter("x").create_counter("orders").add(1)
        assert spanbridge.flush()
        tell_status()
        """
    )

    assert done.exit_code == 0
    assert done.status.metrics == ()
    [line] = done.log_lines
    assert "NoOpMeterProvider was set before spanbridge.configure()" in line


def test_flushing_or_closing_the_provider_delivers(tmp_path: Path) -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import metrics
        spanbridge.configure(destinations={"file": {"path": "a.jsonl"}})
        provider = metrics.get_meter_provider()
        orders = metrics.get_meter("x").create_counter("orders")
        orders.add(1)
        assert provider.force_flush()
        print(len(open("a.jsonl").readlines()))
        spanbridge.configure(destinations={"file": {"path": "b.jsonl"}})
        orders.add(1)
        provider.shutdown()
        print(len(open("b.jsonl").readlines()))
        """,
        cwd=str(tmp_path),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["1", "1"]


STUCK = """
import atexit, sys, threading, time
atexit.register(tell_status)
import spanbridge
from opentelemetry import metrics, trace
spanbridge.configure()
meter = metrics.get_meter("x")
orders = meter.create_counter("orders")

def stuck(options):
    time.sleep(60)
    return []

meter.create_observable_gauge("stuck", [stuck])
orders.add(1)
trace.get_tracer("x").start_span("told").end()
assert not spanbridge.flush(1)
began = time.perf_counter()
for _ in range(1000):
    orders.add(1)
print(time.perf_counter() - began)
"""


def test_a_callback_that_does_not_return_holds_up_neither_spans_nor_the_end(
    receiver: Receiver,
) -> None:
    done = run_program(
        STUCK,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1",
    )

    assert done.exit_code == 0, done.stderr
    assert float(done.lines[0]) < 5
    assert done.seconds < 20
    assert [span.name for span in receiver.spans] == ["told"]
    assert done.status.destinations["otlp"].ledger.is_closed
    assert one_line_per_cause(done), done.stderr


def test_a_callback_that_does_not_return_holds_up_nobody_who_changes_the_settings(
    tmp_path: Path,
) -> None:
    done = run_program(
        """
        import threading, time, spanbridge
        from opentelemetry import metrics, trace

        def configure(name):
            began = time.monotonic()
            spanbridge.configure(destinations={"file": {"path": f"{name}.jsonl"}})
            print(time.monotonic() - began)

        configure("a")
        meter = metrics.get_meter("x")
        meter.create_counter("orders").add(1)
        goes_on = threading.Event()
        meter.create_observable_gauge("stuck", [lambda options: goes_on.wait(60) and []])
        for name in "bc":
            configure(name)
            trace.get_tracer("x").start_span(f"while {name} is new").end()
        assert not spanbridge.flush(1)
        goes_on.set()
        assert spanbridge.flush(10)
        assert spanbridge.shutdown()
        tell_status()
        """,
        cwd=str(tmp_path),
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="30",
    )

    assert done.exit_code == 0, done.stderr
    assert all(float(took) < 10 for took in done.lines[1:3])
    for name in "bc":
        assert f"while {name} is new" in (tmp_path / f"{name}.jsonl").read_text()
    assert [point["name"] for point in in_file(tmp_path / "a.jsonl")] == ["orders"]
    assert {point["name"] for point in in_file(tmp_path / "c.jsonl")} == {"orders"}
    assert done.status.destinations["file"].ledger.is_closed
    assert done.status.former["file"].is_closed


def test_a_callback_that_fails_costs_its_own_metric_alone(tmp_path: Path) -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import metrics
        spanbridge.configure(destinations={"file": {"path": "a.jsonl"}})
        meter = metrics.get_meter("x")

        def fails(options):
            raise SystemExit("a callback has no business to say so")

        meter.create_counter("orders").add(1)
        spanbridge.flush()
        meter.create_observable_gauge("fails", [lambda options: 1 / 0])
        meter.create_counter("orders").add(1)
        spanbridge.flush()
        meter.create_observable_gauge("exits", [fails])
        spanbridge.flush()
        print("alive")
        """,
        cwd=str(tmp_path),
    )

    assert (done.exit_code, done.lines) == (0, ["alive"])
    assert [point["value"] for point in in_file(tmp_path / "a.jsonl")][:2] == [1, 2]


def test_parent_and_child_tell_what_they_recorded_themselves(tmp_path: Path) -> None:
    done = run_program(
        """
        import os, spanbridge
        from opentelemetry import metrics
        spanbridge.configure(destinations={"file": {"path": "told.jsonl"}})
        orders = metrics.get_meter("x").create_counter("orders")
        orders.add(100, {"app.who": "before"})
        children = []
        for number in range(3):
            child = os.fork()
            if child == 0:
                orders.add(number + 1, {"app.who": f"child {number}"})
                assert spanbridge.shutdown()
                tell_status()
                os._exit(0)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        orders.add(50, {"app.who": "parent"})
        assert spanbridge.shutdown()
        tell_status()
        """,
        cwd=str(tmp_path),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    points = in_file(tmp_path / "told.jsonl")
    told = Counter((point["attributes"]["app.who"], point["value"]) for point in points)
    assert told == {
        ("before", 100): 1,
        ("parent", 50): 1,
        ("child 0", 1): 1,
        ("child 1", 2): 1,
        ("child 2", 3): 1,
    }
    instances = {point["resource"]["attributes"]["service.instance.id"] for point in points}
    assert len(instances) == 4
    for status in done.statuses:
        ledger = status.destinations["file"].ledger
        assert ledger.is_closed
        assert ledger.outcomes["metric"] in ({"delivered": 1}, {"delivered": 2})


def test_forks_while_metrics_are_collected_never_hang(tmp_path: Path) -> None:
    done = run_program(
        """
        import os, signal, sys, threading, time, spanbridge
        from opentelemetry import metrics
        spanbridge.configure(
            destinations={"file": {"path": "told.jsonl"}}, metric_interval_s=0.002
        )
        meter = metrics.get_meter("x")
        orders = meter.create_counter("orders")
        meter.create_observable_gauge(
            "slow", [lambda _: time.sleep(0.001) or [metrics.Observation(1)]]
        )
        for number in range(500):
            orders.add(1, {"app.number": number})
        for number in range(40):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                orders.add(1, {"app.number": number})
                meter.create_observable_gauge(f"of.{number}", [lambda _: []])
                assert spanbridge.flush(10)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0, number
        print("no child hung")
        """,
        cwd=str(tmp_path),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.lines) == (0, ["no child hung"]), done.stderr


@pytest.mark.parametrize("trouble", ["hang", "503"])
def test_points_that_cannot_be_delivered_are_counted(receiver: Receiver, trouble: str) -> None:
    if trouble == "hang":
        receiver.fault("hang", delay_s=60, times=None)
    else:
        receiver.fault("status", status=503, times=None)
    done = run_program(
        """
        import atexit
        atexit.register(tell_status)
        import spanbridge
        from opentelemetry import metrics
        spanbridge.configure()
        orders = metrics.get_meter("x").create_counter("orders")
        for number in range(7):
            orders.add(1, {"app.number": number})
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1",
    )

    assert done.exit_code == 0
    assert done.seconds < 15
    ledger = done.status.destinations["otlp"].ledger
    assert ledger.is_closed
    assert ledger.accepted["metric"] == 7
    assert ledger.outcomes["metric"] == {"failed": 7}
    assert one_line_per_cause(done), done.stderr


def test_memory_is_bounded_while_the_server_hangs(receiver: Receiver) -> None:
    receiver.fault("hang", delay_s=60, times=None)
    done = run_program(
        """
        import time, spanbridge
        from opentelemetry import metrics
        spanbridge.configure(
            environment="development",
            destinations={"otlp": {"endpoint": __import__("sys").argv[1], "queue_max_items": 100}},
            metric_interval_s=0.01,
        )
        orders = metrics.get_meter("x").create_counter("orders")
        for number in range(30):
            orders.add(1, {"app.number": number})
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            status = spanbridge.status().destinations["otlp"]
            assert status.queued <= 100
            if status.ledger.outcomes.get("metric", {}).get("evicted", 0) > 300:
                break
            time.sleep(0.01)
        spanbridge.shutdown(1)
        tell_status()
        """,
        receiver.otlp_endpoint,
    )

    assert done.exit_code == 0, done.stderr
    ledger = done.status.destinations["otlp"].ledger
    assert ledger.is_closed
    outcomes = ledger.outcomes["metric"]
    assert outcomes["evicted"] > 300
    assert outcomes["failed"] <= 130
    assert ledger.accepted["metric"] == sum(outcomes.values())


COUNTED = """
import sys, threading, time
import uvicorn
from fastapi import FastAPI
from opentelemetry import _logs, metrics, trace
import spanbridge
from spanbridge.instrument.fastapi import instrument_app

{provider}
spanbridge.configure()
collections = open(sys.argv[1], "a", buffering=1)
def observe(_options):
    collections.write("collected\\n")
    return [metrics.Observation(1)]
metrics.get_meter("x").create_observable_gauge("load", [observe])

def told():
    return len(open(sys.argv[1]).readlines())
"""
FOREIGN = """
from opentelemetry.sdk.metrics import MeterProvider
metrics.set_meter_provider(MeterProvider(shutdown_on_exit=False))
"""
SERVED = """
app = FastAPI()
instrument_app(app)
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
def stop():
    while not server.started:  # else it would end without having begun
        time.sleep(0.01)
    server.should_exit = True
threading.Thread(target=stop).start()
server.run()
"""


@pytest.mark.parametrize("provider", ["", FOREIGN], ids=["own", "foreign"])
@pytest.mark.parametrize(
    ("destinations", "forms"), [("file", 1), ("file,otlp", 2)], ids=["one form", "two forms"]
)
def test_they_are_collected_once_when_a_server_stops_and_once_at_the_end(
    receiver: Receiver, tmp_path: Path, destinations: str, forms: int, provider: str
) -> None:
    done = run_program(
        COUNTED.replace("{provider}", provider) + SERVED + "print(told())",
        str(tmp_path / "collections"),
        SPANBRIDGE_DESTINATIONS=destinations,
        SPANBRIDGE_FILE_PATH=str(tmp_path / "told.jsonl"),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == [str(forms)]
    assert len((tmp_path / "collections").read_text().splitlines()) == 2 * forms


@pytest.mark.parametrize(
    ("provider", "flush", "times"),
    [
        ("", "spanbridge.flush()", 1),
        ("", "metrics.get_meter_provider().force_flush()", 1),
        ("", "trace.get_tracer_provider().force_flush()", 0),
        ("", "_logs.get_logger_provider().force_flush()", 0),
        (FOREIGN, "spanbridge.flush()", 1),
        (FOREIGN, "trace.get_tracer_provider().force_flush()", 1),
    ],
)
def test_a_flush_collects_once_if_it_is_meant_for_metrics(
    tmp_path: Path, provider: str, flush: str, times: int
) -> None:
    done = run_program(
        COUNTED.replace("{provider}", provider) + f"assert {flush}\nprint(told())",
        str(tmp_path / "collections"),
        SPANBRIDGE_DESTINATIONS="file",
        SPANBRIDGE_FILE_PATH=str(tmp_path / "told.jsonl"),
        SPANBRIDGE_RERAISE="1",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == [str(times)]
