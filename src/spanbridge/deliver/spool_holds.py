"""What is on disk although it is not decided yet whether it is to be sent. No thread, no disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spanbridge.deliver.envelope import OutgoingEnvelope
from spanbridge.deliver.errands import Hold
from spanbridge.deliver.queue import QueuedEnvelope
from spanbridge.deliver.spool_file import Spooled

HELD_MAX: Final = 256
HELD_MAX_BYTES: Final = 16 * 1024 * 1024
"""Undecided envelopes that may wait to be written, and their size."""


class SpoolHolds:
    """Undecided envelopes by key. Not thread-safe: its owner holds a lock.

    Args:
        remove: Has a file removed.
    """

    def __init__(self, remove: Callable[[Spooled | None], None]) -> None:
        self._remove = remove
        self._to_write: dict[str, OutgoingEnvelope] = {}
        self._written: dict[str, Spooled] = {}
        self._being_written: Hold | None = None

    @property
    def has_errands(self) -> bool:
        """Whether something is to be written."""
        return bool(self._to_write)

    def errand(self) -> Hold | None:
        """What is to be written next; report to :meth:`written`."""
        if not self._to_write:
            return None
        key = next(iter(self._to_write))
        self._being_written = Hold(key, self._to_write.pop(key))
        return self._being_written

    def hold(self, key: str, envelope: OutgoingEnvelope) -> bool:
        """Have something undecided written; false if too much waits for that already."""
        size_bytes = len(envelope.body) + sum(len(held.body) for held in self._to_write.values())
        if len(self._to_write) >= HELD_MAX or size_bytes > HELD_MAX_BYTES:
            return False
        self._to_write[key] = envelope
        return True

    def let_go(self, key: str) -> None:
        """Have what is held under ``key`` removed."""
        self._to_write.pop(key, None)
        hold = self._being_written
        if hold is not None and hold.key == key and hold.entry is None:
            hold.is_let_go = True
        self._remove(self._written.pop(key, None))

    def decide(self, key: str, entry: QueuedEnvelope) -> None:
        """Note that ``entry`` is what has become of the one held under ``key``.

        What is on disk stays there until ``entry`` meets its fate or a copy of it is written.
        """
        self._to_write.pop(key, None)
        hold = self._being_written
        if hold is not None and hold.key == key and not hold.is_let_go:
            hold.entry = entry
        entry.held = self._written.pop(key, None)

    def written(self, hold: Hold, spooled: Spooled | None) -> None:
        """Take note of what came of a :class:`Hold`."""
        self._being_written = None
        if spooled is None:
            return
        entry = hold.entry
        if hold.is_let_go or (entry is not None and entry.is_over):
            self._remove(spooled)
        elif entry is not None:
            self._remove(entry.held)
            entry.held = spooled
        else:
            self._remove(self._written.get(hold.key))
            self._written[hold.key] = spooled
