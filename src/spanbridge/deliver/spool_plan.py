"""What goes to the spool, what comes back from it and when. No thread, no disk."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from spanbridge.deliver.accounts import Accounts, Fate
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.errands import Adopt, Errand, Hold, LetGo, Remove, Save
from spanbridge.deliver.queue import QueuedEnvelope
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import FIRST_DELAY_S, MAX_DELAY_S
from spanbridge.deliver.spool import UNREADABLE
from spanbridge.deliver.spool_file import Spooled
from spanbridge.model.outcome import Outcome

SAVED_AT_ONCE: Final = frozenset({Priority.ERROR, Priority.DECISION})
"""What is on disk as soon as the server is in trouble. The rest waits in memory until the end."""

REPLAY_PAUSE_S: Final = 0.05
"""Pause between two envelopes from disk: what happens now has the right of way."""

RECOVERY_PAUSE_S: Final = 2.0
"""So soon after a delivery that succeeded what failed from disk is tried again, at the latest."""

ADOPT_EVERY_S: Final = 60.0
"""While deliveries succeed, it is looked so often whether another process has died."""

HELD_MAX: Final = 256
HELD_MAX_BYTES: Final = 16 * 1024 * 1024
"""Undecided envelopes that may wait to be written, and their size."""

_DROPPED_REPORT: Final = "cache_overflow"


class SpoolPlan:
    """The spool as delivery sees it. Not thread-safe: its owner holds a lock.

    An envelope is in memory (perhaps with a copy on disk) or *waits on disk* alone. One that this
    process accepted is owed by its ledger until it meets its fate; one that a dead process left
    is accepted when it is read in order to be sent, or when it has to be dropped.

    Args:
        accounts: Where items meet their fate.
        limits: What the server asked for.
        clock: Seconds from any fixed point, never going back.
    """

    def __init__(self, accounts: Accounts, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._limits = limits
        self._clock = clock
        self._waiting: list[dict[Spooled, bool]] = [{} for _ in Priority]
        """What waits on disk, oldest first, and whether the ledger owes it."""
        self._has_waiting = False
        """Perhaps; exact only where it is false."""
        self._holds: dict[str, OutgoingEnvelope] = {}
        """What is still to be written, by key."""
        self._held: set[str] = set()
        """Keys of what was written."""
        self._errands: deque[Errand] = deque()
        self._to_copy: dict[int, QueuedEnvelope] = {}
        self._being_saved: Save | None = None
        self._is_adoption_due = True
        self._is_adopting = False
        self._next_adoption_s = clock() + ADOPT_EVERY_S
        self._next_replay_s = clock()
        self._replay_failures = 0
        self._is_closing = False
        self._is_ended = False
        self._is_settled = False

    # What is to be written

    def hold(self, key: str, envelope: OutgoingEnvelope) -> bool:
        """Have something undecided written; false if too much waits for that already."""
        size_bytes = len(envelope.body) + sum(len(held.body) for held in self._holds.values())
        if len(self._holds) >= HELD_MAX or size_bytes > HELD_MAX_BYTES:
            return False
        with contextlib.suppress(ValueError):
            self._errands.remove(LetGo(key))  # what is written now takes the place of that
            self._held.add(key)
        self._holds[key] = envelope
        return True

    def let_go(self, key: str) -> None:
        """Have what is held under ``key`` removed."""
        self._holds.pop(key, None)
        if key in self._held:
            self._held.remove(key)
            self._errands.append(LetGo(key))

    def copy(self, entry: QueuedEnvelope) -> None:
        """Have a copy of ``entry`` written, once, if it is worth that."""
        if entry.priority in SAVED_AT_ONCE and not entry.is_copied:
            entry.is_copied = True
            self._to_copy[entry.arrival] = entry

    def put_away(self, entry: QueuedEnvelope, otherwise: Fate) -> bool:
        """Let ``entry`` wait on disk instead of meeting its fate; false if it should meet it."""
        self._to_copy.pop(entry.arrival, None)
        if self._has_copy(entry):
            self._wait_on_disk(entry)
            return True
        # A limit on traces says that they are not wanted; a server that is away does not.
        is_unwanted = otherwise.outcome is Outcome.RATE_LIMITED
        if entry.is_replayed or (is_unwanted and entry.priority not in SAVED_AT_ONCE):
            return False
        self._errands.append(Save(entry, otherwise))
        return True

    def leave_memory(self, entry: QueuedEnvelope) -> bool:
        """Note that ``entry`` was evicted; whether it waits on disk now."""
        self._to_copy.pop(entry.arrival, None)
        entry.is_over = True
        if not self._has_copy(entry):
            return False
        self._wait_on_disk(entry)
        return True

    def forget(self, entry: QueuedEnvelope) -> None:
        """Have the copy of ``entry`` removed: it met its fate."""
        self._to_copy.pop(entry.arrival, None)
        entry.is_over = True
        if entry.copy is not None:
            self._errands.append(Remove(entry.copy))
            entry.copy = None

    # Errands and what came of them

    @property
    def has_errands(self) -> bool:
        """Whether something is to be written or removed before anything else is sent."""
        return bool(self._errands)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on disk and nothing is to be done there, as is usual."""
        return not (
            self._holds
            or self._errands
            or self._to_copy
            or self._is_adoption_due
            or self._has_waiting
        )

    def errand(self) -> Errand | None:
        """What is to be done on disk next, if anything."""
        if self._holds:
            key = next(iter(self._holds))
            self._held.add(key)
            return Hold(key, self._holds.pop(key))
        if self._errands:
            return self._begin(self._errands.popleft())
        if self._is_adoption_due:
            self._is_adoption_due = False
            self._is_adopting = True
            self._next_adoption_s = self._clock() + ADOPT_EVERY_S
            return Adopt()
        if self._to_copy:
            return self._begin(Save(self._to_copy.pop(next(iter(self._to_copy)))))
        return None

    def saved(self, save: Save, spooled: Spooled | None) -> None:
        """Take note of what came of a :class:`Save`."""
        self._being_saved = None
        entry = save.entry
        if save.otherwise is None:
            entry.copy = spooled
            if spooled is not None and entry.is_over:
                self._errands.append(Remove(spooled))
        elif spooled is None:
            self._accounts.discard(entry.envelope, save.otherwise)
        else:
            entry.copy = spooled
            self._wait_on_disk(entry)

    def adopted(self, found: Iterable[Spooled]) -> None:
        """Let what dead processes left wait; what came of :class:`Adopt`."""
        self._is_adopting = False
        for spooled in found:
            self._waiting[spooled.priority][spooled] = False
            self._has_waiting = True
        for number, lane in enumerate(self._waiting):
            self._waiting[number] = dict(sorted(lane.items(), key=lambda item: item[0].name))

    def dropped(self, lost: Iterable[tuple[Spooled, str]]) -> None:
        """Count what had to leave the disk, where no copy of it is in memory."""
        for spooled, reason in lost:
            is_owed = self._waiting[spooled.priority].pop(spooled, None)
            if is_owed is not None:
                self._lose(spooled, Fate(Outcome.EVICTED, reason, _DROPPED_REPORT), is_owed)

    # What comes back

    def next_replay(self, held_from: Priority | None, *, is_queue_empty: bool) -> Spooled | None:
        """What may be sent from disk now, if anything."""
        if self._is_closing:
            if not is_queue_empty:
                return None
        elif self._clock() < self._next_replay_s:
            return None
        for priority, lane in enumerate(self._waiting):
            if held_from is not None and priority >= held_from:
                return None
            spooled = next(iter(lane), None)
            if spooled is not None and not self._limits.is_limited(spooled.limited_by):
                return spooled
        return None

    @property
    def yields(self) -> bool:
        """Whether what waits on disk comes after everything fresh: the last of it failed."""
        return self._replay_failures > 0

    def replay(self, spooled: Spooled, envelope: OutgoingEnvelope | None) -> QueuedEnvelope | None:
        """Bring back what was read; ``None`` if there is nothing to send."""
        if self._is_ended:
            return None
        self._next_replay_s = self._clock() + REPLAY_PAUSE_S
        is_owed = self._waiting[spooled.priority].pop(spooled, None)
        if is_owed is None:
            return None
        if envelope is None:
            self._errands.append(Remove(spooled))
            self._lose(spooled, Fate(Outcome.FAILED, UNREADABLE, "internal_sdk_error"), is_owed)
            return None
        if not is_owed:
            self._accounts.accept(spooled.counts)
        return QueuedEnvelope(
            envelope, NEVER_AWAITED, envelope.items, copy=spooled, is_copied=True, is_replayed=True
        )

    def pause(self, pause_s: float) -> None:
        """Let what waits on disk wait: it cannot be read now."""
        self._next_replay_s = self._clock() + pause_s

    def replay_failed(self, at_least_s: float) -> None:
        """Let what waits on disk wait longer each time; nothing fresh has to wait for that.

        One envelope that the server fails on must not hold up the rest.
        """
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(self._replay_failures, 16))
        self._replay_failures += 1
        self.pause(max(delay_s, min(at_least_s, MAX_DELAY_S)))

    def delivered(self, *, is_replay: bool) -> None:
        """Note that the server is well."""
        if is_replay:
            self._replay_failures = 0
        self._next_replay_s = min(self._next_replay_s, self._clock() + RECOVERY_PAUSE_S)
        if not self._is_closing and self._clock() >= self._next_adoption_s:
            self._is_adoption_due = True

    def replay_in_s(self, release_s: float | None) -> float | None:
        """When something can be sent from disk, on the clock given; ``None``: nothing waits.

        Args:
            release_s: When the next hold after a failure ends.
        """
        heads = [next(iter(lane)) for lane in self._waiting if lane]
        if not heads:
            self._has_waiting = False
            return None
        free_s = min(self._limits.free_at_s(spooled.limited_by) for spooled in heads)
        return max(self._next_replay_s, free_s, release_s or free_s)

    # The end

    def close(self) -> None:
        """What waits on disk is sent last from now on, but without pauses."""
        self._is_closing = True

    @property
    def is_looking(self) -> bool:
        """Whether it is not known yet what dead processes left."""
        return self._is_adoption_due or self._is_adopting

    @property
    def owes(self) -> bool:
        """Whether something that this process accepted waits on disk."""
        return any(is_owed for lane in self._waiting for is_owed in lane.values())

    def oldest_arrival(self) -> int | None:
        """The earliest arrival among what is about to wait on disk."""
        saves = [errand for errand in self._errands if isinstance(errand, Save)]
        if self._being_saved is not None and self._being_saved.otherwise is not None:
            saves.append(self._being_saved)
        return min((save.entry.arrival for save in saves), default=None)

    def take_unsaved(self) -> list[QueuedEnvelope]:
        """The entries whose turn to be written has not come. Nothing is sent from now on."""
        self._is_ended = True
        self._is_adoption_due = False
        self._to_copy.clear()
        saves = [errand for errand in self._errands if isinstance(errand, Save)]
        self._errands = deque(errand for errand in self._errands if not isinstance(errand, Save))
        return [save.entry for save in saves]

    def wait_on_disk(self, entry: QueuedEnvelope) -> bool:
        """Let ``entry`` wait on disk if a copy is there."""
        if not self._has_copy(entry):
            return False
        self._wait_on_disk(entry)
        return True

    def settle(self) -> None:
        """Count what is owed and waits on disk as spooled."""
        self._is_settled = True
        for lane in self._waiting:
            for spooled, is_owed in lane.items():
                if is_owed:
                    self._accounts.settle(spooled.counts, Outcome.SPOOLED)
            lane.clear()

    def _begin(self, errand: Errand) -> Errand:
        self._being_saved = errand if isinstance(errand, Save) else None
        return errand

    @staticmethod
    def _has_copy(entry: QueuedEnvelope) -> bool:
        return entry.copy is not None and not entry.copy.is_gone

    def _wait_on_disk(self, entry: QueuedEnvelope) -> None:
        entry.is_over = True
        spooled, entry.copy = entry.copy, None
        assert spooled is not None
        if self._is_settled:  # it was written after the end
            self._accounts.settle(spooled.counts, Outcome.SPOOLED)
        else:
            self._waiting[spooled.priority][spooled] = True
            self._has_waiting = True

    def _lose(self, spooled: Spooled, fate: Fate, is_owed: bool) -> None:
        if not is_owed:
            self._accounts.accept(spooled.counts)
        self._accounts.discard(spooled, fate)


NEVER_AWAITED: Final = 2**62
"""The arrival of what comes back from disk: no flush waits for it."""
