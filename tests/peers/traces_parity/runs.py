"""Both runs of the application: the same requests to the same services, traced in two ways."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Final, NamedTuple

import httpx

from spanbridge.testing import Receiver, StoredItem, StoredViolation
from tests.support.ports import free_port
from tests.support.program import clean_environment

SIDES: Final = ("native", "bridged")
SERVICES: Final = ("redis", "worker", "fastapi", "flask")
CALLER: Final = "a" * 16
"""Span id of whoever calls the services."""

_PACKAGE: Final = "tests.peers.traces_parity"
_STOP_TIMEOUT_S: Final = 30.0
_TIMEOUT_S: Final = 20.0


class Scenario(NamedTuple):
    """One request to one of the services."""

    name: str
    service: str
    method: str
    path: str
    segments: int
    """How many segments of services and of the worker it leads to."""
    is_upstream_known: bool = True
    """Whether the caller is traced; the one that is not begins a trace of its own."""

    @property
    def trace_id(self) -> str:
        """The trace id that its caller gives it."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:32]

    @property
    def headers(self) -> dict[str, str]:
        """What a traced caller sends along."""
        if not self.is_upstream_known:
            return {}
        head = {
            "trace_id": self.trace_id,
            "public_key": "c" * 32,
            "sample_rate": "1.0",
            "sample_rand": "0.250000",
            "sampled": "true",
            "release": "caller@1",
            "transaction": "caller",
        }
        members = [f"sentry-{key}={value.replace('@', '%40')}" for key, value in head.items()]
        return {
            "sentry-trace": f"{self.trace_id}-{CALLER}-1",
            "baggage": ",".join((*members, "tenant=acme")),
        }


def _scenarios() -> Iterator[Scenario]:
    for service in ("fastapi", "flask"):
        for path, segments in (
            ("/orders/7", 1),
            ("/unknown/7", 1),
            ("/nowhere", 1),
            ("/denied", 1),
            ("/answered-500", 1),
            ("/failing", 1),
            ("/no-table", 1),
            ("/stream", 1),
            ("/cache", 1),
            ("/cache-of-several", 1),
            ("/no-cache", 1),
            ("/elsewhere", 2),
            ("/elsewhere-unknown", 2),
            ("/nobody", 1),
            ("/queue", 2),
            ("/queue-of-failing", 2),
            ("/queue-tried-again", 3),
        ):
            yield Scenario(f"{service} GET {path}", service, "GET", path, segments)
        yield Scenario(f"{service} POST", service, "POST", "/orders/7", 1)
        yield Scenario(f"{service} PUT", service, "PUT", "/orders/7", 1)
        yield Scenario(f"{service} front", service, "GET", "/", 1, False)
    yield Scenario("fastapi in a thread", "fastapi", "GET", "/threaded/7?q=1", 1)
    yield Scenario("fastapi later", "fastapi", "GET", "/later", 1)


SCENARIOS: Final = tuple(_scenarios())


class Run(NamedTuple):
    """What one side delivered."""

    transactions: list[StoredItem]
    issues: list[StoredItem]
    violations: list[StoredViolation]


def run_both(python: Path) -> dict[str, Run]:
    """Run the application both ways; what arrived, by side.

    Raises:
        RuntimeError: One of its processes failed.
    """
    with ExitStack() as stack:
        receivers = {side: stack.enter_context(Receiver()) for side in SIDES}
        ports = {side: {service: free_port() for service in SERVICES} for side in SIDES}
        processes = [
            {
                "side": side,
                "service": service,
                "port": ports[side][service],
                "variables": _variables(receivers[side], service, ports[side], folder),
            }
            for side in SIDES
            for folder in [Path(stack.enter_context(TemporaryDirectory()))]
            for service in SERVICES
        ]
        _prepare(processes)
        with _running([str(python), "-m", f"{_PACKAGE}.start", json.dumps(processes)]) as running:
            running.wait_until_ready(len(processes))
            for side in SIDES:
                _request_all(ports[side])
            for receiver in receivers.values():
                _wait_quietly(receiver)
        return {
            side: Run(receiver.transactions, receiver.issues, receiver.violations)
            for side, receiver in receivers.items()
        }


def _variables(
    receiver: Receiver, service: str, ports: dict[str, int], folder: Path
) -> dict[str, str]:
    other = "flask" if service == "fastapi" else "fastapi"
    return {
        "SHOP_DSN": receiver.dsn,
        "SHOP_DATABASE": str(folder / "orders.sqlite"),
        "SHOP_REDIS_PORT": str(ports["redis"]),
        "SHOP_BROKER_FOLDER": str(folder),
        "SHOP_OTHER_SERVICE": f"http://127.0.0.1:{ports[other]}",
        "SHOP_NOBODY_LISTENS": f"http://127.0.0.1:{free_port()}",
    }


def _prepare(processes: list[dict[str, Any]]) -> None:
    for database in {process["variables"]["SHOP_DATABASE"] for process in processes}:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE orders (number INTEGER, note TEXT)")


def _request_all(ports: dict[str, int]) -> None:
    # Each on a connection of its own, as the server of Flask closes it after every answer.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(limits=limits, timeout=_TIMEOUT_S, trust_env=False) as client:
        for scenario in SCENARIOS:
            url = f"http://127.0.0.1:{ports[scenario.service]}{scenario.path}"
            client.request(scenario.method, url, headers=scenario.headers)


def _wait_quietly(receiver: Receiver) -> None:
    """Until every segment below the callers is there: a worker that is stopped takes no more tasks.

    What does not come is told by the comparison, not by this.
    """
    expected = {
        scenario.trace_id: scenario.segments for scenario in SCENARIOS if scenario.is_upstream_known
    }

    def is_complete(receiver: Receiver) -> bool:
        arrived = Counter(
            item.payload["contexts"]["trace"]["trace_id"] for item in receiver.transactions
        )
        return all(arrived[trace_id] >= count for trace_id, count in expected.items())

    with suppress(TimeoutError):
        receiver.wait_for(is_complete, _TIMEOUT_S)


class _Running:
    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process = process
        self._errors = errors

    def wait_until_ready(self, count: int) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # a worker of Celery shows its banner first
            count -= line == "ready\n"
            if count == 0:
                return
            if line == "failed\n":
                break
        raise RuntimeError(f"a process did not start:\n{self.told()}")

    def told(self) -> str:
        self._errors.seek(0)
        return self._errors.read()


@contextmanager
def _running(command: list[str]) -> Iterator[_Running]:
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=clean_environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        running = _Running(process, errors)
        try:
            with process.stdin:
                yield running
            code = process.wait(_STOP_TIMEOUT_S)
            if code != 0:
                raise RuntimeError(f"the application ended with {code}:\n{running.told()}")
        finally:
            process.stdout.close()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
