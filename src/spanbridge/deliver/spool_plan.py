"""What goes to the spool, what comes back from it and when. No thread, no disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from spanbridge.deliver.accounts import Accounts, Fate
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.errands import Adopt, Errand, Remove, Save
from spanbridge.deliver.queue import QueuedEnvelope
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import FIRST_DELAY_S, MAX_DELAY_S
from spanbridge.deliver.spool import UNREADABLE
from spanbridge.deliver.spool_file import Spooled
from spanbridge.deliver.spool_holds import SpoolHolds
from spanbridge.model.outcome import Outcome

SAVED_AT_ONCE: Final = frozenset({Priority.ERROR, Priority.DECISION})
"""What is on disk as soon as the server is in trouble. The rest waits in memory until the end."""

REPLAY_PAUSE_S: Final = 0.05
"""Pause between two envelopes from disk: what happens now has the right of way."""

RECOVERY_PAUSE_S: Final = 2.0
"""So soon after a delivery that succeeded what failed from disk is tried again, at the latest."""

FAILURES_MAX: Final = 20
"""An envelope that fails so often, while others succeed, is given up."""

OWN_PAUSE_MAX_S: Final = 600.0
"""The longest pause of an envelope that fails while others succeed; each failure doubles it."""

ADOPT_EVERY_S: Final = 60.0
"""While deliveries succeed, it is looked so often whether another process has died."""

ADOPT_WITHIN_S: Final = 5.0
"""Looking for that lets everything fresh pass, but not for longer."""

ERRANDS_MAX: Final = 256
"""So much may be left to do while it is looked for what dead processes left."""

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
        self.holds = SpoolHolds(self._remove)
        self._errands: deque[Errand] = deque()
        self._to_copy: dict[int, QueuedEnvelope] = {}
        self._being_saved: Save | None = None
        self._adoption_due_s: float | None = clock()
        self._is_adopting = False
        self._successes = 0
        self._next_adoption_s = clock() + ADOPT_EVERY_S
        self._next_replay_s = clock()
        self._replay_failures = 0
        self._is_closing = False
        self._is_ended = False
        self._is_settled = False

    # What is to be written

    def copy(self, entry: QueuedEnvelope) -> None:
        """Have a copy of ``entry`` written, once, if it is worth that."""
        if entry.priority in SAVED_AT_ONCE and not entry.is_copied:
            entry.is_copied = True
            self._to_copy[entry.arrival] = entry

    def put_away(self, entry: QueuedEnvelope, otherwise: Fate) -> bool:
        """Let ``entry`` wait on disk instead of meeting its fate; false if it should meet it."""
        self._to_copy.pop(entry.arrival, None)
        if entry.copy is not None and entry.copy.failures >= FAILURES_MAX:
            return False
        if self._has_copy(entry):
            self._wait_on_disk(entry)
            return True
        # A limit on traces says that they are not wanted; a server that is away does not.
        is_unwanted = otherwise.outcome is Outcome.RATE_LIMITED
        if entry.is_replayed or (is_unwanted and entry.priority not in SAVED_AT_ONCE):
            return False
        if self._is_adopting and len(self._errands) >= ERRANDS_MAX:
            return self._wait_with_any(entry)  # the disk hangs, it seems
        self._errands.append(Save(entry, otherwise))
        return True

    def leave_memory(self, entry: QueuedEnvelope) -> bool:
        """Note that ``entry`` was evicted; whether it waits on disk now."""
        self._to_copy.pop(entry.arrival, None)
        entry.is_over = True
        return self._wait_with_any(entry)

    def forget(self, entry: QueuedEnvelope) -> None:
        """Have the copy of ``entry`` removed: it met its fate."""
        self._to_copy.pop(entry.arrival, None)
        entry.is_over = True
        self._remove(entry.copy)
        entry.copy = None
        self._remove_held(entry)

    # Errands and what came of them

    @property
    def has_errands(self) -> bool:
        """Whether something is to be written or removed before anything else is sent."""
        return bool(self._errands) and not self._is_adopting

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on disk and nothing is to be done there, as is usual."""
        return not (
            self.holds.has_errands
            or self._errands
            or self._to_copy
            or self._adoption_due_s is not None
            or self._has_waiting
        )

    def errand(self) -> Errand | None:
        """What is to be done on disk before anything is sent, if anything."""
        is_busy = self._is_adopting and not self._is_ended
        if is_busy or not (self.holds.has_errands or self._errands or self._to_copy):
            return None
        if self._adoption_due_s is not None:
            return self._adopt()  # first: what the dead left may have to make room
        if (hold := self.holds.errand()) is not None:
            return hold
        if self._errands:
            return self._begin(self._errands.popleft())
        return self._begin(Save(self._to_copy.pop(next(iter(self._to_copy)))))

    def adoption(self, *, is_urgent: bool) -> Adopt | None:
        """Look for what dead processes left, if that is due.

        Args:
            is_urgent: Only if it has had to wait for long.
        """
        due_s = self._adoption_due_s
        if due_s is None or (is_urgent and self._clock() < due_s + ADOPT_WITHIN_S):
            return None
        return self._adopt()

    def saved(self, save: Save, spooled: Spooled | None) -> None:
        """Take note of what came of a :class:`Save`."""
        self._being_saved = None
        entry = save.entry
        if save.otherwise is None:
            if entry.is_over:
                self._remove(spooled)
                return
            entry.copy = spooled
            if spooled is not None:
                self._remove_held(entry)
            return
        entry.copy = spooled
        if not self._wait_with_any(entry):
            self._accounts.discard(entry.envelope, save.otherwise)

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
        if self._is_adopting:
            return None
        if self._is_closing:
            if not is_queue_empty:
                return None
        elif self._clock() < self._next_replay_s:
            return None
        now_s = self._clock()
        for priority, lane in enumerate(self._waiting):
            if held_from is not None and priority >= held_from:
                return None
            spooled = next((one for one in lane if one.not_before_s <= now_s), None)
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

    def postpone(self, spooled: Spooled) -> None:
        """Let one that cannot be read now come after all others of its priority."""
        lane = self._waiting[spooled.priority]
        if spooled in lane:
            lane[spooled] = lane.pop(spooled)
        self.pause(REPLAY_PAUSE_S)

    def replay_failed(self, spooled: Spooled | None, at_least_s: float) -> None:
        """Let what waits on disk wait longer each time; nothing fresh has to wait for that.

        One envelope that the server fails on must not hold up the rest.
        """
        if spooled is not None:
            self._note_failure(spooled)
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(self._replay_failures, 16))
        self._replay_failures += 1
        self.pause(max(delay_s, min(at_least_s, MAX_DELAY_S)))

    def delivered(self, *, is_replay: bool) -> None:
        """Note that the server is well."""
        self._successes += 1
        if is_replay:
            self._replay_failures = 0
        self._next_replay_s = min(self._next_replay_s, self._clock() + RECOVERY_PAUSE_S)
        if self._is_closing or self._adoption_due_s is not None:
            return
        if self._clock() >= self._next_adoption_s:
            self._adoption_due_s = self._clock()

    def replay_in_s(self, release_s: float | None) -> float | None:
        """When something can be sent from disk, on the clock given; ``None``: nothing waits.

        Args:
            release_s: When the next hold after a failure ends.
        """
        heads = [self._next_in(lane) for lane in self._waiting if lane]
        if not heads:
            self._has_waiting = False
            return None
        free_s = min(
            max(self._limits.free_at_s(spooled.limited_by), spooled.not_before_s)
            for spooled in heads
        )
        return max(self._next_replay_s, free_s, release_s or free_s)

    # The end

    def close(self) -> None:
        """What waits on disk is sent last from now on, but without pauses."""
        self._is_closing = True

    @property
    def is_looking(self) -> bool:
        """Whether it is not known yet what dead processes left."""
        return self._adoption_due_s is not None or self._is_adopting

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
        self._adoption_due_s = None
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

    def _adopt(self) -> Adopt:
        self._adoption_due_s = None
        self._is_adopting = True
        self._next_adoption_s = self._clock() + ADOPT_EVERY_S
        return Adopt()

    def _begin(self, errand: Errand) -> Errand:
        self._being_saved = errand if isinstance(errand, Save) else None
        return errand

    def _next_in(self, lane: Iterable[Spooled]) -> Spooled:
        """The first that may be tried, else the one that may be first."""
        now_s = self._clock()
        ready = (spooled for spooled in lane if spooled.not_before_s <= now_s)
        return next(ready, None) or min(lane, key=lambda spooled: spooled.not_before_s)

    def _note_failure(self, spooled: Spooled) -> None:
        # A failure says something about this one only if the server was well since its last.
        if spooled.failed_after is not None and spooled.failed_after < self._successes:
            pause_s = RECOVERY_PAUSE_S * 2 ** min(spooled.failures, 16)
            spooled.failures += 1
            spooled.not_before_s = self._clock() + min(pause_s, OWN_PAUSE_MAX_S)
        spooled.failed_after = self._successes

    def _remove(self, spooled: Spooled | None) -> None:
        if spooled is not None:
            self._errands.append(Remove(spooled))

    def _remove_held(self, entry: QueuedEnvelope) -> None:
        self._remove(entry.held)
        entry.held = None

    def _wait_with_any(self, entry: QueuedEnvelope) -> bool:
        """Let ``entry`` wait on disk with a copy or what was held; false if there is neither."""
        if not self._has_copy(entry):
            entry.copy, entry.held = entry.held, None
        if not self._has_copy(entry):
            return False
        self._wait_on_disk(entry)
        return True

    @staticmethod
    def _has_copy(entry: QueuedEnvelope) -> bool:
        return entry.copy is not None and not entry.copy.is_gone

    def _wait_on_disk(self, entry: QueuedEnvelope) -> None:
        entry.is_over = True
        spooled, entry.copy = entry.copy, None
        self._remove_held(entry)
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
