"""What telemetry logs about itself never becomes an issue, however much it is."""

from __future__ import annotations

from spanbridge.receiver import Receiver
from tests.support.ports import free_port
from tests.support.program import run_program

PROGRAM = """
import asyncio, atexit, logging
from collections import Counter
atexit.register(tell_status)

said = Counter()
class Count(logging.Handler):
    def emit(self, record):
        said[record.name.partition(".")[0]] += 1
logging.basicConfig(level=logging.INFO, handlers=[Count()])

import spanbridge
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

spanbridge.configure()
# An exporter of the application's own, for a collector that is away.
theirs = BatchSpanProcessor(OTLPSpanExporter(timeout=0.2))
trace.get_tracer_provider().add_span_processor(theirs)
tracer = trace.get_tracer("app")
for _ in range(1000):
    tracer.start_span("work").end()

async def stream():
    with tracer.start_as_current_span("stream"):
        for number in range(10):
            yield f"data: {number}"

async def serve():
    for _ in range(100):
        events = stream()
        await asyncio.create_task(anext(events))
        await asyncio.create_task(events.aclose())  # the client went away: another context

asyncio.run(serve())
theirs.force_flush()
spanbridge.flush(2.0)
print(said["opentelemetry"] >= 100, said["spanbridge"] > 0)
"""


def test_abandoned_streams_and_an_unreachable_collector_make_no_issue(receiver: Receiver) -> None:
    done = run_program(
        PROGRAM,
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="production",
        SENTRY_TRACES_SAMPLE_RATE="1.0",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        SPANBRIDGE_DESTINATIONS="sentry,otlp",
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="2",
    )

    assert done.exit_code == 0, done.stderr
    assert done.lines[0] == "True True"
    assert receiver.issues == []
    sentry, otlp = (done.status.destinations[name].ledger for name in ("sentry", "otlp"))
    assert sentry.is_closed
    assert set(sentry.outcomes) == {"span"}
    delivered = sentry.outcomes["span"]["delivered"]
    assert delivered > 0
    # Of the one under way when the time was over nobody knows whether it arrived.
    assert len(receiver.transactions) - delivered in (0, 1)
    assert otlp.outcomes["span"] == {"failed": 1100}
    assert [cause for cause in done.status.failures if "otlp" in cause]
