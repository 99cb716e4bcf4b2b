"""The pipelines of former configurations, on their way out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanbridge.pipeline import Pipeline
    from spanbridge.runtime.ledger import LedgerSnapshot

MAX_LEAVING: Final = 8
"""Pipelines that may be on their way out at once; one more waits for the first of them."""


class Leaving:
    """Sees off pipelines that were exchanged, without holding up whoever exchanged them.

    Each passes on what is undecided, delivers what it has within its shutdown deadline, and stops.
    One after the other passes on, so that what ended first is taken first; a server that hangs
    holds up nobody but its own pipeline.
    """

    def __init__(self) -> None:
        self._start_empty()
        after_fork_in_child(self._start_empty)

    def _start_empty(self) -> None:
        # In a forked child: what is on its way out belongs to the parent, which counts it.
        self._lock = threading.Lock()
        self._threads: dict[Pipeline, threading.Thread] = {}
        self._ledgers: dict[str, LedgerSnapshot] = {}
        self._passed_on = threading.Event()
        """Whether the last one has passed on what it had to."""
        self._passed_on.set()

    def see_off(
        self, pipeline: Pipeline, has_metrics: Callable[[float], bool] = lambda timeout_s: True
    ) -> None:
        """Let a pipeline that is retired leave, and its heir begin to work once it may.

        Args:
            pipeline: The one that is retired.
            has_metrics: Waits, so many seconds at most, for the last metrics it is given.
        """
        self._wait_for_room()
        before, self._passed_on = self._passed_on, threading.Event()
        passed_on = self._passed_on

        def leave() -> None:
            before.wait()
            try:
                pipeline.hand_over()
            except Exception as error:
                GUARD.caught("leaving.hand_over", error)
            finally:
                passed_on.set()
            timeout_s = pipeline.settings.shutdown_timeout_s
            deadline = time.monotonic() + timeout_s
            try:
                has_metrics(timeout_s / 2)
                pipeline.close(max(0.05, deadline - time.monotonic()))
            except Exception as error:
                GUARD.caught("leaving.close", error)
            self._note(pipeline)

        with self._lock:  # it may have left before it is known here
            thread = start_daemon("leaving", leave)
            if thread is not None:
                self._threads[pipeline] = thread
        if thread is None:
            leave()

    def wait_for_hand_over(self, timeout_s: float) -> bool:
        """Wait until the present pipeline works; false if the deadline passed first."""
        return self._passed_on.wait(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait until all have left; false if the deadline passed first."""
        deadline = time.monotonic() + timeout_s
        for thread in self._under_way():
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._under_way())

    def ledgers(self) -> dict[str, LedgerSnapshot]:
        """What became of what they were given, by destination name."""
        with self._lock:
            ledgers = dict(self._ledgers)
            leaving = list(self._threads)
        for pipeline in leaving:
            _add(pipeline, ledgers)
        return ledgers

    def _under_way(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._threads.values())

    def _wait_for_room(self) -> None:
        with self._lock:
            crowd = list(self._threads.items())
        if len(crowd) >= MAX_LEAVING:
            pipeline, thread = crowd[0]
            thread.join(pipeline.settings.shutdown_timeout_s)

    def _note(self, pipeline: Pipeline) -> None:
        with self._lock:
            self._threads.pop(pipeline, None)
            _add(pipeline, self._ledgers)


def _add(pipeline: Pipeline, ledgers: dict[str, LedgerSnapshot]) -> None:
    for destination in pipeline.destinations:
        counts = destination.ledger.snapshot()
        known = ledgers.get(destination.name)
        ledgers[destination.name] = counts if known is None else known.plus(counts)
