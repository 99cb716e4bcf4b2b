"""What all destinations of one name did in the life of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from spanbridge.runtime.ledger import LedgerSnapshot

if TYPE_CHECKING:
    from spanbridge.runtime.status import DestinationStatus


class Totals(msgspec.Struct, frozen=True):
    """Figures that only rise, summed up over those that followed each other under one name.

    Nothing but what is on disk, and the kind, is of the last one alone.
    """

    kind: str
    ledger: LedgerSnapshot
    sent_bytes: int
    retries: int
    spooled: int

    def followed_by(self, later: Totals) -> Totals:
        """These with those of a destination that came after."""
        return Totals(
            later.kind,
            self.ledger.plus(later.ledger),
            self.sent_bytes + later.sent_bytes,
            self.retries + later.retries,
            later.spooled,
        )


def totals_of(status: DestinationStatus) -> Totals:
    """The figures of one destination."""
    return Totals(status.kind, status.ledger, status.sent_bytes, status.retries, status.spooled)
