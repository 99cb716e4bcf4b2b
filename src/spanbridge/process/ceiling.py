"""A ceiling on how many traces a destination keeps in a second."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from time import monotonic

from spanbridge.runtime.fork import after_fork_in_child


class Ceiling:
    """Lowers a sample rate as far as is needed to stay below a number of traces per second.

    The rate follows from how many traces start: those of the last second, or of this one once it
    has more; below one trace a second, in the time that there is for one. It is the same for all
    traces of the moment and compared with each trace's random number, so what is kept can be
    weighted, and other services that keep less keep the same. Only what begins so suddenly that no
    rate could foresee it is cut off at the ceiling.

    Args:
        per_s: Most traces in a second.
        clock: Seconds from any fixed point, never going back; replaced in tests.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._window_s = max(1.0, 1 / per_s)
        self._room = max(1.0, per_s)
        """How many traces there is room for in a window."""
        self._clock = clock
        self._start_anew()
        after_fork_in_child(self._start_anew)

    def _start_anew(self) -> None:
        # One that the same thread may take again: a finalizer may start a span at any point. In a
        # forked child it may be held by a thread that exists in the parent only.
        self._lock = RLock()
        self._since_s = self._clock()
        self._before = 0
        self._started = 0
        self._kept = 0

    def rate(self, rate: float) -> float:
        """The rate for a trace that starts now, of the rate it would have otherwise."""
        with self._lock:
            self._turn(self._clock())
            self._started += 1
            busiest = max(self._before, self._started)
        return rate if busiest <= self._room else min(rate, self._room / busiest)

    def admits(self) -> bool:
        """Whether there is room for a trace whose random number lets it pass; it takes the room."""
        with self._lock:
            if self._kept >= self._room:
                return False
            self._kept += 1
            return True

    def _turn(self, now_s: float) -> None:
        gone_s = now_s - self._since_s
        if gone_s < self._window_s:
            return
        self._before = self._started if gone_s < 2 * self._window_s else 0
        self._since_s = now_s
        self._started = 0
        self._kept = 0
