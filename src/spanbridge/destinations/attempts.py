"""What becomes of the attempts to send one batch, as the connection sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spanbridge.settings.masking import mask_credentials

LONGEST_WORDS: Final = 1_000


class Attempts:
    """What an exporter's connection meets while one batch is sent.

    The exporters themselves tell it in their log alone, which the application may have turned off.

    Args:
        on_trouble: Takes the words of the first attempt that fails. The exporter tries again, for
            as long as one request may take.
    """

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self.are_seen = False
        """Whether there is a connection that tells of them."""
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything, as in a forked child."""
        self.sent_bytes = 0
        """Of all requests that were answered."""
        self._retries = self.made = 0
        self.begin()

    @property
    def retries(self) -> int:
        """How many attempts were not the first for their batch."""
        return self._retries + max(0, self.made - 1)

    def begin(self) -> None:
        """Forget the batch before."""
        self._retries = self.retries
        self.made = 0
        self.words = ""
        """What went wrong, if anything did."""
        self.is_failing = False
        """Whether sending fails just now."""
        self.refused = 0
        """Items that the receiver refused of a batch it took."""

    def failed(self, words: str, *, is_certain: bool = True) -> None:
        """An attempt failed.

        Args:
            words: What is said of it.
            is_certain: Whether that is more than a connection that was no longer good.
        """
        if self.is_failing:
            return
        # An address in them may hold a key.
        self.words = words = mask_credentials(words[:LONGEST_WORDS])
        if is_certain:
            self.is_failing = True
            self._on_trouble(words)

    def heard(self, words: str) -> None:
        """The exporter logged something; the connection's own words are better."""
        if not self.words:
            self.failed(words)

    def answered(self, answer: Any) -> None:
        """The receiver took the batch, perhaps not all of it.

        Args:
            answer: OTLP's response to an export of any signal.
        """
        partial = answer.partial_success
        for field in ("rejected_spans", "rejected_data_points"):
            self.refused += max(0, getattr(partial, field, 0))
        if self.refused:
            self.words = partial.error_message or "it gives no reason"
