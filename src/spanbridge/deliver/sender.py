"""The thread that sends: one per destination, started by the first thing there is to send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)

from spanbridge.deliver.attempt import Attempt, Courier
from spanbridge.deliver.disk_work import PUT_AWAY_AT_LEAST_S, DiskWork
from spanbridge.deliver.dispatch import Dispatch, SenderStatus, Work
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.deliver.envelope import OutgoingEnvelope
from spanbridge.deliver.errands import Errand
from spanbridge.deliver.http import EnvelopeClient, HttpClient
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import Verdict
from spanbridge.deliver.spool import Spool, SpoolPlace
from spanbridge.model.outcome import Outcome
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.threads import start_daemon

QUEUE_MAX_ITEMS = 65_536
QUEUE_MAX_BYTES = 64 * 1024 * 1024

REPLAY_AT_CLOSE_S = 1.0
"""How long, once everything of its own is delivered, a process that ends may go on to send what an
earlier one left on disk. Else a command that is always short would never get rid of it."""

REPORT_AT_CLOSE_S = 0.5
"""How long it may then go on to report what came of that."""

_JOIN_AT_LEAST_S = 0.1
_PUT_AWAY_SHARE = 0.2
"""What part of the time to close is kept for the disk."""


class EnvelopeSender:
    """Delivers the envelopes of one destination and settles their items in its ledger.

    Nothing is started before the first envelope or discard, and an idle sender sleeps without
    waking up. In a forked child it starts empty: what was queued belongs to the parent.

    With a spool, errors are on disk as soon as an attempt failed, and at the end everything that
    could not be delivered is; a later process with the same spool delivers it. Nothing is written
    before something failed, and whoever offers never waits for the disk.

    Args:
        endpoint: Where to.
        ledger: Where every item offered meets its one fate.
        name: Name of the destination, for log lines and the thread.
        queue_max_items: Bound of the items waiting.
        queue_max_bytes: Bound of their uncompressed size.
        clock: Seconds from any fixed point, never going back.
        spool: Where undelivered envelopes survive the process; by default nowhere.
        client: Speaks HTTP in place of our own; for tests.

    Raises:
        ConfigurationError: the endpoint is unusable.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        *,
        name: str = "sentry",
        queue_max_items: int = QUEUE_MAX_ITEMS,
        queue_max_bytes: int = QUEUE_MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
        spool: SpoolPlace | None = None,
        client: EnvelopeClient | None = None,
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._queue_max_items = queue_max_items
        self._queue_max_bytes = queue_max_bytes
        self._clock = clock
        self._spool_place = spool
        self._client: EnvelopeClient = client or HttpClient(endpoint, clock)
        self._limits = RateLimits(clock)
        self._courier = Courier(name, self._client, self._limits)
        self._is_closing = False
        self._is_stopped = False
        self._start_empty()
        after_fork_in_child(self._start_anew_in_child)

    def start(self) -> None:
        """Start the thread now rather than with the first envelope.

        Python 3.12 and later start none while the interpreter goes down, which is when the only
        span of a short program may end.
        """
        with self._changed:
            if not self._is_stopped:
                self._wake()

    def offer(self, *envelopes: OutgoingEnvelope, held_as: str | None = None) -> None:
        """Take envelopes for delivery. Never waits for the network.

        If the queue is full, the oldest envelopes of the lowest priority are evicted and counted.

        Args:
            envelopes: What is to be sent.
            held_as: The key under which the one envelope was held. What is on disk stays there
                until this one met its fate, so a kill in between loses nothing. There is nothing
                to :meth:`let_go` then.
        """
        with self._lock:
            if not self._is_stopped:
                for envelope in envelopes:
                    self._dispatch.add(envelope, held_as)
                self._wake()
                self._tell_waiting()  # what they wait for may have been evicted
                return
        for envelope in envelopes:
            for signal, count in envelope.counts:
                self._ledger.settle(signal, Outcome.FAILED, count, "closed")

    def discarded(self, reason: str, category: str, quantity: int) -> None:
        """Tell Sentry of items that were discarded before they got here.

        Args:
            reason: Sentry's word, e.g. ``"sample_rate"``. Source: develop docs, "Client Reports".
            category: Sentry's data category.
            quantity: How many.
        """
        if self._dispatch.reports.add(reason, category, quantity):
            with self._lock:
                if not self._is_stopped:
                    self._wake()

    def hold(self, key: str, envelope: OutgoingEnvelope) -> None:
        """Keep something undecided on disk, in case the process does not live to decide it.

        It is not sent and not counted. If the process dies before :meth:`let_go`, the next one
        sends it. Without a spool nothing happens.

        Args:
            key: What it is let go by.
            envelope: What would be offered. With the same event id as what is offered once it is
                decided, the server keeps only one of both.
        """
        with self._lock:
            plan = self._dispatch.spool
            if plan is None or self._is_stopped:
                return
            is_held = plan.holds.hold(key, envelope)
            if is_held:
                self._wake()
        if not is_held:
            GUARD.report(f"{self._name}: spool: too much is held")

    def let_go(self, key: str) -> None:
        """Remove from disk what was held under ``key``: it has been decided."""
        with self._lock:
            plan = self._dispatch.spool
            if plan is not None and not self._is_stopped:
                plan.holds.let_go(key)
                self._wake()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything offered so far has met its fate or waits on disk.

        A pause between retries is cut short once. It returns before the deadline if no further
        attempt can be made until then, and at once when the sender is closed.

        Returns:
            Whether nothing of it is left waiting. What became of it is in the ledger: it may have
            failed, as all has that could not be sent before a :meth:`close`.
        """
        with self._lock:
            return self._is_stopped or self._hurry(self._clock() + timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Deliver what is queued within ``timeout_s``, then stop for good.

        A request that hangs is interrupted at the deadline, and repeated failures end the wait
        earlier: an unreachable server must not hold up the end of the process. What is left is
        written to the spool, or counted as failed.

        Returns:
            Whether nothing was left.
        """
        deadline_s = self._clock() + timeout_s
        with self._lock:
            if self._is_stopped:
                return True
            self._is_closing = True
            self._deliver_last(deadline_s if self._disk is None else self._before(deadline_s))
            self._is_stopped = True
            left = self._dispatch.leave()
            is_owing = self._dispatch.spool is not None and self._dispatch.spool.owes
            self._put_away_until_s = max(deadline_s, self._clock() + PUT_AWAY_AT_LEAST_S)
            if self._disk is not None:
                self._disk.leave(left)
            else:
                for entry in left:
                    self._dispatch.lose(entry, "shutdown")
            thread = self._thread
            self._changed.notify_all()
            self._settled.notify_all()
        if thread is not None:
            self._client.interrupt()
            left_s = max(_JOIN_AT_LEAST_S, deadline_s - self._clock())
            thread.join(left_s if self._disk is None else left_s / 2)
        if self._disk is not None:
            # Usually nothing: the thread has done it, unless it could not be woken.
            self._disk.put_away(self._put_away_until_s)
            self._disk.close(self._put_away_until_s)
        return not left and not is_owing

    def status(self) -> SenderStatus:
        """How delivery fares."""
        with self._lock:
            spooled = 0 if self._disk is None else len(self._disk)
            return msgspec.structs.replace(self._dispatch.status(), spooled=spooled)

    def _start_empty(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        """There may be work for the thread, or it is to stop."""
        self._settled = threading.Condition(self._lock)
        """Something that is awaited may have met its fate."""
        self._awaited: list[int] = []
        """How many arrivals each waiting :meth:`flush` wants settled."""
        self._thread: threading.Thread | None = None
        self._dispatch = Dispatch(
            self._ledger,
            self._limits,
            max_items=self._queue_max_items,
            max_bytes=self._queue_max_bytes,
            clock=self._clock,
            has_spool=self._spool_place is not None,
        )
        self._disk = self._open_disk()
        self._put_away_until_s = 0.0

    def _open_disk(self) -> DiskWork | None:
        plan, place = self._dispatch.spool, self._spool_place
        if plan is None or place is None:
            return None
        spool = Spool(place, self._name, self._clock)
        return DiskWork(
            spool,
            plan,
            self._dispatch,
            self._lock,
            self._clock,
            name=self._name,
            wake=self._after_looking,
        )

    def _start_anew_in_child(self) -> None:
        self._start_empty()
        self._client.close()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = start_daemon(self._name, self._run)
        self._changed.notify_all()

    def _after_looking(self) -> None:
        self._changed.notify_all()
        self._tell_waiting()

    def _before(self, deadline_s: float) -> float:
        """The end of the network's part of the time until ``deadline_s``."""
        return deadline_s - _PUT_AWAY_SHARE * max(0.0, deadline_s - self._clock())

    def _deliver_last(self, deadline_s: float) -> None:
        if self._dispatch.spool is not None:
            self._dispatch.spool.close()
        if not self._hurry(deadline_s) or self._thread is None:
            return
        until_s = min(deadline_s, self._clock() + REPLAY_AT_CLOSE_S)
        while self._dispatch.may_replay_before(until_s):
            if (left_s := until_s - self._clock()) <= 0:
                break
            self._settled.wait(left_s)
        if self._dispatch.may_report:
            self._hurry(min(deadline_s, self._clock() + REPORT_AT_CLOSE_S))

    def _hurry(self, deadline_s: float) -> bool:
        arrivals = self._dispatch.arrivals
        self._dispatch.hurry()
        self._awaited.append(arrivals)
        try:
            if self._dispatch.is_settled(arrivals):
                return True
            self._wake()
            return self._wait_until_settled(arrivals, deadline_s)
        finally:
            self._awaited.remove(arrivals)
            self._dispatch.calm()

    def _wait_until_settled(self, arrivals: int, deadline_s: float) -> bool:
        while not (self._is_stopped or self._dispatch.is_settled(arrivals)):
            left_s = deadline_s - self._clock()
            is_hopeless = self._is_closing and self._dispatch.is_hopeless
            if left_s <= 0 or is_hopeless or self._thread is None:
                return False
            if self._dispatch.is_stuck_beyond(deadline_s):
                return False
            self._settled.wait(left_s)
        return True

    def _run(self) -> None:
        # Our own uploads are not part of the application: no instrumentation may trace them.
        context = otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
        otel_context.attach(
            otel_context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context)
        )
        try:
            while (work := self._wait_for_work()) is not None:
                self._carry_out(work)
            if self._disk is not None:
                self._disk.put_away(self._put_away_until_s)
        finally:
            self._client.close()

    def _wait_for_work(self) -> Work | Errand | None:
        """Sleep until there is something to do; ``None`` once stopped."""
        with self._lock:
            while not self._is_stopped:
                work = self._dispatch.take_job()
                if work is not None:
                    return work
                self._settled.notify_all()  # limits may have emptied the queue
                self._changed.wait(self._dispatch.wake_in_s())
            return None

    def _carry_out(self, work: Work | Errand) -> None:
        if isinstance(work, Work):
            self._send(work)
        elif self._disk is not None:
            fetched = self._disk.carry_out(work)
            if fetched is not None:
                self._send(fetched)
            else:
                with self._lock:
                    self._tell_waiting()

    def _send(self, work: Work) -> None:
        attempt = Attempt(Verdict.REFUSED, "internal", discard_reason="internal_sdk_error")
        try:
            attempt = self._courier.send(work.body, work.discards)
        except Exception as error:
            GUARD.caught("deliver.sender", error)
        finally:
            with self._lock:
                self._dispatch.conclude(work, attempt)
                if attempt.verdict is Verdict.RETRY:
                    self._settled.notify_all()  # waiting any longer may be in vain
                else:
                    self._tell_waiting()

    def _tell_waiting(self) -> None:
        # Only if it is of use: a wake-up after each envelope made sending it a quarter dearer.
        if self._is_closing or any(map(self._dispatch.is_settled, self._awaited)):
            self._settled.notify_all()
