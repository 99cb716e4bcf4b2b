"""Beside Logfire, whoever came first: each span once per backend, and nobody's part is replaced."""

from __future__ import annotations

from collections import Counter

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program
from tests.support.zero_code import at_sentry, run_launched

LOGFIRE = """
import logfire, sys
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

class Printing(SpanExporter):
    def export(self, spans):
        for span in spans:
            print("logfire's", span.name)
        sys.stdout.flush()
        return SpanExportResult.SUCCESS

logfire.configure(
    send_to_logfire=False,
    console=False,
    inspect_arguments=False,
    additional_span_processors=[SimpleSpanProcessor(Printing())],
)
"""
OURS = "import spanbridge; spanbridge.configure()\n"
WORK = """
from opentelemetry import propagate, trace
tracer = trace.get_tracer("work")
try:
    with tracer.start_as_current_span("root"):
        tracer.start_span("child").end()
        headers = {}
        propagate.inject(headers)
        print("headers", *sorted(headers))
        raise LookupError("not there")
except LookupError:
    pass
with logfire.span("of logfire"):
    pass
"""
OF_OPENTELEMETRY = Counter({"root": 1, "child": 1})
OF_LOGFIRE = Counter({"of logfire": 1})


def at_logfire(lines: list[str]) -> Counter[str]:
    spans = [line.removeprefix("logfire's ") for line in lines if line.startswith("logfire's ")]
    return Counter(name for name in spans if "pending" not in name)


@pytest.mark.parametrize(
    ("program", "is_launched", "ours", "theirs"),
    [
        pytest.param(
            LOGFIRE + OURS,
            False,
            OF_OPENTELEMETRY + OF_LOGFIRE,
            OF_OPENTELEMETRY + OF_LOGFIRE,
            id="logfire, then ours",
        ),
        pytest.param(
            LOGFIRE + OURS + OURS,
            False,
            OF_OPENTELEMETRY + OF_LOGFIRE,
            OF_OPENTELEMETRY + OF_LOGFIRE,
            id="logfire, then ours twice",
        ),
        # The tracer provider is set once: Logfire keeps one of its own beside it.
        pytest.param(OURS + LOGFIRE, False, OF_OPENTELEMETRY, OF_LOGFIRE, id="ours, then logfire"),
        pytest.param(LOGFIRE, True, OF_OPENTELEMETRY, OF_LOGFIRE, id="zero-code, then logfire"),
        pytest.param(
            LOGFIRE + OURS,
            True,
            OF_OPENTELEMETRY,
            OF_LOGFIRE,
            id="zero-code, then logfire, then ours",
        ),
    ],
)
def test_each_span_arrives_once(
    receiver: Receiver,
    beside: str,
    program: str,
    is_launched: bool,
    ours: Counter[str],
    theirs: Counter[str],
) -> None:
    run = run_launched if is_launched else run_program
    chosen = {"OTEL_PYTHON_DISTRO": "spanbridge", "OTEL_PYTHON_CONFIGURATOR": "spanbridge"}
    done = run(program + WORK, python=beside, SENTRY_DSN=receiver.dsn, **chosen)

    assert done.exit_code == 0, done.stderr
    assert at_sentry(receiver) == ours
    assert at_logfire(done.lines) == theirs
    assert "headers baggage sentry-trace traceparent" in done.lines
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["stacktrace"]["frames"]
    assert receiver.violations == []
