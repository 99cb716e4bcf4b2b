"""What is run inside an arm's process. Each function returns one sample."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import workload
from bench.workload import SPANS_PER_TRACE, SpanSpec

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bench.arms import Arm

BURST = 64
"""Traces made in a row. 512 spans: one batch of OTel's processor, within every default queue."""
_PAUSE_S = 0.004
"""Between two requests, so that a worker's share of the interpreter is not in the latency."""
_IDLE_SLICE_S = 0.002
_IDLE_SLICES = 3
"""In a row: one alone may be a worker that waits for the server's answer."""
_IDLE_LIMIT_S = 5.0


@dataclass
class Sample:
    """One arm's part of one round. Fields an experiment does not measure stay zero."""

    produced: int = 0
    """Spans that ended, or errors."""
    app_ns: int = 0
    """CPU time of the thread that produced."""
    cpu_ns: int = 0
    """CPU time of the whole process until everything was delivered."""
    wall_ns: int = 0
    """From the first item until everything was delivered."""
    p50_ns: int = 0
    resident_bytes: tuple[int, ...] = ()
    """After the warm-up and then at equal distances; the first is the base of the growth."""


class Measurements:
    """The experiments on one arm.

    Args:
        arm: Set up for one experiment; called from this thread only.
    """

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._traces = workload.traces()
        self._app: FastAPI | None = None

    def cost(self, bursts: int) -> Sample:
        """Bursts of traces, each followed by a flush: nothing is dropped by any default queue."""
        return self._bursts(bursts, self._arm.trace, SPANS_PER_TRACE)

    def unsampled(self, bursts: int) -> Sample:
        """The same as :meth:`cost` where no destination keeps any trace."""
        return self.cost(bursts)

    def errors(self, bursts: int) -> Sample:
        """Bursts of failing calls, each followed by a flush."""
        return self._bursts(bursts, self._arm.error, 1)

    def flat_out(self, window_s: float) -> Sample:
        """Traces without a pause for ``window_s`` seconds, then a flush."""
        gc.collect()
        sample = Sample()
        started_ns = time.perf_counter_ns()
        deadline_ns = started_ns + round(window_s * 1e9)
        while time.perf_counter_ns() < deadline_ns:
            self._arm.trace(next(self._traces))
            sample.produced += SPANS_PER_TRACE
        self._arm.flush()
        sample.wall_ns = time.perf_counter_ns() - started_ns
        # A full queue had no room for Sentry's client reports of what it dropped.
        self._arm.flush()
        return sample

    def fastapi(self, requests: int) -> Sample:
        """Median latency of requests to an application in this process, one after the other."""
        gc.collect()
        if self._app is None:
            self._app = _application(self._arm, self._traces)
        latencies_ns = asyncio.run(_drive(self._app, requests))
        self._arm.flush()
        return Sample(produced=requests, p50_ns=round(statistics.median(latencies_ns)))

    def memory(self, spans: int) -> Sample:
        """Resident memory over ``spans`` spans of which 1 % never end, after a tenth as many.

        The process is given time to fall idle after every half burst. It is not flushed, since
        that would free what an arm holds for spans that never end.
        """
        sample = Sample()
        tenth = spans // SPANS_PER_TRACE // 10
        numbers = itertools.count()
        resident_bytes = []
        for _ in range(11):
            for number in itertools.islice(numbers, tenth):
                never_ending = workload.never_ending_position(number)
                self._arm.trace(next(self._traces), never_ending)
                sample.produced += SPANS_PER_TRACE - (never_ending is not None)
                if number % (BURST // 2) == 0:
                    _wait_until_idle()
            gc.collect()
            resident_bytes.append(_resident_bytes())
        sample.resident_bytes = tuple(resident_bytes)
        self._arm.flush()
        return sample

    def _bursts(self, bursts: int, make: Callable[[SpanSpec], None], worth: int) -> Sample:
        gc.collect()
        sample = Sample(produced=bursts * BURST * worth)
        started_wall_ns, started_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(bursts):
            started_app_ns = time.thread_time_ns()
            for root in itertools.islice(self._traces, BURST):
                make(root)
            sample.app_ns += time.thread_time_ns() - started_app_ns
            self._arm.flush()
        sample.cpu_ns = time.process_time_ns() - started_cpu_ns
        sample.wall_ns = time.perf_counter_ns() - started_wall_ns
        return sample


def _application(arm: Arm, traces: Iterator[SpanSpec]) -> FastAPI:
    from fastapi import FastAPI  # only this experiment pays for it

    app = FastAPI()

    @app.post("/proposals/{proposal_id}/assess")
    async def assess(proposal_id: str) -> dict[str, str]:
        arm.inside(next(traces))
        return {"proposal": proposal_id, "verdict": "allow"}

    arm.instrument(app)
    return app


async def _drive(app: FastAPI, requests: int) -> list[int]:
    latencies_ns = []
    for number in range(requests):
        scope = _request_scope(number)
        started_ns = time.perf_counter_ns()
        await app(scope, _receive_empty_body, _ignore_message)
        latencies_ns.append(time.perf_counter_ns() - started_ns)
        await asyncio.sleep(_PAUSE_S)
    return latencies_ns


def _request_scope(number: int) -> dict[str, Any]:
    path = f"/proposals/prop_{number:08x}/assess"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"governance.example.com"),
            (b"user-agent", b"python-httpx/0.28.1"),
            (b"accept", b"*/*"),
            (b"content-length", b"0"),
        ],
        "client": ("192.0.2.10", 51324),
        "server": ("192.0.2.1", 80),
    }


async def _receive_empty_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _ignore_message(message: Any) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"the application answered {message['status']}")


def _wait_until_idle() -> None:
    deadline_s = time.monotonic() + _IDLE_LIMIT_S
    idle_slices = 0
    while idle_slices < _IDLE_SLICES and time.monotonic() < deadline_s:
        before_s = time.process_time()
        time.sleep(_IDLE_SLICE_S)
        is_idle = time.process_time() - before_s < _IDLE_SLICE_S / 10
        idle_slices = idle_slices + 1 if is_idle else 0


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
