"""The bounded queue of one destination, ordered by priority."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.spool_file import Spooled


class QueuedEnvelope(msgspec.Struct, eq=False):
    """An envelope under way, with what its retries need to know."""

    envelope: OutgoingEnvelope
    arrival: int
    """How many came before it."""
    items: int
    """How many items it takes of the bound."""
    attempts: int = 0
    first_failure_s: float | None = None
    copy: Spooled | None = None
    """Its copy on disk."""
    held: Spooled | None = None
    """On disk since before it was decided. It stands in for a copy until there is one."""
    is_copied: bool = False
    """Whether a copy was asked for."""
    is_replayed: bool = False
    """Whether it comes from disk."""
    is_over: bool = False
    """Whether it has left the memory."""

    @property
    def priority(self) -> Priority:
        """The priority of its envelope."""
        return self.envelope.priority


class DeliveryQueue:
    """Holds envelopes until they can be sent. Not thread-safe: its owner holds a lock.

    Args:
        max_items: Bound of the items (spans, errors) inside the queued envelopes.
        max_bytes: Bound of their uncompressed bodies.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        # By the number of the priority: an enumeration's member is hashed by Python code.
        self._lanes: list[deque[QueuedEnvelope]] = [deque() for _ in Priority]
        self._items = 0
        self._bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    @property
    def items(self) -> int:
        """Items inside the queued envelopes."""
        return self._items

    @property
    def size_bytes(self) -> int:
        """Bytes of the queued bodies."""
        return self._bytes

    @property
    def is_half_empty(self) -> bool:
        """Whether what is queued takes half of the room at most."""
        return 2 * self._items <= self._max_items and 2 * self._bytes <= self._max_bytes

    def put(self, entry: QueuedEnvelope) -> list[QueuedEnvelope]:
        """Append ``entry`` to its lane.

        Returns:
            What had to leave to stay within the bounds: lowest priority first, oldest of it first.
            It may be ``entry`` itself.
        """
        envelope = entry.envelope
        if len(envelope.body) > self._max_bytes or entry.items > self._max_items:
            return [entry]  # it alone breaks the bound: nothing else should leave for it
        self._lanes[entry.priority].append(entry)
        self._count(entry, 1)
        return self._evict_excess()

    def put_back(self, entry: QueuedEnvelope) -> list[QueuedEnvelope]:
        """Return ``entry``, taken before, to the front of its lane. Evicts as :meth:`put` does."""
        self._lanes[entry.priority].appendleft(entry)
        self._count(entry, 1)
        return self._evict_excess()

    def waiting(self, priority: Priority) -> Iterator[QueuedEnvelope]:
        """What is queued with ``priority``, oldest first."""
        return iter(self._lanes[priority])

    def take(self, more_urgent_than: int | None = None) -> QueuedEnvelope | None:
        """Remove the oldest envelope of the most urgent priority.

        Args:
            more_urgent_than: Leave this priority and lower ones where they are.
        """
        for priority, lane in enumerate(self._lanes):
            if more_urgent_than is not None and priority >= more_urgent_than:
                return None
            if lane:
                entry = lane.popleft()
                self._count(entry, -1)
                return entry
        return None

    def take_all(self) -> list[QueuedEnvelope]:
        """Empty the queue, most urgent first."""
        return list(self._drain())

    def oldest_arrival(self) -> int | None:
        """The arrival of the envelope that has waited longest."""
        return min((lane[0].arrival for lane in self._lanes if lane), default=None)

    def _drain(self) -> Iterator[QueuedEnvelope]:
        while (entry := self.take()) is not None:
            yield entry

    def _evict_excess(self) -> list[QueuedEnvelope]:
        evicted = []
        while self._bytes > self._max_bytes or self._items > self._max_items:
            lane = next(lane for lane in reversed(self._lanes) if lane)
            entry = lane.popleft()
            self._count(entry, -1)
            evicted.append(entry)
        return evicted

    def _count(self, entry: QueuedEnvelope, sign: int) -> None:
        self._items += sign * entry.items
        self._bytes += sign * len(entry.envelope.body)
