"""What a destination's health rests on: whether the last thing that was sent arrived."""

from __future__ import annotations

from spanbridge.model.outcome import Outcome


class Trouble:
    """What went wrong, until something arrives again.

    Attributes:
        words: What it is; ``None`` if nothing is wrong.
    """

    def __init__(self) -> None:
        self.words: str | None = None

    def note(self, words: str) -> None:
        """An attempt failed; what it was to bring may still arrive."""
        self.words = words

    def settled(self, outcome: Outcome, reason: str = "", detail: str = "") -> None:
        """Items met their fate.

        Args:
            outcome: What it is.
            reason: Why they were lost, if they were.
            detail: More words on that.
        """
        if outcome is Outcome.EVICTED:
            return  # the queue tells of it, and for how long
        if reason:
            self.words = f"{reason}: {detail}" if detail else reason
        elif outcome is Outcome.DELIVERED:
            self.words = None
