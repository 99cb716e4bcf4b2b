"""What is sent next, and what an attempt's outcome means for it. No thread, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from spanbridge.deliver.accounts import Accounts, Fate
from spanbridge.deliver.attempt import Attempt
from spanbridge.deliver.client_reports import (
    ALONE_AFTER_S,
    PIGGYBACK_AFTER_S,
    ClientReports,
    Discards,
)
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.errands import Errand, Fetch
from spanbridge.deliver.health import Health
from spanbridge.deliver.queue import DeliveryQueue, QueuedEnvelope
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import MAX_ATTEMPTS, RETRY_TOTAL_S, Backoff, Verdict
from spanbridge.deliver.spool_plan import SAVED_AT_ONCE, SpoolPlan
from spanbridge.model.outcome import Outcome
from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.overflow import QUEUE_FULL

HOPELESS_FAILURES = 2
"""This many failures in a row, the last of them since :meth:`Dispatch.hurry`, are hopeless."""

_NOTHING: Final[Discards] = Counter()


class Work(msgspec.Struct, frozen=True, eq=False):
    """One request to make: an envelope, a client report, or both."""

    entry: QueuedEnvelope | None
    discards: Discards

    @property
    def body(self) -> bytes | None:
        """The envelope to send, if it is not a report alone."""
        return None if self.entry is None else self.entry.envelope.body


class SenderStatus(msgspec.Struct, frozen=True):
    """Delivery to one destination at one moment."""

    queued_items: int
    """Spans and errors inside the queued envelopes and the one under way."""
    queued_envelopes: int
    queued_bytes: int
    """Uncompressed."""
    sent_bytes: int
    """Bodies answered by the server, as they went over the wire."""
    retries: int
    """Failed attempts after which the envelope was kept for another one."""
    last_error: str | None
    """What goes wrong now: see :class:`Health`."""
    last_success: datetime | None
    rate_limits: dict[str, float]
    """Seconds left by data category; ``"all"`` stands for every category."""
    spooled: int = 0
    """Envelopes that this process has on disk."""


class Dispatch:
    """Queue, back-off, limits and reports of one destination.

    Every envelope added leaves by exactly one of: delivery, rate limit, refusal, exhausted
    retries, eviction, :meth:`leave`; with a spool, some of these ways lead to the disk and back.
    Not thread-safe: its owner holds a lock.

    Args:
        ledger: Where items meet their fate.
        limits: What the server asked for.
        max_items: Bound of the items waiting.
        max_bytes: Bound of their uncompressed size.
        clock: Seconds from any fixed point, never going back.
        has_spool: Whether errands to the disk are carried out.
    """

    def __init__(
        self,
        ledger: Ledger,
        limits: RateLimits,
        *,
        max_items: int,
        max_bytes: int,
        clock: Callable[[], float],
        has_spool: bool = False,
    ) -> None:
        self.reports = ClientReports(clock)
        self._accounts = Accounts(ledger, self.reports)
        self.spool = SpoolPlan(self._accounts, limits, clock) if has_spool else None
        self._limits = limits
        self._clock = clock
        self._queue = DeliveryQueue(max_items, max_bytes)
        self._backoff = Backoff(clock)
        self._health = Health()
        self._under_way: Work | None = None
        self._is_report_wanted = False
        self._hurrying = 0
        """How many wait for everything to meet its fate."""
        self._is_report_suspect = False
        self._has_failed_in_hurry = False
        self._arrivals = 0
        self._sent_bytes = 0
        self._retries = 0
        self._last_success: datetime | None = None

    @property
    def arrivals(self) -> int:
        """How many envelopes were ever added."""
        return self._arrivals

    @property
    def is_hopeless(self) -> bool:
        """Whether whoever is in a hurry had better stop waiting for the server."""
        return self._has_failed_in_hurry and self._backoff.failures >= HOPELESS_FAILURES

    def add(self, envelope: OutgoingEnvelope, held_as: str | None = None) -> None:
        """Queue ``envelope``, evicting what the bounds demand.

        Args:
            envelope: What is to be sent.
            held_as: The key under which it was held while it was undecided.
        """
        entry = QueuedEnvelope(envelope, self._arrivals, envelope.items)
        self._arrivals += 1
        if self.spool is not None:
            if held_as is not None:
                self.spool.holds.decide(held_as, entry)
            if self._backoff.failures:
                self.spool.copy(entry)
        self._evict(self._queue.put(entry))

    def take(self) -> Work | None:
        """What to send now of what is in memory, if anything. Report by :meth:`conclude`."""
        return self._take_work(self._take_unlimited())

    def take_job(self) -> Work | Errand | None:
        """What to do now, on the network or on disk. Report to :meth:`conclude` or the spool."""
        if self.spool is None:
            return self.take()
        if self.spool.is_idle:
            entry = self._take_unlimited()
            if entry is not None or self.spool.is_idle:
                return self._take_work(entry)
        if (errand := self.spool.errand() or self.spool.adoption(is_urgent=True)) is not None:
            return errand
        spooled = self.spool.next_replay(
            self._backoff.held_from(), is_queue_empty=not len(self._queue)
        )
        at_least = Priority.METRIC
        if spooled is not None and not self.spool.yields:
            at_least = spooled.priority
        entry = self._take_unlimited(at_least)
        if entry is None:
            if (errand := self.spool.errand()) is not None:
                return errand
            if spooled is not None:
                return Fetch(spooled)
            if (errand := self.spool.adoption(is_urgent=False)) is not None:
                return errand
        return self._take_work(entry)

    def resume(self, fetch: Fetch, envelope: OutgoingEnvelope | None) -> Work | None:
        """What to send of what was read from disk; ``None`` if nothing."""
        entry = self.spool.replay(fetch.spooled, envelope) if self.spool else None
        return None if entry is None else self._take_work(entry)

    def _take_work(self, entry: QueuedEnvelope | None) -> Work | None:
        if entry is None and not self._is_lone_report_due():
            return None
        carries_report = entry is None or (
            not self._is_report_suspect
            and (self._is_report_wanted or self.reports.is_due(PIGGYBACK_AFTER_S))
        )
        self._health.overflow.taken()
        self._under_way = Work(entry, self.reports.take() if carries_report else _NOTHING)
        return self._under_way

    def wake_in_s(self) -> float | None:
        """How long nothing can be done unless something is added; ``None``: for ever."""
        release_s = self._backoff.next_release_s()
        due_s = [self.reports.due_s(0.0 if self._is_report_wanted else ALONE_AFTER_S)]
        if len(self._queue):
            due_s.append(release_s)
        if self.spool is not None:
            due_s.append(self.spool.replay_in_s(release_s))
        known_s = [max(at_s, release_s or at_s) for at_s in due_s if at_s is not None]
        return max(0.0, min(known_s) - self._clock()) if known_s else None

    def conclude(self, work: Work, attempt: Attempt) -> None:
        """Draw the consequences of an attempt. Work abandoned meanwhile has none."""
        if work is not self._under_way:
            return
        self._under_way = None
        self._sent_bytes += attempt.sent_bytes
        envelope = None if work.entry is None else work.entry.envelope
        self._health.concluded(envelope, attempt, is_half_empty=self._queue.is_half_empty)
        self._conclude_report(work, attempt)
        if attempt.verdict is Verdict.RETRY:
            self._hold_back(work.entry, attempt.retry_after_s)
            self._has_failed_in_hurry = True
        else:
            self._backoff.succeeded()
        if attempt.verdict is Verdict.DELIVERED:
            self._last_success = datetime.now(UTC)
            if self.spool is not None:
                is_replay = work.entry is not None and work.entry.is_replayed
                self.spool.delivered(is_replay=is_replay)
        if work.entry is not None:
            self._conclude_envelope(work.entry, attempt)
        if attempt.verdict is Verdict.RETRY:
            self._copy_what_waits()

    def abandon(self, reason: str) -> int:
        """Count whatever is queued or under way as failed; returns how many envelopes."""
        left = self.leave()
        for entry in left:
            self.lose(entry, reason)
        return len(left)

    def leave(self) -> list[QueuedEnvelope]:
        """Empty the memory, most urgent first, except what waits on disk as well."""
        left = self._queue.take_all()
        if self._under_way is not None and self._under_way.entry is not None:
            left.insert(0, self._under_way.entry)
        self._under_way = None
        if self.spool is None:
            return left
        left += self.spool.take_unsaved()
        left = [entry for entry in left if not self._waits_on_disk(entry)]
        return sorted(left, key=lambda entry: (entry.priority, entry.arrival))

    def lose(self, entry: QueuedEnvelope, reason: str) -> None:
        """Count what :meth:`leave` gave and nothing can keep as failed."""
        self._accounts.settle(entry.envelope.counts, Outcome.FAILED, reason)

    def hurry(self) -> None:
        """Cut the pauses short once and let discards be reported now, until :meth:`calm`.

        Also those that come up while the queue empties.
        """
        self._backoff.release()
        self._hurrying += 1
        self._is_report_wanted = True
        self._has_failed_in_hurry = False

    def calm(self) -> None:
        """Whoever hurried waits no longer."""
        self._hurrying -= 1
        if not self._hurrying:
            self._is_report_wanted = False

    def is_settled(self, arrivals: int) -> bool:
        """Whether the first ``arrivals`` envelopes met their fate and no report is wanted."""
        oldest = self._queue.oldest_arrival()
        if self._under_way is not None and self._under_way.entry is not None:
            arrival = self._under_way.entry.arrival
            oldest = arrival if oldest is None else min(oldest, arrival)
        if self.spool is not None and (arrival_to_disk := self.spool.oldest_arrival()) is not None:
            oldest = arrival_to_disk if oldest is None else min(oldest, arrival_to_disk)
        return (oldest is None or oldest >= arrivals) and not self._is_report_awaited

    @property
    def _is_report_awaited(self) -> bool:
        """Whether somebody waits for a report of discards that can be made just now."""
        if not self._is_report_wanted:
            return False
        if self._under_way is not None and self._under_way.discards:
            return True
        return self.reports.due_s(0.0) is not None and self._backoff.held_from() is None

    @property
    def may_report(self) -> bool:
        """Whether there is something to report that nothing stands in the way of."""
        return self.reports.due_s(0.0) is not None and not self._backoff.failures

    def is_stuck_beyond(self, deadline_s: float) -> bool:
        """Whether no attempt is possible before ``deadline_s``, on the clock given."""
        wake_in_s = self.wake_in_s()
        return (
            self._under_way is None
            and self._backoff.next_release_s() is not None
            and wake_in_s is not None
            and self._clock() + wake_in_s > deadline_s
        )

    def may_replay_before(self, deadline_s: float) -> bool:
        """Whether, after the queue, something may come from disk before ``deadline_s``."""
        spool = self.spool
        if spool is None or self._backoff.failures:
            return False
        if spool.is_looking or self._under_way is not None:
            return True
        replay_in_s = spool.replay_in_s(None)
        return replay_in_s is not None and replay_in_s < deadline_s

    def status(self) -> SenderStatus:
        """The state as it stands."""
        entry = self._under_way.entry if self._under_way else None
        return SenderStatus(
            queued_items=self._queue.items + (entry.envelope.items if entry else 0),
            queued_envelopes=len(self._queue) + (1 if entry else 0),
            queued_bytes=self._queue.size_bytes + (len(entry.envelope.body) if entry else 0),
            sent_bytes=self._sent_bytes,
            retries=self._retries,
            last_error=self._health.words,
            last_success=self._last_success,
            rate_limits=self._limits.in_force(),
        )

    def _take_unlimited(self, at_least: Priority = Priority.METRIC) -> QueuedEnvelope | None:
        """The next envelope that may be sent, if one of this priority or a higher one may."""
        held_from = self._backoff.held_from()
        bound = at_least + 1 if held_from is None else min(held_from, at_least + 1)
        while (entry := self._queue.take(more_urgent_than=bound)) is not None:
            if not self._limits.is_limited(entry.envelope.limited_by):
                return entry
            self._health.held_back(entry.envelope)
            fate = Fate(Outcome.RATE_LIMITED, "backoff", "ratelimit_backoff")
            self._give_up(entry, fate)
            if self.spool is not None and self.spool.has_errands:
                return None  # written first: memory holds no more than the queue allows
        return None

    def _hold_back(self, entry: QueuedEnvelope | None, at_least_s: float) -> None:
        is_replay = entry is not None and entry.is_replayed
        priority = Priority.METRIC if entry is None or is_replay else entry.priority
        self._backoff.failed(priority, at_least_s)
        if is_replay and self.spool is not None:
            self.spool.replay_failed(entry.copy if entry else None, at_least_s)

    def _is_lone_report_due(self) -> bool:
        if self._backoff.held_from() is not None:
            return False
        return self.reports.is_due(0.0 if self._is_report_wanted else ALONE_AFTER_S)

    def _conclude_report(self, work: Work, attempt: Attempt) -> None:
        if not work.discards:
            return
        # One attempt is made while somebody waits. A refusal may have been meant for the envelope.
        if work.entry is None or attempt.verdict is Verdict.RETRY:
            self._is_report_wanted = False
        match attempt.verdict:
            case Verdict.DELIVERED | Verdict.RATE_LIMITED:  # reports are never limited
                self._is_report_suspect = False
            case Verdict.REFUSED if work.entry is None:
                self._is_report_suspect = False  # it would be refused for ever: let it go
            case Verdict.REFUSED:
                # Perhaps the report was the reason. From now on it risks nothing but itself.
                self._is_report_suspect = True
                self.reports.restore(work.discards)
            case Verdict.RETRY:
                self.reports.restore(work.discards)

    def _conclude_envelope(self, entry: QueuedEnvelope, attempt: Attempt) -> None:
        match attempt.verdict:
            case Verdict.DELIVERED:
                self._accounts.settle(entry.envelope.counts, Outcome.DELIVERED)
                self._forget(entry)
            case Verdict.RATE_LIMITED:
                self._give_up(entry, Fate(Outcome.RATE_LIMITED, attempt.cause, ""))
            case Verdict.REFUSED:
                fate = Fate(Outcome.FAILED, attempt.cause, attempt.discard_reason)
                self._accounts.discard(entry.envelope, fate)
                self._forget(entry)
            case Verdict.RETRY if not entry.is_replayed and self._may_retry(entry):
                self._retries += 1
                self._evict(self._queue.put_back(entry))
            case Verdict.RETRY:
                fate = Fate(Outcome.FAILED, attempt.cause, attempt.discard_reason)
                self._give_up(entry, fate)

    def _may_retry(self, entry: QueuedEnvelope) -> bool:
        now = self._clock()
        entry.attempts += 1
        if entry.first_failure_s is None:
            entry.first_failure_s = now
        return entry.attempts < MAX_ATTEMPTS and now - entry.first_failure_s < RETRY_TOTAL_S

    def _copy_what_waits(self) -> None:
        """Have copied what is worth it: all of it at the first failure, then as it comes."""
        if self.spool is None or self._backoff.failures > 1:
            return
        for priority in SAVED_AT_ONCE:
            for entry in self._queue.waiting(priority):
                self.spool.copy(entry)

    def _give_up(self, entry: QueuedEnvelope, fate: Fate) -> None:
        """Let ``entry`` meet its fate, unless it can wait on disk."""
        if self.spool is None or not self.spool.put_away(entry, fate):
            self._accounts.discard(entry.envelope, fate)
            self._forget(entry)

    def _forget(self, entry: QueuedEnvelope) -> None:
        if self.spool is not None:
            self.spool.forget(entry)

    def _waits_on_disk(self, entry: QueuedEnvelope) -> bool:
        return self.spool is not None and self.spool.wait_on_disk(entry)

    def _evict(self, entries: list[QueuedEnvelope]) -> None:
        for entry in entries:
            if self.spool is None or not self.spool.leave_memory(entry):
                self._health.overflow.lost()
                fate = Fate(Outcome.EVICTED, QUEUE_FULL, "queue_overflow")
                self._accounts.discard(entry.envelope, fate)
