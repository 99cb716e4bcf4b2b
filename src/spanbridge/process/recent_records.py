"""Which records of the standard library's logging were read a moment ago.

An application can hand the same records to OpenTelemetry with a handler of its own. They come back
as log records with the same name and time, so they are known, and each is read once.
"""

from __future__ import annotations

from typing import Final

MAX_RECORDS: Final = 1024
"""At least so many of the latest records are known, and never more than twice as many."""


class RecentRecords:
    """Takes no lock: at worst, threads that write at once forget a few records early."""

    def __init__(self) -> None:
        self._young: dict[tuple[str, int], str] = {}
        self._old: dict[tuple[str, int], str] = {}

    def add(self, logger: str, time_ns: int, event_id: str) -> None:
        """Note a record that was read.

        Args:
            logger: Name of its logger.
            time_ns: Its time in Unix nanoseconds, truncated as OpenTelemetry's handlers do.
            event_id: Id of the event that its exception may become; empty without one.
        """
        if len(self._young) >= MAX_RECORDS:
            self._old, self._young = self._young, {}
        self._young[logger, time_ns] = event_id

    def event_id_of(self, logger: str, time_ns: int) -> str | None:
        """The event id noted with a record; ``None`` if the record is not known."""
        key = (logger, time_ns)
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)
