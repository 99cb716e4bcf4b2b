"""Which data categories the server asked us to hold back, and until when.

Source: Sentry develop docs, "Rate Limiting".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DEFAULT_RETRY_AFTER_S = 60.0
"""What a 429 without any figure means."""

ALL = "all"
"""Our name for a limit on everything; Sentry writes it as an empty list of categories."""

KNOWN_CATEGORIES = frozenset(
    {
        "attachment",
        "default",
        "error",
        "feedback",
        "log_byte",
        "log_item",
        "monitor",
        "profile",
        "profile_chunk",
        "profile_chunk_ui",
        "replay",
        "session",
        "span",
        "trace_metric",
        "trace_metric_byte",
        "transaction",
    }
)
"""Categories something of ours can fall under. Limits on others cannot concern us."""

_LIMITED_WITH = {"log_item": "log_byte", "trace_metric": "trace_metric_byte"}


class RateLimits:
    """The limits in force at one destination.

    Written by the sending thread only; reading from elsewhere is safe.

    Args:
        clock: Seconds from any fixed point, never going back.
        utc_now: The wall clock, for limits given as a date.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._utc_now = utc_now
        self._until_s: dict[str, float] = {}

    def update(self, status: int, rate_limits: str | None, retry_after: str | None) -> set[str]:
        """Take in an answer of any status.

        Args:
            status: Its HTTP status.
            rate_limits: The value of ``X-Sentry-Rate-Limits``, if any.
            retry_after: The value of ``Retry-After``; it counts on a 429 without the other header.

        Returns:
            Categories that were free before and are limited now.
        """
        if rate_limits:
            limits = list(_parse_rate_limits(rate_limits))
        elif status == 429:
            delay_s = parse_retry_after(retry_after, self._utc_now())
            limits = [(ALL, DEFAULT_RETRY_AFTER_S if delay_s is None else delay_s)]
        else:
            return set()
        now = self._clock()
        before = {name: until for name, until in self._until_s.items() if until > now}
        after = dict(before)
        for category, delay_s in limits:
            until = now + delay_s
            if until > max(now, after.get(category, now)):
                after[category] = until
        self._until_s = after
        return after.keys() - before.keys()

    def is_limited(self, category: str) -> bool:
        """Whether nothing of ``category`` may be sent now."""
        return bool(self._until_s) and self.free_at_s(category) > self._clock()

    def free_at_s(self, category: str) -> float:
        """Until when ``category`` is held back, on the clock given; the past if it is not."""
        names = (ALL, category, _LIMITED_WITH.get(category, category))
        return max(self._until_s.get(name, -math.inf) for name in names)

    def in_force(self) -> dict[str, float]:
        """Seconds left by category; ``"all"`` stands for every category."""
        now = self._clock()
        return {name: until - now for name, until in self._until_s.items() if until > now}


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a ``Retry-After`` header (a number or an HTTP date), if it is readable."""
    if not value:
        return None
    delay_s = _parse_seconds(value)
    if delay_s is not None:
        return delay_s
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _parse_rate_limits(header: str) -> Iterator[tuple[str, float]]:
    for limit in header.split(","):
        seconds, colon, rest = limit.strip().partition(":")
        delay_s = _parse_seconds(seconds)
        if delay_s is None or not colon:
            continue
        categories = rest.partition(":")[0].strip()
        if not categories:
            yield ALL, delay_s
        for category in categories.split(";"):
            if category.strip() in KNOWN_CATEGORIES:
                yield category.strip(), delay_s


def _parse_seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return float(math.ceil(seconds))
