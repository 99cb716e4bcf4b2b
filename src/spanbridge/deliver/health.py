"""What goes wrong at a Sentry server now. No thread, no network."""

from __future__ import annotations

from typing import Final

from spanbridge.deliver.attempt import Attempt
from spanbridge.deliver.envelope import OutgoingEnvelope
from spanbridge.runtime.overflow import Overflow

_THE_WAY_THERE: Final = ""
"""Stands for all categories where nobody answered."""


class Health:
    """What went wrong, by data category, until something of that category has arrived again.

    An error that arrives says nothing of traces: the server may take the one and not the other. A
    server that does not answer concerns all of them, so there anything that arrives is enough.
    """

    def __init__(self) -> None:
        self.overflow = Overflow()
        self._troubles: dict[str, str] = {}
        """The latest last."""

    @property
    def words(self) -> str | None:
        """What is to be said of it; ``None`` if nothing is wrong.

        A queue comes last, as it is full because of the server, if something is wrong there too.
        """
        return next(reversed(self._troubles.values()), None) or self.overflow.words

    def concluded(
        self, envelope: OutgoingEnvelope | None, attempt: Attempt, *, is_half_empty: bool
    ) -> None:
        """An attempt ended.

        Args:
            envelope: What was sent, unless it was a report alone.
            attempt: How that went.
            is_half_empty: Whether what waits now takes half of the queue's room at most.
        """
        category = _THE_WAY_THERE if envelope is None else envelope.limited_by
        if attempt.cause:
            words = ": ".join(filter(None, (attempt.cause, attempt.detail)))
            self._note(category if attempt.is_answered else _THE_WAY_THERE, words)
            return
        self._troubles.pop(_THE_WAY_THERE, None)
        if envelope is not None:  # a report alone is taken even where items are not
            self._troubles.pop(category, None)
            self.overflow.arrived(is_half_empty=is_half_empty)

    def held_back(self, envelope: OutgoingEnvelope) -> None:
        """A limit in force did not let an envelope be sent."""
        self._note(envelope.limited_by, f"rate limited: {envelope.limited_by}")

    def _note(self, category: str, words: str) -> None:
        self._troubles.pop(category, None)
        self._troubles[category] = words
