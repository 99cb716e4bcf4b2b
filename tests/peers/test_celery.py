"""One trace over a real Celery queue: producer and worker in processes of their own."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program, running

PROGRAM = Path(__file__).parent / "programs" / "tasks.py"
WORKERS = ("spanbridge", "sentry")


class Queues:
    """A queue for each worker that is running; all report to one server."""

    def __init__(self, python: Path, receiver: Receiver, folder: Path) -> None:
        self._python = str(python)
        self.receiver = receiver
        self._folder = folder

    def start(self, services: ExitStack) -> None:
        for role in WORKERS:
            for name in ("queue", "control", "results"):
                (self._folder / role / name).mkdir(parents=True)
            variables: dict[str, Any] = self._variables(role, role)
            worker = running(str(PROGRAM), "work", python=self._python, **variables)
            # Sentry's SDK and ours send what is left when the worker is told to stop.
            services.callback(services.enter_context(worker).send_signal, signal.SIGTERM)

    def produce(self, role: str, worker: str) -> dict[str, str]:
        """Let a producer send one task to a worker. Returns the headers the task came with."""
        done = run_program(
            f"import runpy, sys; sys.argv = ['tasks', 'produce']; "
            f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')",
            python=self._python,
            **self._variables(role, worker),
        )
        assert done.exit_code == 0, done.stderr
        headers: dict[str, str] = json.loads(done.lines[-1])
        return headers

    def transactions(self, trace_id: str) -> dict[str, Any]:
        """Those of a trace, once producer (``parent``) and worker (``child``) have told of it."""

        def told(receiver: Receiver) -> dict[str, Any] | None:
            by_end = {
                item.payload["transaction"].rpartition("/")[2]: item
                for item in receiver.transactions
                if item.payload["contexts"]["trace"]["trace_id"] == trace_id
            }
            return by_end if {"parent", "child"} <= set(by_end) else None

        return self.receiver.wait_for(told, 20) or {}

    def _variables(self, role: str, worker: str) -> dict[str, str]:
        return {
            "ROLE": role,
            "FOLDER": str(self._folder / worker),
            "SENTRY_DSN": self.receiver.dsn,
            "SENTRY_RELEASE": f"{role}@1",
            "SENTRY_ENVIRONMENT": "staging",
            "SENTRY_TRACES_SAMPLE_RATE": "1",
        }


@pytest.fixture(scope="module")
def queues(instrumented: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queues]:
    with Receiver() as receiver, ExitStack() as services:
        queues = Queues(instrumented, receiver, tmp_path_factory.mktemp("celery"))
        queues.start(services)
        yield queues


@pytest.mark.parametrize(
    ("producer", "worker"),
    [("spanbridge", "spanbridge"), ("sentry", "spanbridge"), ("spanbridge", "sentry")],
)
def test_a_task_is_part_of_the_trace_that_sent_it(
    queues: Queues, producer: str, worker: str
) -> None:
    headers = queues.produce(producer, worker)

    assert {"sentry-trace", "baggage"} <= set(headers)
    trace_id = headers["sentry-trace"][:32]
    if producer == "spanbridge":
        assert headers["traceparent"].split("-")[1] == trace_id
        assert headers["baggage"].startswith("tenant=acme,sentry-")
    told = queues.transactions(trace_id)
    parent, child = told["parent"], told["child"]
    assert parent.payload["release"] == f"{producer}@1"
    assert child.payload["release"] == f"{worker}@1"
    span_ids = {span["span_id"] for span in parent.payload["spans"]}
    assert child.payload["contexts"]["trace"]["parent_span_id"] in span_ids
    assert parent.envelope_header["trace"] == child.envelope_header["trace"]
    assert parent.envelope_header["trace"]["release"] == f"{producer}@1"
