"""The thread that sends: one per destination, started by the first thing there is to send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from opentelemetry import context as otel_context
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)

from spanbridge.deliver.attempt import Attempt, Courier
from spanbridge.deliver.dispatch import Dispatch, SenderStatus, Work
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.deliver.envelope import OutgoingEnvelope
from spanbridge.deliver.http import EnvelopeClient, HttpClient
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import Verdict
from spanbridge.model.outcome import Outcome
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.threads import start_daemon

QUEUE_MAX_ITEMS = 65_536
QUEUE_MAX_BYTES = 64 * 1024 * 1024

_JOIN_AT_LEAST_S = 0.1


class EnvelopeSender:
    """Delivers the envelopes of one destination and settles their items in its ledger.

    Nothing is started before the first envelope or discard, and an idle sender sleeps without
    waking up. In a forked child it starts empty: what was queued belongs to the parent.

    Args:
        endpoint: Where to.
        ledger: Where every item offered meets its one fate.
        name: Name of the destination, for log lines and the thread.
        queue_max_items: Bound of the items waiting.
        queue_max_bytes: Bound of their uncompressed size.
        clock: Seconds from any fixed point, never going back.
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
        client: EnvelopeClient | None = None,
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._queue_max_items = queue_max_items
        self._queue_max_bytes = queue_max_bytes
        self._clock = clock
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

    def offer(self, *envelopes: OutgoingEnvelope) -> None:
        """Take envelopes for delivery. Never waits for the network.

        If the queue is full, the oldest envelopes of the lowest priority are evicted and counted.
        """
        with self._lock:
            if not self._is_stopped:
                for envelope in envelopes:
                    self._dispatch.add(envelope)
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

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything offered so far has met its fate.

        A pause between retries is cut short once. It returns before the deadline if no further
        attempt can be made until then.

        Returns:
            Whether nothing of it is left waiting.
        """
        with self._lock:
            return self._hurry(self._clock() + timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Deliver what is queued within ``timeout_s``, then stop for good.

        A request that hangs is interrupted at the deadline, and repeated failures end the wait
        earlier: an unreachable server must not hold up the end of the process. What is left is
        counted as failed.

        Returns:
            Whether nothing was left.
        """
        deadline_s = self._clock() + timeout_s
        with self._lock:
            if self._is_stopped:
                return True
            self._is_closing = True
            self._hurry(deadline_s)
            self._is_stopped = True
            left = self._dispatch.abandon("shutdown")
            thread = self._thread
            self._changed.notify_all()
            self._settled.notify_all()
        if thread is not None:
            self._client.interrupt()
            thread.join(max(_JOIN_AT_LEAST_S, deadline_s - self._clock()))
        return not left

    def status(self) -> SenderStatus:
        """How delivery fares."""
        with self._lock:
            return self._dispatch.status()

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
        )

    def _start_anew_in_child(self) -> None:
        self._start_empty()
        self._client.close()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = start_daemon(self._name, self._run)
        self._changed.notify_all()

    def _hurry(self, deadline_s: float) -> bool:
        arrivals = self._dispatch.arrivals
        self._dispatch.hurry()
        if self._dispatch.is_settled(arrivals):
            return True
        self._wake()
        self._awaited.append(arrivals)
        try:
            return self._wait_until_settled(arrivals, deadline_s)
        finally:
            self._awaited.remove(arrivals)

    def _wait_until_settled(self, arrivals: int, deadline_s: float) -> bool:
        while not self._dispatch.is_settled(arrivals):
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
        finally:
            self._client.close()

    def _wait_for_work(self) -> Work | None:
        """Sleep until there is something to send; ``None`` once stopped."""
        with self._lock:
            while not self._is_stopped:
                work = self._dispatch.take()
                if work is not None:
                    return work
                self._settled.notify_all()  # limits may have emptied the queue
                self._changed.wait(self._dispatch.wake_in_s())
            return None

    def _carry_out(self, work: Work) -> None:
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
        if any(map(self._dispatch.is_settled, self._awaited)):
            self._settled.notify_all()
