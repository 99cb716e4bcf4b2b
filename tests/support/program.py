"""Real programs in real processes, with an environment that holds nothing but what is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TypeVar

import msgspec

from spanbridge import Status
from tests.support.ports import listens

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
TELEMETRY_VARIABLES = ("SPANBRIDGE_", "SENTRY_", "OTEL_", "ENVIRONMENT")

PROGRAM_TIMEOUT_S = 120.0
"""A program that takes longer is killed and fails its test."""

TELL_STATUS = """
import sys as _sys
import msgspec as _msgspec
import spanbridge as _spanbridge

def tell_status():
    _sys.stdout.write("STATUS " + _msgspec.json.encode(_spanbridge.status()).decode() + chr(10))
    _sys.stdout.flush()
"""
"""Put before a program that calls ``tell_status()``; see :attr:`Finished.status`."""


@dataclass(frozen=True)
class Finished:
    """A program that came to its end."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """What it printed."""
        return self.stdout.splitlines()

    @property
    def log_lines(self) -> list[str]:
        """What it wrote to the standard error."""
        return [line for line in self.stderr.splitlines() if line.strip()]

    @property
    def statuses(self) -> list[Status]:
        """What each call of ``tell_status()`` told, in order."""
        told = [line.removeprefix("STATUS ") for line in self.lines if line.startswith("STATUS ")]
        return [msgspec.json.decode(line, type=Status) for line in told]

    @property
    def status(self) -> Status:
        """What the last call of ``tell_status()`` told."""
        return self.statuses[-1]


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment of this process without any word on telemetry, plus ``variables``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(TELEMETRY_VARIABLES)}
    # From 3.12 on Python warns of every fork of a process with threads, ours or not.
    kept["PYTHONWARNINGS"] = "ignore:This process"
    kept["SPANBRIDGE_SPOOL_DIR"] = "off"  # nothing is left for a later program
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **variables}


def run_program(
    text: str,
    *arguments: str,
    cwd: str | None = None,
    python: str | None = None,
    **variables: str,
) -> Finished:
    """Run the Python program ``text`` to its end.

    Args:
        text: The program; it is dedented.
        arguments: Its ``sys.argv[1:]``.
        cwd: Its working directory.
        python: Another interpreter than that of the tests.
        variables: Environment variables beside a clean environment.
    """
    began = time.monotonic()
    done = subprocess.run(
        [python or sys.executable, "-c", TELL_STATUS + textwrap.dedent(text), *arguments],
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
        cwd=cwd,
        env=clean_environment(**variables),
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


class Running:
    """A program under way."""

    def __init__(self, process: subprocess.Popen[str], out: IO[str], err: IO[str]) -> None:
        self.process = process
        self._streams = out, err
        self._began = time.monotonic()

    def send_signal(self, number: int) -> None:
        """Signal the process."""
        self._began = time.monotonic()
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 60.0) -> Finished:
        """Wait for its end; ``seconds`` counts from the last signal, or from the start."""
        exit_code = self.process.wait(timeout_s)
        seconds = time.monotonic() - self._began
        for stream in self._streams:
            stream.seek(0)
        stdout, stderr = (stream.read() for stream in self._streams)
        return Finished(exit_code, stdout, stderr, seconds)


@contextmanager
def running(
    *command: str, port: int | None = None, python: str | None = None, **variables: str
) -> Iterator[Running]:
    """A Python process started with ``command``; returns once it listens on ``port``."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [python or sys.executable, *command],
            stdout=out,
            stderr=err,
            text=True,
            env=clean_environment(**variables),
        )
        program = Running(process, out, err)
        try:
            if port is not None:
                wait_until(lambda: listens(port) or process.poll() is not None, 60.0)
                assert process.poll() is None, program.wait().stderr
            yield program
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def wait_until(predicate: Callable[[], T], timeout_s: float = 30.0) -> T:
    """Ask until the answer is true."""
    deadline = time.monotonic() + timeout_s
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not fulfilled within {timeout_s} s")
        time.sleep(0.02)
    return answer
