"""Errands to the disk: each is carried out without the sender's lock and concluded under it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from spanbridge.deliver.accounts import Fate
from spanbridge.deliver.dispatch import Dispatch, Work
from spanbridge.deliver.envelope import OutgoingEnvelope, sent_at_anew
from spanbridge.deliver.errands import Adopt, Errand, Fetch, Hold, Remove, Save
from spanbridge.deliver.queue import QueuedEnvelope
from spanbridge.deliver.spool import MISTRUST_S, Spool, Unread
from spanbridge.deliver.spool_file import Spooled
from spanbridge.deliver.spool_plan import SpoolPlan
from spanbridge.model.outcome import Outcome
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

PUT_AWAY_AT_LEAST_S = 0.2
"""What the disk gets at the end, however late it is."""

_LEFT_AT_THE_END = Fate(Outcome.FAILED, "shutdown", "")


class DiskWork:
    """Does what the plan wants done, on the sender's thread.

    What the dead left is looked for on a short-lived thread of its own: that is done before there
    is any trouble, and a disk that hangs must not hold up what could be delivered. At the end
    whoever closes the sender lends a hand, if its thread cannot be woken.

    Args:
        spool: The files.
        plan: What is to be done, guarded by ``lock``.
        dispatch: What goes on with an envelope that was read, guarded by ``lock``.
        lock: The sender's.
        clock: Seconds from any fixed point, never going back.
        name: What the sender works for.
        wake: Tells the sender's thread, under ``lock``, that there may be more to do.
    """

    def __init__(
        self,
        spool: Spool,
        plan: SpoolPlan,
        dispatch: Dispatch,
        lock: threading.RLock,
        clock: Callable[[], float],
        *,
        name: str,
        wake: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._plan = plan
        self._dispatch = dispatch
        self._lock = lock
        self._clock = clock
        self._name = name
        self._wake = wake
        self._disk = threading.Lock()
        self._looking: threading.Thread | None = None
        self._left: deque[QueuedEnvelope] = deque()

    def __len__(self) -> int:
        """How many envelopes are on disk."""
        return len(self._spool)

    def carry_out(self, errand: Errand) -> Work | None:
        """Do one errand; returns what is to be sent now, after a :class:`Fetch`."""
        if isinstance(errand, Adopt):
            self._looking = start_daemon(f"{self._name}-spool", self._look)
            if self._looking is not None:
                return None
        with self._disk:
            return self._carry_out(errand)

    def leave(self, left: Iterable[QueuedEnvelope]) -> None:
        """Take what is only in memory at the end, most urgent first."""
        self._left.extend(left)

    def put_away(self, deadline_s: float) -> None:
        """Write what is left until the deadline; what is not written by then has failed."""
        while (errand := self._next_errand()) is not None:
            self._finish(errand, deadline_s)
        while (entry := self._next_left()) is not None:
            with self._lock:
                if self._plan.wait_on_disk(entry):
                    continue
            self._finish(Save(entry, _LEFT_AT_THE_END), deadline_s)

    def close(self, deadline_s: float) -> None:
        """Count what is on disk as spooled and leave it to the next process."""
        with self._lock:
            self._plan.settle()
        if self._disk.acquire(timeout=self._left_s(deadline_s)):
            try:
                self._spool.close()
            finally:
                self._disk.release()
        if self._looking is not None:
            self._looking.join(self._left_s(deadline_s))

    def _look(self) -> None:
        with self._disk:
            self._carry_out(Adopt())
        with self._lock:
            self._wake()

    def _next_errand(self) -> Errand | None:
        with self._lock:
            return self._plan.errand()

    def _next_left(self) -> QueuedEnvelope | None:
        try:
            return self._left.popleft()
        except IndexError:
            return None

    def _finish(self, errand: Errand, deadline_s: float) -> None:
        if self._clock() < deadline_s and self._disk.acquire(timeout=self._left_s(deadline_s)):
            try:
                self._spool.trust_again()
                self._carry_out(errand)
            finally:
                self._disk.release()
        else:
            with self._lock:
                self._conclude(errand, None)

    def _left_s(self, deadline_s: float) -> float:
        return max(0.0, deadline_s - self._clock())

    def _carry_out(self, errand: Errand) -> Work | None:
        result: object = None
        try:
            result = self._on_disk(errand)
        except Exception as error:
            GUARD.caught("deliver.spool", error)
        finally:
            with self._lock:
                work = self._conclude(errand, result)
        return work

    def _on_disk(self, errand: Errand) -> object:
        match errand:
            case Adopt():
                return self._spool.adopt()
            case Save(entry):
                return self._spool.save(entry.envelope)
            case Hold(_, envelope):
                return self._spool.save(envelope)
            case Fetch(spooled):
                return self._read(spooled)
            case Remove(spooled):
                self._spool.remove(spooled)
        return None

    def _read(self, spooled: Spooled) -> OutgoingEnvelope | Unread:
        envelope = self._spool.read(spooled)
        if isinstance(envelope, Unread):
            return envelope
        return OutgoingEnvelope(
            sent_at_anew(envelope.body, datetime.now(UTC)),
            envelope.priority,
            envelope.quantities,
            envelope.counts,
        )

    def _conclude(self, errand: Errand, result: object) -> Work | None:
        if isinstance(errand, Adopt):
            self._plan.adopted(result if isinstance(result, list) else [])
        self._plan.dropped(self._spool.take_dropped())
        spooled = result if isinstance(result, Spooled) else None
        match errand:
            case Save():
                self._plan.saved(errand, spooled)
            case Hold():
                self._plan.holds.written(errand, spooled)
            case Fetch(waiting) if result is Unread.LATER:
                self._plan.postpone(waiting)
            case Fetch() if result is Unread.DISK:
                self._plan.pause(MISTRUST_S)
            case Fetch():
                envelope = result if isinstance(result, OutgoingEnvelope) else None
                return self._dispatch.resume(errand, envelope)
        return None
