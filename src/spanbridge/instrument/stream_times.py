"""When the chunks of a stream came, and how many: what its span says instead of one span each."""

from __future__ import annotations

from time import perf_counter

from spanbridge.conventions import (
    SPANBRIDGE_STREAM_CHUNK_COUNT,
    SPANBRIDGE_STREAM_TIME_TO_FIRST_CHUNK,
    SPANBRIDGE_STREAM_TIME_TO_LAST_CHUNK,
)


class StreamTimes:
    """Counts the chunks of one stream.

    Args:
        began_s: The begin of its span, by ``time.perf_counter``; now by default.
    """

    __slots__ = ("_began_s", "_first_s", "_last_s", "count")

    def __init__(self, began_s: float | None = None) -> None:
        self._began_s = perf_counter() if began_s is None else began_s
        self._first_s = self._last_s = self._began_s
        self.count = 0

    def note(self) -> None:
        """A chunk is handed over now."""
        self._last_s = perf_counter()
        if not self.count:
            self._first_s = self._last_s
        self.count += 1

    @property
    def time_to_first_s(self) -> float | None:
        """Seconds from the begin to the first chunk."""
        return self._first_s - self._began_s if self.count else None

    def attributes(self) -> dict[str, int | float]:
        """What a span says about it."""
        attributes: dict[str, int | float] = {SPANBRIDGE_STREAM_CHUNK_COUNT: self.count}
        if self.count:
            attributes[SPANBRIDGE_STREAM_TIME_TO_FIRST_CHUNK] = self._first_s - self._began_s
            attributes[SPANBRIDGE_STREAM_TIME_TO_LAST_CHUNK] = self._last_s - self._began_s
        return attributes
