"""What an answer means for an envelope, and when the next attempt may be made."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

from spanbridge.deliver.envelope import Priority

MAX_ATTEMPTS = 5
"""Requests made for one envelope before it is given up."""

RETRY_TOTAL_S = 120.0
"""An envelope whose first failure lies further back is given up."""

FIRST_DELAY_S = 0.5
"""The pause after the first failure; every further one doubles it."""

MAX_DELAY_S = 30.0
"""The longest pause, also where the server asks for more."""

_RETRIED_STATUSES = frozenset({408, 500, 502, 503, 504})


class Verdict(enum.Enum):
    """What an HTTP status says about the envelope that was answered with it."""

    DELIVERED = "delivered"
    RATE_LIMITED = "rate_limited"
    """The server counted the loss itself: neither retried nor reported."""
    REFUSED = "refused"
    """The same bytes would be refused again."""
    RETRY = "retry"


def judge(status: int) -> Verdict:
    """The meaning of an answer. Redirects are not followed: a key must not go elsewhere."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status == 429:
        return Verdict.RATE_LIMITED
    if status in _RETRIED_STATUSES or 505 < status < 600:
        return Verdict.RETRY
    return Verdict.REFUSED


class Backoff:
    """Growing, jittered pauses after failures, without making urgent work wait for lesser work.

    A failure holds its own priority and every lower one. Something more urgent is tried at once:
    it is either lucky or holds its own priority too, so an outage costs at most one attempt per
    priority and pause. Not thread-safe: its owner holds a lock.

    Args:
        clock: Seconds from any fixed point, never going back.
        jitter: A number in [0, 1); spreads the retries of many processes.
    """

    def __init__(
        self, clock: Callable[[], float], jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._held_until_s: dict[Priority, float] = {}

    @property
    def failures(self) -> int:
        """Attempts that failed since the last one that was answered well."""
        return self._failures

    def failed(self, priority: Priority, at_least_s: float = 0.0) -> None:
        """Hold ``priority`` and lower ones; ``at_least_s`` is what the server asked for."""
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures, 16))
        self._failures += 1
        delay_s = max(delay_s * (0.5 + self._jitter() / 2), min(at_least_s, MAX_DELAY_S))
        self._held_until_s[priority] = self._clock() + delay_s

    def succeeded(self) -> None:
        """Forget every failure."""
        self._failures = 0
        self._held_until_s.clear()

    def release(self) -> None:
        """Let everything be tried now, without forgetting how long the failures lasted."""
        self._held_until_s.clear()

    def held_from(self) -> Priority | None:
        """The most urgent priority that has to wait, if any."""
        if not self._held_until_s:
            return None
        now = self._clock()
        return min((p for p, until in self._held_until_s.items() if until > now), default=None)

    def next_release_s(self) -> float | None:
        """When the next hold ends, on the clock given, if one is in force."""
        now = self._clock()
        return min((until for until in self._held_until_s.values() if until > now), default=None)
