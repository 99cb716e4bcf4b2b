"""What OTLP, console and file share: items go to an outbox, fates to a ledger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from spanbridge.destinations.outbox import Outbox, Sized
from spanbridge.destinations.plain import PlainDestination
from spanbridge.destinations.shape import Finished
from spanbridge.model.outcome import Outcome, Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.settings import DestinationOptions

T = TypeVar("T", bound=Sized)


class StreamDestination(PlainDestination, ABC, Generic[T]):
    """A destination that needs no trees: what is accepted is queued and sent in batches.

    Args:
        options: Its settings.
        policy: Its privacy level.
    """

    def __init__(self, options: DestinationOptions, policy: PrivacyPolicy) -> None:
        super().__init__(options, policy)
        self._outbox: Outbox[T] = Outbox(
            self.name,
            self._send,
            self._settle,
            max_items=options.queue_max_items,
            max_bytes=options.queue_max_bytes,
        )

    @abstractmethod
    def _send(self, items: Sequence[T]) -> None:
        """Send one batch; raise if it was not delivered."""

    @abstractmethod
    def _counts(self, items: Sequence[T]) -> dict[Signal, int]:
        """How many items of each signal ``items`` stand for."""

    @abstractmethod
    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Take finished spans."""

    def start(self) -> None:
        """Start the outbox's thread."""
        self._outbox.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until what is queued now is settled."""
        return self._outbox.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Send what is queued within the deadline, then stop."""
        return self._outbox.close(timeout_s, self._interrupt, self._is_hopeless)

    @property
    def queued(self) -> int:
        """Items that wait to be sent."""
        return len(self._outbox)

    @property
    def last_error(self) -> str | None:
        """What goes wrong now where it sends to, else in the queue."""
        return super().last_error or self._outbox.trouble

    def _is_hopeless(self) -> bool:
        """Whether sending fails just now."""
        return False

    def _interrupt(self) -> None:
        """End a send that is still blocked; nothing to end by default."""

    def _settle(self, items: Sequence[T], outcome: Outcome, reason: str, detail: str) -> None:
        self._trouble.settled(outcome, reason, detail)
        for signal, count in self._counts(items).items():
            self.ledger.settle(signal, outcome, count, reason)
