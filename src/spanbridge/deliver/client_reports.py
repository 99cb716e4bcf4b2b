"""Tell Sentry what was discarded, by reason and category.

Source: Sentry develop docs, "Client Reports".
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

PIGGYBACK_AFTER_S = 5.0
"""From this age on a report rides on the next envelope; so a burst becomes one report."""

ALONE_AFTER_S = 30.0
"""At this age it is sent by itself."""

Discards = Counter[tuple[str, str]]
"""Quantity by (reason, category)."""


class ClientReports:
    """Sums up discards until they are reported. Thread-safe.

    Args:
        clock: Seconds from any fixed point, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._discards: Discards = Counter()
        self._oldest_s: float | None = None

    def add(self, reason: str, category: str, quantity: int) -> bool:
        """Count a discard; returns whether it is the first one of a new report."""
        if quantity <= 0:
            return False
        with self._lock:
            is_first = self._oldest_s is None
            if is_first:
                self._oldest_s = self._clock()
            self._discards[reason, category] += quantity
            return is_first

    def due_s(self, after_s: float) -> float | None:
        """When what is pending gets ``after_s`` old, on the clock given; ``None`` if nothing is."""
        oldest_s = self._oldest_s
        return None if oldest_s is None else oldest_s + after_s

    def is_due(self, after_s: float) -> bool:
        """Whether something has been pending for ``after_s`` or longer."""
        due_s = self.due_s(after_s)
        return due_s is not None and self._clock() >= due_s

    def take(self) -> Discards:
        """Remove what is pending in order to send it. Give it back with :meth:`restore`."""
        with self._lock:
            discards, self._discards = self._discards, Counter()
            self._oldest_s = None
            return discards

    def restore(self, discards: Discards) -> None:
        """Take back what could not be sent; its age starts anew."""
        if not discards:
            return
        with self._lock:
            self._discards.update(discards)
            if self._oldest_s is None:
                self._oldest_s = self._clock()


def encode_report(discards: Discards, now: datetime) -> bytes:
    """The ``client_report`` item, header and payload, ready to be appended to an envelope."""
    payload = msgspec.json.encode(
        {
            "timestamp": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "discarded_events": [
                {"reason": reason, "category": category, "quantity": quantity}
                for (reason, category), quantity in discards.items()
            ],
        }
    )
    return b'{"type":"client_report","length":%d}\n%b\n' % (len(payload), payload)


def append_item(envelope: bytes, item: bytes) -> bytes:
    """``envelope`` with one more item behind its last."""
    return envelope + item if envelope.endswith(b"\n") else b"%b\n%b" % (envelope, item)


def envelope_of(item: bytes) -> bytes:
    """An envelope that carries nothing but ``item``."""
    return b"{}\n" + item
