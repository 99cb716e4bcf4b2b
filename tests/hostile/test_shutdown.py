"""The end of a process: nothing is lost that can be saved, and nobody waits beyond the deadline."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.hostile.test_configure_twice import names
from tests.support.ports import free_port
from tests.support.program import Finished, run_program
from tests.support.service import MINIMAL, serving

DEADLINE_S = 5.0
"""The default of ``shutdown_timeout_s``."""
MARGIN_S = 3.0
"""What else a busy machine may take to end a process."""

SCRIPT = """
import atexit, sys, time
atexit.register(tell_status)  # registered first, so that it runs last
import spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("x")
for number in range(30):
    with tracer.start_as_current_span("step of a script"):
        pass
with tracer.start_as_current_span("last step"):
    pass
print("LEAVING", time.time(), flush=True)
"""


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGTERM, ()),
        (signal.SIGINT, ()),
        (signal.SIGTERM, ("--workers", "2")),
    ],
    ids=["SIGTERM", "SIGINT", "SIGTERM to two workers"],
)
def test_a_server_that_is_told_to_stop_delivers_every_request(
    receiver: Receiver, tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    # So that much still waits when the signal comes.
    receiver.fault("slow", delay_s=1.0, times=2)
    with serving(tmp_path, MINIMAL, *options, SENTRY_DSN=receiver.dsn) as service:
        with httpx.Client(base_url=service.url) as http:
            for request in range(60):
                headers = {"connection": "close"} if options else {}
                assert http.get(f"/work/{request}", headers=headers).status_code == 200
            service.program.send_signal(number)
        done = service.program.wait()

        assert names(receiver.transactions) == {"GET /work/{number}": 60}
        assert receiver.violations == []
        assert "spanbridge" not in done.stderr
        assert done.seconds < DEADLINE_S + MARGIN_S


def one_line_per_cause(done: Finished) -> bool:
    """Whether the log tells of each cause that was counted, once, and of nothing else."""
    causes = [f"spanbridge: {cause}" for cause in done.status.failures]
    return len(causes) == len(done.log_lines) and all(
        any(line.startswith(cause) for line in done.log_lines) for cause in causes
    )


def run_script(destination: str, *, url: str, **variables: str) -> tuple[Finished, float]:
    """Run the script; returns also how long it took from its last line to the process's end."""
    done = run_program(
        SCRIPT,
        SPANBRIDGE_DESTINATIONS=destination,
        SENTRY_DSN=url.replace("://", f"://{'5' * 32}@") + "/1",
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        SENTRY_ENVIRONMENT="development",
        **variables,
    )
    ended = time.time()
    [line] = [line for line in done.lines if line.startswith("LEAVING")]
    return done, ended - float(line.split()[1])


@pytest.mark.parametrize("destination", ["sentry", "otlp"])
def test_a_script_that_just_ends_has_delivered_everything(
    receiver: Receiver, destination: str
) -> None:
    done, _ = run_script(destination, url=receiver.url)

    assert (done.exit_code, done.stderr) == (0, "")
    arrived = receiver.transactions if destination == "sentry" else receiver.spans
    assert len(arrived) == 31
    ledger = done.status.destinations[destination].ledger
    assert ledger.outcomes == {"span": {"delivered": 31}}
    assert not done.status.enabled


@pytest.mark.parametrize(
    ("trouble", "destination", "deadline_s"),
    [
        ("hangs", "sentry", DEADLINE_S),
        ("hangs", "otlp", 2.0),
        ("refuses", "sentry", 2.0),
        ("refuses", "otlp", 2.0),
        ("503", "sentry", 2.0),
        ("503", "otlp", 2.0),
    ],
)
def test_a_server_in_trouble_does_not_hold_up_the_end(
    receiver: Receiver, trouble: str, destination: str, deadline_s: float
) -> None:
    match trouble:
        case "hangs":
            receiver.fault("hang", delay_s=60, times=None)
        case "503":
            receiver.fault("status", status=503, times=None)
    url = f"http://127.0.0.1:{free_port()}" if trouble == "refuses" else receiver.url

    variables = {"SPANBRIDGE_SHUTDOWN_TIMEOUT_S": str(deadline_s)}
    done, leaving_s = run_script(
        destination, url=url, **({} if deadline_s == DEADLINE_S else variables)
    )

    assert done.exit_code == 0
    assert leaving_s < deadline_s + MARGIN_S
    ledger = done.status.destinations[destination].ledger
    assert ledger.outcomes == {"span": {"failed": 31}}
    assert ledger.is_closed
    assert sum(done.status.failures.values()) >= 1
    assert one_line_per_cause(done), done.stderr


def test_the_deadline_is_a_setting(receiver: Receiver) -> None:
    receiver.fault("hang", delay_s=60, times=None)

    done, leaving_s = run_script("sentry,otlp", url=receiver.url, SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1")

    assert done.exit_code == 0
    assert leaving_s < 1 + MARGIN_S
    for status in done.status.destinations.values():
        assert status.ledger.outcomes == {"span": {"failed": 31}}


def test_a_destination_that_hangs_takes_nothing_from_the_other_at_the_end(
    receiver: Receiver,
) -> None:
    receiver.fault("hang", delay_s=60, times=None, endpoint="envelope")

    done, leaving_s = run_script("sentry,otlp", url=receiver.url, SPANBRIDGE_SHUTDOWN_TIMEOUT_S="2")

    assert done.exit_code == 0
    assert leaving_s < 2 + MARGIN_S
    outcomes = {name: d.ledger.outcomes for name, d in done.status.destinations.items()}
    assert outcomes == {"sentry": {"span": {"failed": 31}}, "otlp": {"span": {"delivered": 31}}}


def test_the_providers_own_shutdown_is_ours_and_configure_starts_anew(receiver: Receiver) -> None:
    done = run_program(
        """
        import sys, threading, spanbridge
        from opentelemetry import trace
        for life in ("first", "second"):
            spanbridge.configure(dsn=sys.argv[1], environment="development")
            assert spanbridge.status().enabled
            with trace.get_tracer("x").start_as_current_span(life):
                pass
            if life == "first":
                trace.get_tracer_provider().shutdown()
                assert threading.enumerate() == [threading.main_thread()]
                assert not spanbridge.status().enabled
        spanbridge.shutdown()
        tell_status()
        """,
        receiver.dsn,
    )

    assert done.exit_code == 0, done.stderr
    assert names(receiver.transactions) == {"first": 1, "second": 1}
    assert done.status.destinations["sentry"].ledger.outcomes == {"span": {"delivered": 1}}
