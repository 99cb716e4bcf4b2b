"""Each entry point by itself: it does its part, harms nobody, and imports no more than it may."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import entry_points

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program
from tests.support.zero_code import run_launched

GROUPS = {
    "opentelemetry_distro": "spanbridge",
    "opentelemetry_configurator": "spanbridge",
    "opentelemetry_pre_instrument": "spanbridge",
    "opentelemetry_post_instrument": "spanbridge",
    "opentelemetry_traces_exporter": "sentry",
    "opentelemetry_logs_exporter": "sentry",
    "opentelemetry_metrics_exporter": "sentry",
    "opentelemetry_propagator": "spanbridge",
    "opentelemetry_traces_sampler": "spanbridge",
    "opentelemetry_sampler": "spanbridge",
    "opentelemetry_resource_detector": "spanbridge",
}

SDK_ONLY = """
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure()
from opentelemetry import trace
"""
"""OpenTelemetry's own set-up by variables, without any hook of ours."""


def names(receiver: Receiver) -> Counter[str]:
    return Counter(item.payload["transaction"] for item in receiver.transactions)


@pytest.mark.parametrize(("group", "name"), GROUPS.items())
def test_it_is_found_and_can_be_loaded(group: str, name: str) -> None:
    [found] = entry_points(group=group, name=name)

    assert callable(found.load())


def test_the_propagator_imports_no_sdk_and_passes_on_what_came_in() -> None:
    done = run_program(
        """
        import sys
        from opentelemetry import propagate
        heavy = ("opentelemetry.sdk", "opentelemetry.instrumentation", "sentry_sdk")
        assert not [name for name in heavy if name in sys.modules]
        trace_id = "771a43a4192642f0b136d5159a501700"
        caller = {
            "sentry-trace": f"{trace_id}-{'b' * 16}-1",
            "baggage": f"color=red,sentry-trace_id={trace_id},sentry-sample_rand=0.25",
        }
        context = propagate.extract(caller)
        carrier = {}
        propagate.inject(carrier, context)
        print(carrier["sentry-trace"] == caller["sentry-trace"])
        print(sorted(carrier["baggage"].split(",")) == sorted(caller["baggage"].split(",")))
        print(sorted(propagate.get_global_textmap().fields))
        """,
        OTEL_PROPAGATORS="tracecontext,baggage,spanbridge",
    )

    assert done.exit_code == 0, done.stderr
    assert done.lines == [
        "True",
        "True",
        str(["baggage", "sentry-trace", "traceparent", "tracestate"]),
    ]


@pytest.mark.parametrize(
    "propagators", ["spanbridge", "spanbridge,baggage,tracecontext", "tracecontext,sentry"]
)
def test_the_propagator_writes_each_header_once_where_the_bridge_is(
    receiver: Receiver, propagators: str
) -> None:
    done = run_launched(
        """
        from opentelemetry import baggage, context, propagate, trace
        from opentelemetry.propagators.textmap import Setter

        class Adds(Setter):
            def set(self, carrier, key, value):
                carrier.append((key, value))

        context.attach(baggage.set_baggage("color", "red"))
        with trace.get_tracer("x").start_as_current_span("caller"):
            carrier = []
            propagate.inject(carrier, setter=Adds())
        print(sorted(key for key, _ in carrier))
        print("sentry-trace_id" in dict(carrier)["baggage"])
        """,
        SENTRY_DSN=receiver.dsn,
        OTEL_PROPAGATORS=propagators,
    )

    assert done.exit_code == 0, done.stderr
    others = ["traceparent"] if "," in propagators else []
    assert done.lines == [str(["baggage", "sentry-trace", *others]), "True"]


def test_the_detector_knows_what_the_settings_know() -> None:
    done = run_program(
        """
        import opentelemetry.sdk._logs  # creates a resource while it is imported
        from opentelemetry.sdk.resources import Resource
        found = Resource.create().attributes
        for key in ("service.name", "service.version", "deployment.environment.name"):
            print(found[key])
        """,
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="spanbridge",
        SENTRY_RELEASE="1.2.3",
        SENTRY_ENVIRONMENT="staging",
        OTEL_SERVICE_NAME="shop",
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["shop", "1.2.3", "staging"]


def test_a_faulty_destination_is_not_the_detectors_business() -> None:
    done = run_program(
        """
        from opentelemetry.sdk.resources import Resource
        print(Resource.create().attributes["deployment.environment.name"])
        """,
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="spanbridge",
        SENTRY_ENVIRONMENT="development",
        SENTRY_TRACES_SAMPLE_RATE="much",
        SENTRY_DSN="http://key@127.0.0.1:9/1",
    )

    assert (done.exit_code, done.stderr, done.lines) == (0, "", ["development"])


@pytest.mark.parametrize("rate", ["0", "1"])
def test_the_sampler_keeps_what_a_destination_keeps(receiver: Receiver, rate: str) -> None:
    done = run_program(
        SDK_ONLY
        + """
        import spanbridge
        with trace.get_tracer("x").start_as_current_span("before") as span:
            print(span.get_span_context().trace_flags.sampled)
        spanbridge.configure()
        try:
            with trace.get_tracer("x").start_as_current_span("after") as span:
                print(span.is_recording(), span.get_span_context().trace_flags.sampled)
                raise LookupError("told whatever is sampled")
        except LookupError:
            pass
        """.replace("\n        ", "\n"),
        OTEL_TRACES_SAMPLER="spanbridge",
        SENTRY_DSN=receiver.dsn,
        SENTRY_TRACES_SAMPLE_RATE=rate,
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.lines == ["True", f"True {rate == '1'}"]
    assert names(receiver) == ({"after": 1} if rate == "1" else {})
    assert len(receiver.issues) == 1


@pytest.mark.parametrize("processor", ["BatchSpanProcessor", "SimpleSpanProcessor"])
def test_the_exporter_alone_brings_the_bridge_and_loses_nothing(
    receiver: Receiver, processor: str
) -> None:
    done = run_program(
        f"""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import {processor}
        from spanbridge.zero_code.traces_exporter import SentrySpanExporter

        provider = TracerProvider()
        provider.add_span_processor({processor}(SentrySpanExporter(dsn={receiver.dsn!r})))
        trace.set_tracer_provider(provider)
        tracer = trace.get_tracer("x")
        with tracer.start_as_current_span("first"):
            tracer.start_span("child of first").end()
            tracer.start_span("another").end()
        provider.force_flush()
        with tracer.start_as_current_span("second"):
            tracer.start_span("child of second").end()
        provider.force_flush()
        """
    )

    assert (done.exit_code, done.stderr) == (0, "")
    spans = Counter(
        name
        for item in receiver.transactions
        for name in (
            item.payload["transaction"],
            *(span["description"] for span in item.payload["spans"]),
        )
    )
    expected = ["first", "child of first", "another", "second", "child of second"]
    assert spans == Counter(expected)
    if processor == "BatchSpanProcessor":
        assert names(receiver) == {"first": 1, "second": 1}
    assert receiver.violations == []


def test_the_exporters_under_opentelemetrys_own_set_up_bring_logs_too(
    receiver: Receiver,
) -> None:
    done = run_program(
        SDK_ONLY
        + """
        from opentelemetry._logs import SeverityNumber, get_logger
        with trace.get_tracer("x").start_as_current_span("all of it"):
            try:
                1 / 0
            except ZeroDivisionError as error:
                get_logger("x").emit(
                    severity_number=SeverityNumber.ERROR, body="wrong", exception=error
                )
        """.replace("\n        ", "\n"),
        OTEL_TRACES_EXPORTER="sentry",
        OTEL_LOGS_EXPORTER="sentry",
        OTEL_METRICS_EXPORTER="sentry",
        SENTRY_DSN=receiver.dsn,
    )

    assert done.exit_code == 0
    [line] = done.log_lines
    assert "Sentry takes no metrics" in line
    assert names(receiver) == {"all of it": 1}
    [issue] = receiver.issues
    frames = issue.payload["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "<module>"


def test_an_unusable_setting_is_one_line_and_the_program_goes_on() -> None:
    done = run_launched(
        """
        from opentelemetry import trace
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        with trace.get_tracer("x").start_as_current_span("nobody sees me"):
            print("still here", HTTPXClientInstrumentor().is_instrumented_by_opentelemetry)
        """,
        SENTRY_DSN="http://127.0.0.1:9/nothing",
        SENTRY_ENVIRONMENT="development",
    )

    assert (done.exit_code, done.lines) == (0, ["still here True"])
    [line] = done.log_lines
    assert "spanbridge: not started: SENTRY_DSN is" in line
