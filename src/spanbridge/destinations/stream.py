"""What OTLP, console and file share: items go to an outbox, fates to a ledger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from spanbridge.destinations.outbox import Outbox, Sized
from spanbridge.destinations.shape import Finished
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.status import DestinationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanbridge.model.failure import Issue
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.settings import DestinationOptions

T = TypeVar("T", bound=Sized)


class StreamDestination(ABC, Generic[T]):
    """A destination that needs no trees: what is accepted is queued and sent in batches.

    Args:
        options: Its settings.
        policy: Its privacy level.
    """

    takes_issues = False
    dsc_source = None

    def __init__(self, options: DestinationOptions, policy: PrivacyPolicy) -> None:
        self.name = options.name
        self.kind: str = options.kind
        self.policy = policy
        self.ledger = Ledger()
        self._sample_rate = options.sample_rate
        self._last_error: str | None = None
        self._outbox: Outbox[T] = Outbox(
            self.name,
            self._send,
            self._settle,
            max_items=options.queue_max_items,
            max_bytes=options.queue_max_bytes,
        )

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it sends to, as the start-up line shows it."""

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

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Nothing to do: the failure is an event on its span here."""

    def hold_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Nothing to do: there is no place that survives the process."""

    def let_go(self, event_id: str) -> None:
        """Nothing was held."""

    def sampled_out(self, spans: int, roots: int) -> None:
        """Count spans of traces that are left out."""
        self.ledger.accept(Signal.SPAN, spans)
        self.ledger.settle(Signal.SPAN, Outcome.SAMPLED_OUT, spans)

    def give_up(self, signal: Signal, outcome: Outcome, count: int, reason: str) -> None:
        """Count items that are lost before they get here."""
        self.ledger.accept(signal, count)
        self.ledger.settle(signal, outcome, count, reason)

    def lose(self, local: LocalTrace) -> None:
        """Nothing waits for a root here."""

    def advance(self, now_s: float) -> None:
        """Nothing is held here."""

    def release(self, now_s: float) -> None:
        """Nothing is held here."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until the outbox is empty."""
        return self._outbox.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Send what is queued within the deadline, then stop."""
        return self._outbox.close(timeout_s, self._interrupt, self._is_hopeless)

    def after_fork(self) -> None:
        """The outbox empties itself; the child counts from zero."""
        self.ledger = Ledger()

    def status(self) -> DestinationStatus:
        """How it fares."""
        return DestinationStatus(
            name=self.name,
            kind=self.kind,
            address=self.address,
            sample_rate=self._sample_rate,
            queued=len(self._outbox),
            ledger=self.ledger.snapshot(),
            last_error=self._last_error,
            redacted=self.ledger.redacted,
        )

    def _is_hopeless(self) -> bool:
        """Whether sending fails just now."""
        return False

    def _interrupt(self) -> None:
        """End a send that is still blocked; nothing to end by default."""

    def _settle(self, items: Sequence[T], outcome: Outcome, reason: str) -> None:
        if reason:
            self._last_error = reason
        for signal, count in self._counts(items).items():
            self.ledger.settle(signal, outcome, count, reason)
