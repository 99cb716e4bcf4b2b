"""What all destinations but Sentry share: a ledger, and nothing to do where others have work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.destinations.trouble import Trouble
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.status import DestinationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spanbridge.model.failure import Issue
    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.metric_form import MetricForm
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.settings import DestinationOptions


class PlainDestination:
    """A destination without trees, issues and metrics, unless a subclass says otherwise.

    Args:
        options: Its settings.
        policy: Its privacy level.
    """

    takes_issues = False
    takes_spans = True
    metric_form: MetricForm | None = None
    asks_for_metrics = False
    dsc_source = None

    def __init__(self, options: DestinationOptions, policy: PrivacyPolicy) -> None:
        self.name = options.name
        self.kind: str = options.kind
        self.policy = policy
        self.ledger = Ledger()
        self._sample_rate = options.sample_rate
        self._trouble = Trouble()
        self._sent_bytes = 0

    @property
    def address(self) -> str:
        """Where it sends to, as the start-up line shows it."""
        raise NotImplementedError

    @property
    def queued(self) -> int:
        """Items that wait to be sent."""
        return 0

    @property
    def sent_bytes(self) -> int:
        """What was sent so far."""
        return self._sent_bytes

    @property
    def retries(self) -> int:
        """Attempts that were made again."""
        return 0

    @property
    def last_error(self) -> str | None:
        """What goes wrong now; ``None`` if the last that was sent arrived."""
        return self._trouble.words

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Nothing to do: the failure is an event on its span here."""

    def hold_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Nothing to do: there is no place that survives the process."""

    def let_go(self, event_id: str) -> None:
        """Nothing was held."""

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Nothing to do: only a destination with a ``metric_form`` gets any."""

    def ask_for_metrics_at(self, source: Callable[[], Sequence[MetricPoint]]) -> None:
        """Nothing to do: metrics are brought."""

    def leave_out(self, outcome: Outcome, spans: int, roots: int = 0, reason: str = "") -> None:
        """Count spans that do not go here."""
        self.give_up(Signal.SPAN, outcome, spans, reason)

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

    def after_fork(self) -> None:
        """The child counts from zero."""
        self.ledger = Ledger()
        self._trouble = Trouble()
        self._sent_bytes = 0

    def status(self) -> DestinationStatus:
        """How it fares."""
        return DestinationStatus(
            name=self.name,
            kind=self.kind,
            address=self.address,
            sample_rate=self._sample_rate,
            queued=self.queued,
            ledger=self.ledger.snapshot(),
            last_error=self.last_error,
            sent_bytes=self.sent_bytes,
            retries=self.retries,
            redacted=self.ledger.redacted,
        )
