"""The one shape of every destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.status import DestinationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spanbridge.model.failure import Issue
    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.metric_form import MetricForm
    from spanbridge.model.outcome import Outcome, Signal
    from spanbridge.model.span import SpanRecord
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.sentry.dsc import DscSource


Finished: TypeAlias = "tuple[LocalTrace, SpanRecord]"
"""A finished span, already scrubbed, behind the local trace it belongs to; a plain tuple, because
one is made for every span."""


class Destination(Protocol):
    """What the pipeline asks of a destination.

    All methods but ``flush``, ``close``, ``status`` and those for metrics are called by the
    pipeline's worker only. None of them may block or raise for reasons of the network or the disk.
    """

    name: str
    kind: str
    policy: PrivacyPolicy
    ledger: Ledger
    takes_spans: bool
    """Whether traces go there."""
    metric_form: MetricForm | None
    """The form in which it takes metrics; ``None`` if it takes none."""
    asks_for_metrics: bool
    """Whether it asks for metrics when somebody wants them, rather than getting them."""
    takes_issues: bool
    """Whether decided failures are an item of their own here, besides events on spans."""

    @property
    def dsc_source(self) -> DscSource | None:
        """Makes the sampling context of Sentry's headers; ``None`` if it propagates nothing."""

    def start(self) -> None:
        """Start its thread, in this process or in a forked child."""

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Take finished spans of traces this destination keeps. ``now_s`` is monotonic."""

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Take a decided failure; called only if ``takes_issues``."""

    def hold_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Keep a failure under decision where it survives the process, if there is such a place.

        It is not counted: it is accepted or let go later, under the same event id.
        """

    def let_go(self, event_id: str) -> None:
        """Forget what was held: it is decided."""

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Take points of metrics, already scrubbed; called by the thread that collects them."""

    def ask_for_metrics_at(self, source: Callable[[], Sequence[MetricPoint]]) -> None:
        """Get the way to ask for metrics; called only if ``asks_for_metrics``.

        ``source`` collects and scrubs. It raises if that takes too long.
        """

    def leave_out(self, outcome: Outcome, spans: int, roots: int = 0, reason: str = "") -> None:
        """Note spans that do not go there because of its rate, a rule or its ``match``.

        Args:
            outcome: ``SAMPLED_OUT``, ``FILTERED`` or ``EVICTED``.
            spans: How many.
            roots: How many local roots are among them.
            reason: What left them out, if it is known.
        """

    def give_up(self, signal: Signal, outcome: Outcome, count: int, reason: str) -> None:
        """Count items that were owed to this destination and are lost before they reach it."""

    def lose(self, local: LocalTrace) -> None:
        """The root of ``local`` will never end."""

    def advance(self, now_s: float) -> None:
        """Send what is due. Called after each batch, and about once a second."""

    def release(self, now_s: float) -> None:
        """Send all that is held back, without waiting for roots."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything released is settled; false if the deadline passed first."""

    def close(self, timeout_s: float) -> bool:
        """Flush, then stop. What is left at the deadline is counted as failed."""

    def after_fork(self) -> None:
        """Start empty in a forked child: what is held and queued belongs to the parent."""

    def status(self) -> DestinationStatus:
        """How it fares."""
