"""The whole path on one machine: the service, real traffic, and what each destination got.

Run it with ``make demo``, ``make demo DESTINATIONS=otlp,console`` or ``make demo WIRE=spans``. The
exit code is 0 only if every destination got what it was owed.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import msgspec
from rich.console import Console

from examples.governance.demo_checks import (
    Evidence,
    check_destination,
    check_ledger,
    check_silence,
)
from examples.governance.demo_view import (
    WIDTH,
    show_checks,
    show_console,
    show_file,
    show_ledger,
    show_otlp,
    show_sentry,
)
from examples.governance.traffic import TrafficReport, send_traffic
from spanbridge import Status
from spanbridge.receiver import Receiver, Wire

KNOWN = ("sentry", "otlp", "console", "file")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@dataclass
class Run:
    """One run of the service and what it left."""

    report: TrafficReport
    status: Status
    printed: str
    """Standard output of the service."""
    lines: list[str]
    """The file destination's lines."""


def main() -> None:
    """Run the demo and leave with 0 if every destination got what it was owed."""
    arguments = argparse.ArgumentParser(description="The governance example, end to end.")
    arguments.add_argument("--destinations", default="sentry", help="e.g. otlp,console or none")
    arguments.add_argument(
        "--wire", default="transactions", choices=get_args(Wire), help="how traces go to Sentry"
    )
    given = arguments.parse_args()
    names = [name.strip() for name in given.destinations.split(",")]
    destinations = [name for name in names if name and name != "none"]
    if unknown := [name for name in destinations if name not in KNOWN]:
        sys.exit(f"unknown destination {unknown[0]!r}: choose among {', '.join(KNOWN)} or none")
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    with Receiver() as receiver, TemporaryDirectory() as folder:
        run = _run(receiver, destinations, given.wire, Path(folder))
        evidence = Evidence(
            report=run.report,
            traces=receiver.traces,
            issues=receiver.issues,
            spans=receiver.spans,
            violations=receiver.violations,
            printed=run.printed,
            lines=run.lines,
            wire=given.wire,
            delivered=_delivered(run.status),
        )
    _show(console, destinations, run, evidence)
    checks = [check_ledger(run.status, destinations)]
    checks += [check_destination(name, evidence) for name in destinations]
    if not destinations:
        checks.append(check_silence(evidence))
    show_checks(console, run.report, checks)
    sys.exit(0 if all(check.passed for check in checks) else 1)


def _run(receiver: Receiver, destinations: list[str], wire: Wire, folder: Path) -> Run:
    status_file, lines_file = folder / "status.json", folder / "telemetry.jsonl"
    environment = {
        **os.environ,
        "SENTRY_ENVIRONMENT": "development",
        "SENTRY_RELEASE": "governance@1.0.0",
        "OTEL_SERVICE_NAME": "governance",
        "SENTRY_DSN": receiver.dsn,
        "SPANBRIDGE_SENTRY_WIRE": wire,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.otlp_endpoint,
        "SPANBRIDGE_DESTINATIONS": ",".join(destinations) or "none",
        "SPANBRIDGE_FILE_PATH": str(lines_file),
        "SPANBRIDGE_SPOOL_DIR": "off",  # the receiver ends with the demo
        "SPANBRIDGE_IN_APP_INCLUDE": "examples",  # it runs in another folder than its code's
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    llm_port, port = _free_port(), _free_port()
    environment["LLM_URL"] = f"http://127.0.0.1:{llm_port}"
    stub = [sys.executable, "-m", "uvicorn", "examples.governance.llm_stub:app"]
    stub += ["--port", str(llm_port), "--log-level", "warning"]
    service = [sys.executable, "-m", "examples.governance.serve", "--port", str(port)]
    service += ["--status-file", str(status_file)]
    printed_file = folder / "printed.txt"
    with (
        printed_file.open("wb") as printed,
        _process(stub, llm_port, environment, folder),
        _process(service, port, environment, folder, printed.fileno()),
    ):
        report = asyncio.run(send_traffic(f"http://127.0.0.1:{port}"))
    return Run(
        report,
        msgspec.json.decode(status_file.read_bytes(), type=Status),
        printed_file.read_text(),
        lines_file.read_text().splitlines() if lines_file.exists() else [],
    )


def _delivered(status: Status) -> dict[str, int]:
    sentry = status.destinations.get("sentry")
    fates = sentry.ledger.outcomes if sentry else {}
    return {signal: counts.get("delivered", 0) for signal, counts in fates.items()}


@contextmanager
def _process(
    command: list[str], port: int, environment: dict[str, str], folder: Path, output: int = 2
) -> Iterator[None]:
    """A server that listens on ``port``; stopped in good order at the end."""
    # The tracebacks of the failures it is made to have belong in a file, not on the screen.
    said_file = folder / f"said-{port}.txt"
    with said_file.open("wb") as said:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=said)
    try:
        if not _listens(port, process):
            sys.exit(f"{command[2]} did not start. It said:\n{said_file.read_text()[-2000:]}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _show(console: Console, destinations: list[str], run: Run, evidence: Evidence) -> None:
    if "sentry" in destinations:
        show_sentry(console, evidence.issues, evidence.traces)
    if "console" in destinations:
        show_console(console, run.printed)
    if "file" in destinations:
        show_file(console, [msgspec.json.decode(line) for line in run.lines])
    if "otlp" in destinations:
        show_otlp(console, evidence.spans)
    show_ledger(console, run.status)


if __name__ == "__main__":
    main()
