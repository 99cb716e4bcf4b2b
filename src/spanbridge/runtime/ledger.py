"""The closed ledger of one destination: what was owed and what became of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

import msgspec

from spanbridge.model.outcome import Outcome, Signal


class LedgerSnapshot(msgspec.Struct, frozen=True):
    """Counts of one destination at one moment.

    ``accepted[signal] == sum(outcomes[signal].values()) + pending[signal]`` always holds.
    """

    accepted: dict[str, int]
    outcomes: dict[str, dict[str, int]]
    reasons: dict[str, int]
    """Detail behind outcomes that lost or left out something: ``"failed: http 503" -> 12``,
    ``"sampled_out: ceiling" -> 40``."""
    pending: dict[str, int]

    def plus(self, other: LedgerSnapshot) -> LedgerSnapshot:
        """The counts of both together."""
        outcomes = {
            signal: _sum(self.outcomes.get(signal, {}), other.outcomes.get(signal, {}))
            for signal in {**self.outcomes, **other.outcomes}
        }
        return LedgerSnapshot(
            _sum(self.accepted, other.accepted),
            outcomes,
            _sum(self.reasons, other.reasons),
            _sum(self.pending, other.pending),
        )

    @property
    def is_closed(self) -> bool:
        """Whether nothing is under way: every accepted item has its fate."""
        return not any(self.pending.values())


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}


class Ledger:
    """Counts every item a destination was given and the one fate it met.

    Only spanbridge's own threads write to it, so taking a lock here never holds the application.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: Counter[Signal] = Counter()
        self._settled: Counter[tuple[Signal, Outcome]] = Counter()
        self._reasons: Counter[str] = Counter()
        self._redacted: Counter[str] = Counter()

    def accept(self, signal: Signal, count: int = 1) -> None:
        """Note that ``count`` more items are owed to the destination."""
        with self._lock:
            self._accepted[signal] += count

    def settle(self, signal: Signal, outcome: Outcome, count: int = 1, reason: str = "") -> None:
        """Note the fate of ``count`` accepted items, with a low-cardinality detail if it helps."""
        with self._lock:
            self._settled[signal, outcome] += count
            if reason:
                self._reasons[f"{outcome.value}: {reason}"] += count

    def redact(self, kinds: Iterable[str]) -> None:
        """Note what was cut out of an item, each kind as often as it was."""
        with self._lock:
            self._redacted.update(kinds)

    @property
    def redacted(self) -> dict[str, int]:
        """What was cut out of items so far, by kind."""
        with self._lock:
            return dict(self._redacted)

    def snapshot(self) -> LedgerSnapshot:
        """The counts as they stand."""
        with self._lock:
            accepted = {signal.value: count for signal, count in self._accepted.items()}
            settled = self._settled.copy()
            reasons = dict(self._reasons)
        outcomes: dict[str, dict[str, int]] = {name: {} for name in accepted}
        for (signal, outcome), count in settled.items():
            outcomes.setdefault(signal.value, {})[outcome.value] = count
        pending = {
            name: accepted.get(name, 0) - sum(fates.values()) for name, fates in outcomes.items()
        }
        return LedgerSnapshot(accepted, outcomes, reasons, pending)
