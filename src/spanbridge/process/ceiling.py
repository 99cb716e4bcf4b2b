"""A ceiling on how many traces a destination keeps in a second."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from time import monotonic
from typing import Final

from spanbridge.runtime.fork import after_fork_in_child

LEAST_BURST: Final = 10.0
"""Traces that even the lowest ceiling has room for at once. With less, chance alone would use up
the room so often that what is cut off made the sum of weights too small."""


class Ceiling:
    """Lowers a sample rate as far as is needed to stay below a number of traces per second.

    In any ``t`` seconds it lets at most ``t * per_s`` traces pass, and once what there is room for
    at once: those of one second, but at least ``LEAST_BURST``. Room that is not used is kept, up to
    that many traces.

    The rate follows from how many traces start: those of the last second, or of this one once it
    has more; below one trace a second, in the time that there is for one. It falls as the room
    does and rises with it, so that under a lasting load about half of the room is free, and what
    chance brings too many of now is made up for later. It is the same for all traces of the moment
    and compared with each trace's random number, so what is kept can be weighted, and other
    services that keep less keep the same. Only what no rate could hold back is cut off.

    Args:
        per_s: Most traces in a second, in the long run.
        clock: Seconds from any fixed point, never going back; replaced in tests.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._per_s = per_s
        self._window_s = max(1.0, 1 / per_s)
        self._most_room = max(LEAST_BURST, per_s)
        # Half of the room is free where it gives just what is allowed.
        self._wanted_per_room = max(1.0, per_s) / (self._most_room / 2)
        self._clock = clock
        self._start_anew()
        after_fork_in_child(self._start_anew)

    def _start_anew(self) -> None:
        # One that the same thread may take again: a finalizer may start a span at any point. In a
        # forked child it may be held by a thread that exists in the parent only.
        self._lock = RLock()
        self._since_s = self._seen_s = self._clock()
        self._before = 0
        self._started = 0
        self._room = self._most_room

    def rate(self, rate: float) -> float:
        """The rate for a trace that starts now, of the rate it would have otherwise."""
        with self._lock:
            self._go_on(self._clock())
            self._started = started = self._started + 1
            busiest = started if started > self._before else self._before
            wanted = self._room * self._wanted_per_room
        return rate if busiest <= wanted else min(rate, wanted / busiest)

    def admits(self) -> bool:
        """Whether there is room for a trace whose random number lets it pass; it takes the room."""
        with self._lock:
            if self._room < 1:
                return False
            self._room -= 1
            return True

    def _go_on(self, now_s: float) -> None:
        room = self._room + (now_s - self._seen_s) * self._per_s
        self._room = room if room < self._most_room else self._most_room
        self._seen_s = now_s
        gone_s = now_s - self._since_s
        if gone_s < self._window_s:
            return
        self._before = self._started if gone_s < 2 * self._window_s else 0
        self._since_s = now_s
        self._started = 0
