"""Beside ``opentelemetry-distro``, whose exporters stay: each span once per backend."""

from __future__ import annotations

from collections import Counter

import pytest

from spanbridge.receiver import Receiver
from tests.support.zero_code import ONCE, WORK, at_sentry, run_launched

HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
ONLY_TRACES = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
EXPORTERS = {"OTEL_TRACES_EXPORTER": "sentry,otlp"}
DESTINATIONS = {"SPANBRIDGE_DESTINATIONS": "sentry,otlp", "OTEL_TRACES_EXPORTER": "otlp"}
LOGS_TOO = {"OTEL_TRACES_EXPORTER": "otlp,sentry", "OTEL_LOGS_EXPORTER": "otlp,sentry"}


@pytest.mark.parametrize(
    ("distro", "configurator", "selection"),
    [
        *((d, c, EXPORTERS) for d in (None, "distro", "spanbridge") for c in (None, "spanbridge")),
        (None, "configurator", EXPORTERS),
        ("distro", "configurator", DESTINATIONS),
        ("distro", "spanbridge", DESTINATIONS),
        ("distro", "configurator", LOGS_TOO),
        ("spanbridge", "configurator", LOGS_TOO),
        ("spanbridge", "spanbridge", LOGS_TOO),
    ],
)
def test_whoever_sets_up_the_sdk_each_span_arrives_once(
    receiver: Receiver,
    beside: str,
    distro: str | None,
    configurator: str | None,
    selection: dict[str, str],
) -> None:
    chosen = {"OTEL_PYTHON_DISTRO": distro, "OTEL_PYTHON_CONFIGURATOR": configurator}
    done = run_launched(
        WORK,
        python=beside,
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        **{name: value for name, value in chosen.items() if value},
        **HTTP,
        **(ONLY_TRACES | selection),
    )

    assert done.exit_code == 0
    assert "Traceback" not in done.stderr
    assert at_sentry(receiver) == ONCE
    assert Counter(span.name for span in receiver.spans) == ONCE
    [issue] = receiver.issues
    exception = issue.payload["exception"]["values"][-1]
    assert exception["type"] == "LookupError"
    assert exception["stacktrace"]["frames"]
    assert done.lines == [str(["baggage", "sentry-trace", "traceparent"])]
    assert receiver.violations == []


@pytest.mark.parametrize("first", ["distro", None])
def test_a_dsn_alone_adds_sentry_to_the_exporters_the_distro_has_by_default(
    receiver: Receiver, beside: str, first: str | None
) -> None:
    done = run_launched(
        WORK,
        python=beside,
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        **({"OTEL_PYTHON_DISTRO": first} if first else {}),
        **HTTP,
    )

    assert done.exit_code == 0
    assert at_sentry(receiver) == ONCE
    assert Counter(span.name for span in receiver.spans) == ONCE


def test_where_nothing_concerns_us_the_distro_does_what_it_always_did(beside: str) -> None:
    done = run_launched(
        WORK
        + """
import sys
print([name for name in ("spanbridge.bridge", "sentry_sdk") if name in sys.modules])
""",
        python=beside,
        OTEL_TRACES_EXPORTER="console",
        **ONLY_TRACES,
    )

    assert done.exit_code == 0
    assert done.lines[:2] == [str(["traceparent"]), "[]"]
    for name in ("root", "child"):
        assert done.stdout.count(f'"name": "{name}"') == 1  # as OpenTelemetry's own exporter has it


def test_the_detector_brings_release_and_environment_to_their_exporters(
    receiver: Receiver, beside: str
) -> None:
    done = run_launched(
        WORK,
        python=beside,
        SENTRY_DSN=receiver.dsn,
        SENTRY_RELEASE="1.2.3",
        SENTRY_ENVIRONMENT="staging",
        SENTRY_TRACES_SAMPLE_RATE="1",
        OTEL_SERVICE_NAME="shop",
        OTEL_PYTHON_DISTRO="distro",
        OTEL_PYTHON_CONFIGURATOR="configurator",
        OTEL_TRACES_EXPORTER="otlp,sentry",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="spanbridge",
        **HTTP,
        **ONLY_TRACES,
    )

    assert done.exit_code == 0
    for span in receiver.spans:
        resource = span.resource.attributes
        told = [resource[key] for key in ("service.name", "service.version")]
        assert [*told, resource["deployment.environment.name"]] == ["shop", "1.2.3", "staging"]
    [transaction] = receiver.transactions
    assert transaction.payload["release"] == "1.2.3"
    assert transaction.payload["environment"] == "staging"
