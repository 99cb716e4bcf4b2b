"""Whether a queue loses what it is given, for whoever asks how its destination fares."""

from __future__ import annotations

from typing import Final

QUEUE_FULL: Final = "queue full"
"""Why something was evicted."""


class Overflow:
    """From what a queue had to give up until it has caught up.

    That something arrives is not enough: a server that is well and slow takes one while ten are
    lost. Nor is room for a moment, which a queue has whenever all of it is under way. Its owner
    holds a lock.
    """

    def __init__(self) -> None:
        self._is_lasting = False
        self._is_quiet = True
        """Whether nothing was given up since the last that was taken out."""

    @property
    def words(self) -> str | None:
        """What it is; ``None`` if nothing is lost."""
        return QUEUE_FULL if self._is_lasting else None

    def lost(self) -> None:
        """Something had to be given up."""
        self._is_lasting = True
        self._is_quiet = False

    def taken(self) -> None:
        """Something was taken out, to be sent."""
        self._is_quiet = True

    def arrived(self, *, is_half_empty: bool) -> None:
        """What was taken out has arrived.

        Args:
            is_half_empty: Whether what waits now takes half of the room at most.
        """
        if is_half_empty and self._is_quiet:
            self._is_lasting = False
