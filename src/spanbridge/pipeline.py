"""The worker of one configuration: when it works, when it is waited for, and how it ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from spanbridge.destinations.closing import close_all
from spanbridge.destinations.make import make_destinations
from spanbridge.issues import Issues
from spanbridge.lane import Lane
from spanbridge.process.intake import Intake
from spanbridge.rates import make_sampling
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon
from spanbridge.stages import Stages

if TYPE_CHECKING:
    from spanbridge.destinations.shape import Destination
    from spanbridge.process.local_trace import LocalTraces
    from spanbridge.runtime.status import DestinationStatus
    from spanbridge.settings import Settings

BATCH: Final = 2048
"""Spans taken from the intake at once."""
GATHER_S: Final = 0.02
"""Pause before each round: a request that has just ended is answered first, and under load one
round serves many traces, which costs a fraction of being woken for each."""
TICK_S: Final = 1.0
"""Longest sleep of the worker: what became due meanwhile is at most this late."""
DECISION_TICK_S: Final = 0.2
"""The same while a failure is under decision: a decided one leaves within a second."""


class Pipeline:
    """A worker thread and the destinations of one configuration.

    Args:
        settings: The resolved settings.
        traces: The process's local traces.
    """

    def __init__(self, settings: Settings, traces: LocalTraces) -> None:
        self.settings = settings
        self._traces = traces
        made, self.problems = make_destinations(settings)
        self.destinations = [destination for destination, _ in made]
        self._lanes = [
            Lane(destination, options, settings)
            for destination, options in made
            if destination.takes_spans or destination.takes_issues
        ]
        self.sampling = make_sampling(self.destinations, settings)
        self.intake = Intake(
            max((options.queue_max_items for options in settings.destinations), default=0)
        )
        self.issues = Issues(settings, traces, self._lanes)
        self._stages = Stages(settings, traces, self.destinations, self._lanes, self.issues)
        self.is_closed = False
        """Whether it belongs to the past: nothing new comes, also not in a forked child."""
        self._has_left = False
        self._done: set[str] = set()
        """Names of the destinations that are closed already."""
        self._heir: Pipeline | None = None
        self._start_empty()

    def _start_empty(self) -> None:
        self._flush_requests: deque[threading.Event] = deque()
        self._is_urgent = threading.Event()
        self._is_stopping = False
        self._is_due = False
        """Whether it was asked to work, which takes a thread."""
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, *, works: bool = True) -> None:
        """Start the threads, now and in every forked child.

        Args:
            works: Whether to begin at once. A predecessor has to take what ended before, and calls
                :meth:`work` then.
        """
        self._start_destinations()
        if works:
            self.work()
        after_fork_in_child(self._after_fork)

    def _start_destinations(self) -> None:
        for destination in self.destinations:
            destination.start()

    def work(self) -> None:
        """Begin to take what has ended."""
        self._is_due = True
        with self._starting:  # several threads may flush where no thread was to be had so far
            if not self.is_working:
                self._thread = start_daemon("worker", self._run)

    @property
    def is_working(self) -> bool:
        """Whether what has ended is taken, or was."""
        return self._thread is not None

    def _after_fork(self) -> None:
        if self.is_closed:
            return
        self.intake.reset()
        self._traces.forget_lost(time.monotonic(), at_once=True)  # the parent counts them
        self._traces.forget_arriving()
        self._start_empty()
        self.issues.start_empty()
        for lane in self._lanes:
            lane.start_empty()
        for destination in self.destinations:
            destination.after_fork()
        self._start_destinations()
        self.work()

    def flush(self, timeout_s: float) -> bool:
        """Let everything that ended so far leave; false if the deadline passed first."""
        deadline = time.monotonic() + timeout_s
        if not self._pass_on(timeout_s):
            return False
        # A list, not a generator: every destination gets its turn, also after a failure.
        flushed = [
            destination.flush(max(0.0, deadline - time.monotonic()))
            for destination in self.destinations
        ]
        return all(flushed)

    def retire(self, heir: Pipeline | None) -> None:
        """Note that ``heir``, or nobody, takes the place of this one, before anybody is led there.

        What is undecided stays so: what decides it may end elsewhere from now on.
        """
        self.is_closed = True
        self._heir = heir

    def hand_over(self) -> None:
        """Take what ended so far, and pass on what is undecided and what still comes.

        The heir begins to work then. Without one, everything is decided, and what still comes is
        refused.
        """
        heir = self._heir
        try:
            if heir is None:
                self.intake.close()
            self._stop_working(self.settings.shutdown_timeout_s)
        finally:
            self._heir = None  # a worker that is late decides by itself
            if heir is not None:
                self.intake.bequeath(heir.intake)
                heir.work()

    def close(self, timeout_s: float) -> bool:
        """Flush, decide what is undecided, and stop all threads within the deadline."""
        if self._has_left:
            return True
        self._has_left = self.is_closed = True
        deadline = time.monotonic() + timeout_s
        self._stop_working(timeout_s * 0.8)
        left = [one for one in self.destinations if one.name not in self._done]
        return close_all(left, deadline)

    @property
    def is_done(self) -> bool:
        """Whether all that was taken has met its fate at every destination."""
        return not self._may_bring_more and all(map(_owes_nothing, self.destinations))

    @property
    def _may_bring_more(self) -> bool:
        """Whether the worker, though told to stop, is still busy with what it took."""
        return self._thread is not None and self._thread.is_alive()

    def close_what_is_done(self, timeout_s: float) -> bool:
        """Close the destinations that owe nothing, once nothing comes any more; whether all are."""
        if self._may_bring_more:
            return False
        done = [one for one in self.destinations if _owes_nothing(one)]
        close_all([one for one in done if one.name not in self._done], time.monotonic() + timeout_s)
        self._done.update(one.name for one in done)
        return len(self._done) == len(self.destinations)

    def _stop_working(self, timeout_s: float) -> None:
        self._is_stopping = True
        self._is_urgent.set()
        self.intake.wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
        if self._is_due and thread is None:  # none was to be had
            self._is_due = False
            self._finish()

    def _pass_on(self, timeout_s: float) -> bool:
        """Wait until the worker passed on all that is queued now."""
        if self._is_due and not self.is_closed:
            self.work()  # if no thread was to be had so far
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return self.is_closed
        passed_on = threading.Event()
        self._flush_requests.append(passed_on)
        self._is_urgent.set()
        self.intake.wake()
        return passed_on.wait(timeout_s)

    # ------------------------------------------------------------------ the worker's thread

    def _run(self) -> None:
        try:
            self._wait_for_no_root_that_left()
        except BaseException as error:
            GUARD.caught("pipeline.worker", error)
        while not self._is_stopping:
            self.intake.wait(DECISION_TICK_S if self.issues.is_waiting else TICK_S, self._is_wanted)
            if not self._is_wanted():
                self._is_urgent.wait(GATHER_S)
            # BaseException here and in all that the worker calls: a hook or a ``__str__`` of the
            # application's that raises SystemExit would end the worker, and nothing else.
            try:
                self._round()
            except BaseException as error:
                GUARD.caught("pipeline.worker", error)
        self._finish()

    def _wait_for_no_root_that_left(self) -> None:
        """Tell of roots that a former pipeline took, or the parent of this process.

        Nothing has been taken here so far, so whatever else has left has left elsewhere.
        """
        now_s = time.monotonic()
        for local in self._traces.without_root():
            for lane in self._lanes:
                lane.lose(local, now_s)

    def _finish(self) -> None:
        try:
            self._last_round()
        except BaseException as error:
            GUARD.caught("pipeline.shutdown", error)

    def _is_wanted(self) -> bool:
        return self._is_stopping or bool(self._flush_requests)

    def _round(self) -> None:
        self._is_urgent.clear()
        requests = [self._flush_requests.popleft() for _ in range(len(self._flush_requests))]
        try:
            now_s = time.monotonic()
            self._drain(now_s, is_flush=bool(requests))
            if self._heir is None:
                self.issues.pass_on(now_s, is_flush=bool(requests))
            if requests:
                for lane in self._lanes:
                    lane.release(now_s)
        finally:
            for request in requests:
                request.set()

    def _last_round(self) -> None:
        now_s = time.monotonic()
        self._drain(now_s, is_flush=True)
        heir = self._heir
        if heir is None or heir.is_working or not heir.issues.go_on_from(self.issues, now_s):
            self.issues.decide_all(now_s)
        for lane in self._lanes:
            lane.release(now_s, is_last=True)
        for request in self._flush_requests:
            request.set()

    def _drain(self, now_s: float, *, is_flush: bool) -> None:
        # What waits now and no more: under a load the worker cannot match, new spans would keep
        # it here for ever, and nothing would be sent, decided or bounded meanwhile.
        waiting = len(self.intake)
        while waiting > 0:
            self._stages.process(self.intake.take(min(waiting, BATCH)), now_s)
            self._stages.advance(now_s)
            waiting -= BATCH
        self._stages.count_refused(*self.intake.take_refused())
        self._stages.give_up_lost(now_s, at_once=is_flush)
        self._stages.advance(now_s)

    def statuses(self) -> dict[str, DestinationStatus]:
        """How each destination fares."""
        led_to = {lane.name: lane.status() for lane in self._lanes}
        return {one.name: led_to.get(one.name) or one.status() for one in self.destinations}


def _owes_nothing(destination: Destination) -> bool:
    return destination.ledger.snapshot().is_closed
