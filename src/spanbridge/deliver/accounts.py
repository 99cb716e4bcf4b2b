"""The one way from delivery to the ledger and to Sentry's client reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from spanbridge.deliver.client_reports import ClientReports
from spanbridge.deliver.envelope import OutgoingEnvelope
from spanbridge.deliver.spool_file import Spooled
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.ledger import Ledger


class Fate(NamedTuple):
    """What an envelope meets if it is not delivered."""

    outcome: Outcome
    reason: str
    report_reason: str
    """What a client report calls it; empty if the server counts it itself."""


class Accounts:
    """Settles whole envelopes.

    Args:
        ledger: Where items meet their fate.
        reports: What Sentry is told of.
    """

    def __init__(self, ledger: Ledger, reports: ClientReports) -> None:
        self._ledger = ledger
        self._reports = reports

    def accept(self, counts: Iterable[tuple[Signal, int]]) -> None:
        """Note that items are owed which an earlier process had accepted."""
        for signal, count in counts:
            self._ledger.accept(signal, count)

    def settle(
        self, counts: Iterable[tuple[Signal, int]], outcome: Outcome, reason: str = ""
    ) -> None:
        """Note the one fate of items."""
        for signal, count in counts:
            self._ledger.settle(signal, outcome, count, reason)

    def discard(self, envelope: OutgoingEnvelope | Spooled, fate: Fate) -> None:
        """Note a loss, here and in the next client report."""
        self.settle(envelope.counts, fate.outcome, fate.reason)
        if fate.report_reason:
            for category, quantity in envelope.quantities:
                self._reports.add(fate.report_reason, category, quantity)
