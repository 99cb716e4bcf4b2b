"""A span that ends while the interpreter goes down is delivered all the same."""

from __future__ import annotations

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program

PROGRAM = """
import atexit
import spanbridge
from opentelemetry import trace

spanbridge.configure()
span = trace.get_tracer("short").start_span("the only one")
atexit.register(span.end)  # runs before the provider's own shutdown: the last registered goes first
"""


@pytest.mark.parametrize("destinations", ["sentry", "otlp"])
def test_a_span_that_ends_at_exit_is_delivered(destinations: str) -> None:
    with Receiver() as receiver:
        finished = run_program(
            PROGRAM,
            SENTRY_DSN=receiver.dsn,
            SENTRY_ENVIRONMENT="production",
            SENTRY_TRACES_SAMPLE_RATE="1.0",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
            SPANBRIDGE_DESTINATIONS=destinations,
        )
        arrived = receiver.transactions if destinations == "sentry" else receiver.spans

    assert (finished.exit_code, finished.stderr) == (0, "")
    assert len(arrived) == 1
