"""A server that is away, refuses or limits: the application does not notice, the counts tell."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.hostile.test_configure_twice import names
from tests.hostile.test_shutdown import one_line_per_cause
from tests.support.bridged import bridged
from tests.support.ports import free_port
from tests.support.program import TELL_STATUS, run_program, running, wait_until
from tests.support.service import MINIMAL, serving

SLOWER_AT_MOST = 4.0
"""Generous: machines are noisy. A blocked application thread would be slower by far more."""
NOISE_S = 0.002
"""What may be noise alone: to wait for a server takes longer."""

BUSY = """
import atexit, sys, time
atexit.register(tell_status)
import spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("x")
took = []
for number in range(120):
    began = time.perf_counter()
    with tracer.start_as_current_span("request"):
        for _ in range(3):
            tracer.start_span("inner").end()
    took.append(time.perf_counter() - began)
    time.sleep(0.002)
took.sort()
print(took[len(took) // 2], took[-1])
"""


def busy(
    destination: str, url: str, shutdown_timeout_s: int = 1
) -> tuple[float, float, dict[str, int], bool]:
    """Median and longest request in seconds, the spans' fates, and whether the log was terse."""
    done = run_program(
        BUSY,
        SPANBRIDGE_DESTINATIONS=destination,
        SENTRY_DSN=url.replace("://", f"://{'5' * 32}@") + "/1",
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        SENTRY_ENVIRONMENT="development",
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S=str(shutdown_timeout_s),
    )
    assert done.exit_code == 0, done.stderr
    median_s, longest_s = map(float, done.lines[0].split())
    ledger = done.status.destinations[destination].ledger
    assert ledger.is_closed
    return median_s, longest_s, ledger.outcomes["span"], one_line_per_cause(done)


@pytest.mark.parametrize("destination", ["sentry", "otlp"])
def test_no_trouble_of_a_server_slows_the_application(destination: str) -> None:
    with Receiver() as receiver:
        healthy_s, _, outcomes, is_terse = busy(destination, receiver.url, 30)
        assert outcomes == {"delivered": 480}
        assert is_terse
    for trouble in ("hang", "400", "503", "away"):
        with Receiver() as receiver:
            match trouble:
                case "hang":
                    receiver.fault("hang", delay_s=60, times=None)
                case "400" | "503":
                    receiver.fault("status", status=int(trouble), times=None)
            url = f"http://127.0.0.1:{free_port()}" if trouble == "away" else receiver.url
            median_s, longest_s, outcomes, is_terse = busy(destination, url)
        assert outcomes == {"failed": 480}, trouble
        assert median_s < max(healthy_s * SLOWER_AT_MOST, NOISE_S), trouble
        assert longest_s < 1.0, trouble
        assert is_terse, trouble


def test_a_service_answers_while_its_server_hangs(receiver: Receiver, tmp_path: Path) -> None:
    receiver.fault("hang", delay_s=60, times=None)
    with serving(
        tmp_path, MINIMAL, SENTRY_DSN=receiver.dsn, SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1"
    ) as service:
        with httpx.Client(base_url=service.url, timeout=30) as http:
            answers = [http.get(f"/work/{number}") for number in range(40)]
        assert [answer.json() for answer in answers] == list(range(40))
        assert max(answer.elapsed.total_seconds() for answer in answers) < 5.0


def test_a_rate_limit_is_honoured_and_errors_keep_flowing(receiver: Receiver) -> None:
    receiver.fault(
        "status", status=429, headers={"X-Sentry-Rate-Limits": "60:transaction:organization"}
    )
    done = run_program(
        """
        import sys, spanbridge
        from opentelemetry import trace
        spanbridge.configure(dsn=sys.argv[1], environment="development")
        tracer = trace.get_tracer("x")
        with tracer.start_as_current_span("meets the limit"):
            pass
        spanbridge.flush()
        for number in range(10):
            with tracer.start_as_current_span("held back"):
                pass
        try:
            with tracer.start_as_current_span("fails"):
                raise ValueError("still told")
        except ValueError:
            pass
        spanbridge.flush()
        tell_status()
        """,
        receiver.dsn,
    )

    assert done.exit_code == 0
    assert receiver.transactions == []
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["value"] == "still told"
    sentry = done.status.destinations["sentry"]
    assert sentry.ledger.outcomes["span"] == {"rate_limited": 12}
    assert sentry.ledger.outcomes["error"] == {"delivered": 1}
    assert receiver.requests["/api/1/envelope/"] <= 3  # the 429, the error, a client report
    assert one_line_per_cause(done), done.stderr


def test_what_waits_arrives_when_the_server_is_back(receiver: Receiver) -> None:
    receiver.fault("status", status=503, times=None)
    program = TELL_STATUS + textwrap.dedent(
        """
        import time, spanbridge
        from opentelemetry import trace
        spanbridge.configure()
        tracer = trace.get_tracer("x")
        for number in range(20):
            with tracer.start_as_current_span("patient"):
                pass
        deadline = time.monotonic() + 30
        while not spanbridge.flush(0.5) and time.monotonic() < deadline:
            time.sleep(0.1)
        tell_status()
        """
    )
    with running("-c", program, SENTRY_DSN=receiver.dsn) as program_under_way:
        receiver.wait_for(lambda r: r.requests.get("/api/1/envelope/", 0) >= 2, 20)
        receiver.clear_faults()
        done = program_under_way.wait(40)

    assert done.exit_code == 0
    assert names(receiver.transactions) == {"patient": 20}
    assert done.status.destinations["sentry"].ledger.outcomes == {"span": {"delivered": 20}}
    assert one_line_per_cause(done), done.stderr


def test_a_server_that_is_back_at_the_end_gets_what_waits_for_the_next_attempt() -> None:
    port = free_port()
    otlp = {"endpoint": f"http://127.0.0.1:{port}", "metrics": False}
    with bridged(destinations={"otlp": otlp}) as under_test:
        for _ in range(3):
            under_test.tracer.start_span("work").end()
        # The first attempts have failed, and the next one is seconds away.
        wait_until(lambda: under_test.bridge.statuses()["otlp"].last_error is not None, 10)
        time.sleep(1.5)
        with Receiver(port=port):
            started = time.monotonic()
            assert under_test.bridge.close(5.0)
            assert time.monotonic() - started < 3

        assert under_test.ledger("otlp").outcomes == {"span": {"delivered": 3}}
