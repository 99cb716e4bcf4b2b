"""Installed, launched by ``opentelemetry-instrument``, and not asked for anything."""

from __future__ import annotations

import pytest

from tests.support.zero_code import run_launched

PROGRAM = """
    import os, sys, threading
    from opentelemetry import propagate, trace

    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(64)
             if os.path.exists(f"/proc/self/fd/{fd}")]
    assert not [link for link in links if link.startswith("socket:")]
    assert threading.enumerate() == [threading.main_thread()]
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    heavy = ("spanbridge.telemetry", "spanbridge.settings", "spanbridge.bridge", "sentry_sdk")
    assert not [name for name in heavy if name in sys.modules]
    print("done")
"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SENTRY_DSN": ""},
        {
            "OTEL_SDK_DISABLED": "true",
            "SENTRY_DSN": "http://key@127.0.0.1:9/1",
            "OTEL_TRACES_EXPORTER": "sentry,otlp",
            "SENTRY_ENVIRONMENT": "production",
        },
    ],
    ids=["unset", "empty DSN", "disabled"],
)
def test_nothing_is_imported_and_nothing_is_started(variables: dict[str, str]) -> None:
    done = run_launched(PROGRAM, SPANBRIDGE_SPOOL_DIR="", **variables)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    "variables",
    [
        {"SPANBRIDGE_DESTINATIONS": "none", "SENTRY_DSN": "http://key@127.0.0.1:9/1"},
        {"OTEL_TRACES_EXPORTER": "none", "SENTRY_DSN": "http://key@127.0.0.1:9/1"},
    ],
    ids=["none", "exporter none"],
)
def test_without_a_destination_no_provider_is_set_and_nothing_runs(
    variables: dict[str, str],
) -> None:
    program = PROGRAM.replace('"spanbridge.telemetry", "spanbridge.settings", ', "")
    done = run_launched(program, **variables)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "done\n", "")
