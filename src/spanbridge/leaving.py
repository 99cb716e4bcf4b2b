"""The pipelines of former configurations, on their way out."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanbridge.pipeline import Pipeline

MAX_LINGERING: Final = 8
"""Pipelines that may wait for their servers at once; for one more the oldest has to give way."""
MAX_LEAVING: Final = 32
"""Pipelines that may be on their way out at once; one more waits for the oldest."""
_LOOK_EVERY_S: Final = 0.2
_AT_LEAST_S: Final = 0.05
_AT_LAST_S: Final = 0.5
"""What one that has lingered long enough gets to write down or count what is left."""


class Leaving:
    """Sees off pipelines that were exchanged, without holding up whoever exchanged them.

    Each passes on what is undecided, delivers what it has as it would have done if nothing had
    changed, and stops; the end of the process gives it a deadline. One after the other passes on,
    so that what ended first is taken first; a server that hangs holds up nobody but its own
    pipeline.

    Args:
        let_go: Called with each pipeline that has left.
    """

    def __init__(self, let_go: Callable[[Pipeline], None]) -> None:
        self._let_go = let_go
        self._start_empty()
        after_fork_in_child(self._start_empty)

    def _start_empty(self) -> None:
        # In a forked child: what is on its way out belongs to the parent.
        self._lock = threading.Lock()
        self._departures: dict[_Departure, threading.Thread] = {}
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
        self._make_room()
        before, self._passed_on = self._passed_on, threading.Event()
        departure = _Departure(pipeline, has_metrics, before, self._passed_on)

        def leave() -> None:
            try:
                departure.run()
            finally:
                self._note(departure)

        with self._lock:  # it may have left before it is known here
            thread = start_daemon("leaving", leave)
            if thread is not None:
                self._departures[departure] = thread
        if thread is None:
            departure.hurry(pipeline.settings.shutdown_timeout_s)
            leave()

    def wait_for_hand_over(self, timeout_s: float) -> bool:
        """Wait until the present pipeline works; false if the deadline passed first."""
        return self._passed_on.wait(timeout_s)

    def flush(self, timeout_s: float) -> bool:
        """Let those deliver what they have that have not tried for long.

        Returns:
            Whether they did before the deadline. Others are not waited for: after a change from a
            server that is gone, each flush would take all of its time.
        """
        deadline = time.monotonic() + timeout_s
        is_flushed = True
        for departure, thread in self._under_way():
            until_s = min(deadline, departure.awaited_until_s)
            is_flushed &= departure.flush(until_s) or until_s < deadline
            if departure.is_done and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return is_flushed

    def hurry(self, timeout_s: float) -> None:
        """Give all that are on their way out a deadline: the process is about to end."""
        for departure, _ in self._under_way():
            departure.hurry(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Wait until all have left; false if the deadline passed first."""
        deadline = time.monotonic() + timeout_s
        for _, thread in self._under_way():
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for _, thread in self._under_way())

    def _under_way(self) -> list[tuple[_Departure, threading.Thread]]:
        with self._lock:
            return list(self._departures.items())

    def _make_room(self) -> None:
        crowd = self._under_way()
        for departure, _ in crowd[: max(0, 1 + len(crowd) - MAX_LINGERING)]:
            departure.give_way()
        if len(crowd) >= MAX_LEAVING:
            departure, thread = crowd[0]
            thread.join(departure.pipeline.settings.shutdown_timeout_s)

    def _note(self, departure: _Departure) -> None:
        with self._lock:
            self._departures.pop(departure, None)
        self._let_go(departure.pipeline)


class _Departure:
    """One pipeline on its way out.

    Args:
        pipeline: The one that leaves.
        has_metrics: Waits, so many seconds at most, for the last metrics it is given.
        before: Whether the one before it has passed on what it had to.
        passed_on: Whether this one has.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        has_metrics: Callable[[float], bool],
        before: threading.Event,
        passed_on: threading.Event,
    ) -> None:
        self.pipeline = pipeline
        self._has_metrics = has_metrics
        self._before = before
        self._passed_on = passed_on
        self._has_all = threading.Event()
        """Whether nothing is added any more to what it has to deliver."""
        self._is_asked = threading.Event()
        """Whether it has to look now how far it is."""
        self._lingers_until_s = self._deadline_s = math.inf
        self.awaited_until_s = time.monotonic() + pipeline.settings.shutdown_timeout_s
        """Until when whoever flushes waits for it, in monotonic time."""

    def give_way(self) -> None:
        """Linger no longer than the end of a process would take."""
        until_s = time.monotonic() + self.pipeline.settings.shutdown_timeout_s
        self._lingers_until_s = min(self._lingers_until_s, until_s)

    def hurry(self, timeout_s: float) -> None:
        """Leave within so many seconds; what cannot be delivered until then stays on disk."""
        self._deadline_s = min(self._deadline_s, time.monotonic() + timeout_s)
        self._is_asked.set()

    def flush(self, until_s: float) -> bool:
        """Deliver what there is; false if that moment passed first."""
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return self.is_done
        is_flushed = self._has_all.wait(left_s) and self.pipeline.flush(_until(until_s))
        self._is_asked.set()
        return is_flushed

    @property
    def is_done(self) -> bool:
        """Whether all has met its fate."""
        return self._has_all.is_set() and self.pipeline.is_done

    def run(self) -> None:
        """Pass on what is undecided, deliver what there is, and stop."""
        self._before.wait()
        try:
            self.pipeline.hand_over()
        except Exception as error:
            GUARD.caught("leaving.hand_over", error)
        finally:
            self._passed_on.set()
        timeout_s = self.pipeline.settings.shutdown_timeout_s
        try:
            self._has_metrics(min(timeout_s, self._left_s) / 2)
            self._has_all.set()
            while self._may_linger:
                if self.pipeline.close_what_is_done(min(timeout_s, self._left_s)):
                    break
                self._is_asked.wait(_LOOK_EVERY_S)
                self._is_asked.clear()
            is_late = time.monotonic() >= self._lingers_until_s
            self.pipeline.close(min(_AT_LAST_S if is_late else timeout_s, self._left_s))
        except Exception as error:
            GUARD.caught("leaving.close", error)
        finally:
            self._has_all.set()

    @property
    def _may_linger(self) -> bool:
        return self._deadline_s == math.inf and time.monotonic() < self._lingers_until_s

    @property
    def _left_s(self) -> float:
        return _until(self._deadline_s)


def _until(deadline: float) -> float:
    return max(_AT_LEAST_S, deadline - time.monotonic())
