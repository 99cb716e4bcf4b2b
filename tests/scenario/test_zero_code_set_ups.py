"""Whoever else sets up OpenTelemetry, before or after: each span once per backend."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from spanbridge.receiver import Receiver
from tests.support.metric_points import arrived
from tests.support.ports import free_port
from tests.support.program import run_program
from tests.support.zero_code import ONCE, at_sentry, run_launched

WORK = """
import logging
from opentelemetry import trace
tracer = trace.get_tracer("work")
try:
    with tracer.start_as_current_span("root"):
        tracer.start_span("child").end()
        raise LookupError("not there")
except LookupError:
    pass
"""

THEIRS = """
import atexit, sys
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class PrintingExporter(SpanExporter):
    def export(self, spans):
        for span in spans:
            resource = span.resource.attributes
            print("theirs", span.name, resource.get("deployment.environment.name"))
        sys.stdout.flush()
        return SpanExportResult.SUCCESS
"""
ENTRY_POINT = "[opentelemetry_traces_exporter]\nprinting = theirs:PrintingExporter\n"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with somebody's package, whose exporter is called ``printing``."""
    (tmp_path / "theirs.py").write_text(THEIRS)
    information = tmp_path / "theirs-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINT)
    return tmp_path


def over_otlp(receiver: Receiver) -> Counter[str]:
    return Counter(span.name for span in receiver.spans)


def of_theirs(lines: list[str]) -> Counter[str]:
    return Counter(line.split()[1] for line in lines if line.startswith("theirs "))


@pytest.mark.parametrize(
    "selection",
    [
        {"OTEL_TRACES_EXPORTER": "sentry,otlp"},
        {"SPANBRIDGE_DESTINATIONS": "sentry,otlp"},
        {"SPANBRIDGE_DESTINATIONS": "sentry,otlp", "OTEL_TRACES_EXPORTER": "otlp,sentry"},
        {},
    ],
    ids=["exporters", "destinations", "both", "addresses"],
)
def test_sentry_and_otlp_get_each_span_once(receiver: Receiver, selection: dict[str, str]) -> None:
    done = run_launched(
        WORK,
        SENTRY_DSN=receiver.dsn,
        SENTRY_RELEASE="1.2.3",
        OTEL_SERVICE_NAME="shop",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        **selection,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert at_sentry(receiver) == over_otlp(receiver) == ONCE
    [issue] = receiver.issues
    for item in (issue, *receiver.transactions):
        assert item.payload["release"] == "1.2.3"
        assert item.payload["environment"] == "development"
    for span in receiver.spans:
        resource = span.resource.attributes
        assert resource["service.name"] == "shop"
        assert resource["service.version"] == "1.2.3"
        assert resource["deployment.environment.name"] == "development"
        assert resource["telemetry.distro.name"] == "spanbridge"
    assert receiver.violations == []


@pytest.mark.parametrize("exporters", ["sentry,printing", "printing,sentry", "printing"])
def test_exporters_of_others_get_every_span_beside_ours(
    receiver: Receiver, theirs: Path, exporters: str
) -> None:
    done = run_launched(
        WORK,
        PYTHONPATH=str(theirs),
        OTEL_TRACES_EXPORTER=exporters,
        SENTRY_DSN=receiver.dsn,
        SENTRY_TRACES_SAMPLE_RATE="0",
        SENTRY_ENVIRONMENT="staging",
    )

    is_passed_over = "SENTRY_DSN is set, but OTEL_TRACES_EXPORTER does not name" in done.stderr
    assert (done.exit_code, len(done.log_lines)) == (0, is_passed_over)
    assert is_passed_over is ("sentry" not in exporters)
    assert of_theirs(done.lines) == ONCE  # whatever rate ours have
    assert "theirs root staging" in done.lines
    assert len(receiver.issues) == (1 if "sentry" in exporters else 0)
    assert at_sentry(receiver) == Counter()


def test_an_exporter_that_cannot_be_made_costs_only_itself(receiver: Receiver) -> None:
    done = run_launched(WORK, OTEL_LOGS_EXPORTER="nowhere", SENTRY_DSN=receiver.dsn)

    assert done.exit_code == 0
    [line] = done.log_lines
    assert "Requested component 'nowhere' not found" in line
    assert at_sentry(receiver) == ONCE


COUNTED = """
from opentelemetry import metrics
counter = metrics.get_meter("shop").create_counter("orders")
counter.add(5, {"user.email": "ann@shop.example", "password": "hunter2"})
"""
METRICS_OVER_OTLP = {
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
}


@pytest.mark.parametrize(
    "others",
    [{}, {"OTEL_LOGS_EXPORTER": "otlp"}],
    ids=["alone", "beside the SDK's exporter of logs"],
)
def test_metrics_leave_once_and_scrubbed(receiver: Receiver, others: dict[str, str]) -> None:
    done = run_launched(
        COUNTED,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        **METRICS_OVER_OTLP,
        **others,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    [orders] = [point for point in arrived(receiver) if point.name == "orders"]
    assert orders.value == 5
    assert "hunter2" not in str(orders)
    assert "ann@" not in str(orders)


def test_metrics_for_which_we_have_no_destination_are_opentelemetrys(receiver: Receiver) -> None:
    done = run_launched(
        COUNTED,
        OTEL_TRACES_EXPORTER="sentry",
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        **METRICS_OVER_OTLP,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    [orders] = [point for point in arrived(receiver) if point.name == "orders"]
    assert orders.value == 5


def test_a_faulty_privacy_setting_opens_no_other_way_for_metrics(receiver: Receiver) -> None:
    done = run_launched(
        COUNTED,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_DENY_KEY="pin",
        SPANBRIDGE_ON_CONFIG_ERROR="warn",
        **METRICS_OVER_OTLP,
    )

    assert "Until then nothing is sent anywhere." in done.stderr
    assert receiver.items() == []


def test_prometheus_is_our_page_alone(receiver: Receiver) -> None:
    port = free_port()
    done = run_launched(
        f"""
        {COUNTED.strip().replace(chr(10), chr(10) + " " * 8)}
        import spanbridge, urllib.request
        print(urllib.request.urlopen("http://127.0.0.1:{port}/metrics").read().decode())
        print(*spanbridge.status().metrics)
        """,
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        SENTRY_DSN=receiver.dsn,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    [orders] = [line for line in done.lines if line.startswith("orders_total{")]
    assert orders.endswith(" 5.0")
    assert "hunter2" not in orders
    assert done.lines[-1] == "prometheus"


def test_a_sampler_of_somebody_else_decides(receiver: Receiver, theirs: Path) -> None:
    done = run_launched(
        WORK,
        PYTHONPATH=str(theirs),
        OTEL_TRACES_EXPORTER="sentry,printing",
        OTEL_TRACES_SAMPLER="always_off",
        SENTRY_DSN=receiver.dsn,
    )

    assert (done.exit_code, done.stderr, done.lines) == (0, "", [])
    assert at_sentry(receiver) == Counter()


@pytest.mark.parametrize("exporters", ["sentry", "sentry,printing"])
def test_a_sampler_that_nobody_has_is_told_of_in_one_line(
    receiver: Receiver, theirs: Path, exporters: str
) -> None:
    done = run_launched(
        WORK,
        PYTHONPATH=str(theirs),
        OTEL_TRACES_EXPORTER=exporters,
        OTEL_TRACES_SAMPLER="alwayson",
        SENTRY_DSN=receiver.dsn,
    )

    assert done.exit_code == 0
    [line] = done.log_lines
    assert "OTEL_TRACES_SAMPLER is 'alwayson'" in line
    assert "Did you mean 'always_on'?" in line
    assert at_sentry(receiver) == ONCE
    assert of_theirs(done.lines) == (ONCE if "printing" in exporters else Counter())


def test_configure_in_the_program_changes_nothing_or_exchanges() -> None:
    with Receiver() as first, Receiver() as second:
        done = run_launched(
            f"""
            import sys, threading
            import spanbridge
            from opentelemetry import propagate, trace
            tracer = trace.get_tracer("work")

            def state():
                return (
                    trace.get_tracer_provider(),
                    trace.get_tracer_provider()._active_span_processor._span_processors,
                    propagate.get_global_textmap(),
                    {{thread.name for thread in threading.enumerate()}},
                )

            before = state()
            spanbridge.configure()
            assert state() == before
            tracer.start_span("to first").end()
            spanbridge.configure(dsn={second.dsn!r})
            tracer.start_span("to second").end()
            assert state()[:3] == before[:3]
            assert spanbridge.shutdown()
            assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
            carrier = {{}}
            with tracer.start_as_current_span("nobody sees me") as span:
                propagate.inject(carrier)
                assert not span.is_recording()
            assert "sentry-trace" not in carrier, carrier
            """,
            SENTRY_DSN=first.dsn,
            SENTRY_RELEASE="shop@1",  # else it is the commit, and somebody may commit meanwhile
        )

        assert (done.exit_code, done.stderr) == (0, "")
        assert at_sentry(first) == {"to first": 1}
        assert at_sentry(second) == {"to second": 1}


OURS = "import spanbridge; spanbridge.configure()\n"
USERS = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from theirs import PrintingExporter
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(PrintingExporter()))
trace.set_tracer_provider(provider)
"""
CLEAN = """
import threading
assert spanbridge.shutdown()
assert not [t for t in threading.enumerate() if t.name.startswith("spanbridge")]
assert not spanbridge.status().enabled
"""


@pytest.mark.parametrize("is_launched", [False, True], ids=["plain", "instrumented"])
@pytest.mark.parametrize(
    ("program", "users_get_them"),
    [
        pytest.param(OURS, False, id="ours"),
        pytest.param(OURS + OURS, False, id="ours twice"),
        pytest.param(USERS + OURS, True, id="user's, ours"),
        pytest.param(USERS + OURS + OURS, True, id="user's, ours twice"),
        pytest.param(OURS + USERS, False, id="ours, user's"),
    ],
)
def test_the_order_of_set_ups(
    receiver: Receiver, theirs: Path, program: str, users_get_them: bool, is_launched: bool
) -> None:
    """A provider is set once: a user's that comes second was never in use, with us or without."""
    variables = {"SENTRY_DSN": receiver.dsn, "PYTHONPATH": str(theirs)}
    text = program + WORK + CLEAN
    done = run_launched(text, **variables) if is_launched else run_program(text, **variables)

    assert done.exit_code == 0, done.stderr
    if not is_launched:  # there the handler of OpenTelemetry's instrumentation keeps it quiet
        is_refused = USERS in program and not users_get_them
        assert ("Overriding of current TracerProvider" in done.stderr) == is_refused
    assert at_sentry(receiver) == ONCE
    assert len(receiver.issues) == 1
    assert of_theirs(done.lines) == (ONCE if users_get_them and not is_launched else {})
