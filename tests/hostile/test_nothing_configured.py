"""A program that sends nothing pays nothing."""

from __future__ import annotations

import pytest

from tests.support.program import run_program

PROGRAM = """
    import os, sys, threading

    def open_sockets():
        links = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
            except FileNotFoundError:
                pass
        return [link for link in links if link.startswith("socket:")]

    before = threading.enumerate(), open_sockets()
    import spanbridge
    telemetry = spanbridge.configure()
    assert (threading.enumerate(), open_sockets()) == before
    heavy = ("opentelemetry.sdk", "sentry_sdk", "requests", "urllib3", "starlette")
    assert not [name for name in heavy if name in sys.modules], sorted(sys.modules)

    from opentelemetry import propagate, trace
    with trace.get_tracer("x").start_as_current_span("nobody sees me") as span:
        assert not span.is_recording()
        carrier = {}
        propagate.inject(carrier)
    assert "sentry-trace" not in carrier
    assert spanbridge.flush() and spanbridge.shutdown()
    assert not spanbridge.status().enabled
    assert spanbridge.status().destinations == {}
    assert (threading.enumerate(), open_sockets()) == before
    print("done")
"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SPANBRIDGE_DESTINATIONS": "none"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {
            "OTEL_SDK_DISABLED": "true",
            "SENTRY_DSN": "http://key@127.0.0.1:9/1",
            "SENTRY_ENVIRONMENT": "production",
        },
        {"SENTRY_DSN": ""},
        {"SENTRY_DSN": "http://key@127.0.0.1:9/1", "SPANBRIDGE_SENTRY_ENABLED": "false"},
    ],
    ids=["unset", "none", "exporter none", "disabled", "empty DSN", "sentry off"],
)
def test_without_a_destination_there_is_no_thread_no_socket_and_no_sdk(
    variables: dict[str, str],
) -> None:
    done = run_program(PROGRAM, **variables)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "done\n", "")


def test_the_process_wide_state_of_opentelemetry_is_as_it_was() -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import propagate, trace

        def state():
            return trace.get_tracer_provider(), propagate.get_global_textmap()

        before = state()
        tracer = trace.get_tracer("x")
        spanbridge.configure()
        assert state() == before
        assert type(trace.get_tracer("x")) is type(tracer)
        """
    )

    assert (done.exit_code, done.stderr) == (0, "")
