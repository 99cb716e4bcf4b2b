"""A failure that waits for its decision survives a process that is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from spanbridge.testing import Receiver
from tests.hostile.test_spool_processes import delivers, files_in
from tests.support.program import wait_until

PROGRAM = textwrap.dedent("""
    import time
    import spanbridge
    from opentelemetry import trace

    spanbridge.configure()
    tracer = trace.get_tracer("app")
    with tracer.start_as_current_span("agent"):
        try:
            with tracer.start_as_current_span("tool"):
                raise TimeoutError("caught, and nobody knows yet")
        except TimeoutError:
            pass
        print("waiting", flush=True)
        time.sleep(60)
""")


def environment(receiver: Receiver, spool: Path) -> dict[str, str]:
    return {
        **os.environ,
        "SENTRY_DSN": receiver.dsn,
        "SPANBRIDGE_SPOOL_DIR": str(spool),
        "SENTRY_ENVIRONMENT": "tests",
    }


def test_a_failure_under_decision_is_sent_by_the_next_process(
    receiver: Receiver, tmp_path: Path
) -> None:
    variables = environment(receiver, tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=variables, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        wait_until(lambda: files_in(tmp_path), 30.0)
        program.send_signal(signal.SIGKILL)
    assert receiver.issues == []

    delivers(tmp_path, receiver.dsn, 1)

    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["value"] == "caught, and nobody knows yet"
