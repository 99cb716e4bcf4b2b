"""A bounded queue with its own thread, so that a slow destination holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)

from spanbridge.model.outcome import Outcome
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.overflow import QUEUE_FULL, Overflow
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Sized(Protocol):
    """Something that knows about how much memory it takes."""

    @property
    def size_bytes(self) -> int:
        """Bytes, about."""


T = TypeVar("T", bound=Sized)

HOPE_CHECK_S: Final = 0.05
MAX_BATCH: Final = 512
"""Items handed to one call of ``send``; OpenTelemetry's default export batch."""


class NotDeliveredError(Exception):
    """The destination did not take a batch, or not all of it.

    Args:
        reason: Low-cardinality name of what went wrong.
        detail: More for the log line.
        lost: Those items that were not taken; by default all.
    """

    def __init__(self, reason: str, detail: str = "", lost: Sequence[Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.lost = lost


class Lost(Generic[T]):
    """The items of a batch that failed by themselves: one must not cost its neighbours."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._error: Exception | None = None

    def add(self, item: T, error: Exception) -> None:
        """Note that ``item`` cannot be sent."""
        self._items.append(item)
        self._error = error

    def tell(self) -> None:
        """Raise ``NotDeliveredError`` for them, if there are any."""
        if self._error is not None:
            raise NotDeliveredError(*words(self._error), self._items)


def words(error: BaseException) -> tuple[str, str]:
    """The name of an error and what it says. It may be the application's, and fail at that."""
    try:
        return type(error).__name__, str(error)
    except Exception:
        return type(error).__name__, ""


class Outbox(Generic[T]):
    """Hands queued items to ``send`` in batches, on a thread that starts with the first item.

    While one batch is being sent the next one fills up, so batches grow with the load and an
    idle process sends at once. Every item put in is settled exactly once.

    Args:
        name: Name of the destination, for the thread and the log.
        send: Sends one batch; may block. It raises if not all of the batch was delivered.
        settle: Notes the one fate of items, with a reason and more words if they were lost.
        max_items: Items that may wait; the newest are evicted beyond.
        max_bytes: Memory the waiting items may take, likewise.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[T]], None],
        settle: Callable[[Sequence[T], Outcome, str, str], None],
        max_items: int,
        max_bytes: int,
    ) -> None:
        self._name = name
        self._send = send
        self._settle = settle
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._start_empty()
        after_fork_in_child(self._start_empty)

    def _start_empty(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._under_way: list[T] = []
        self._taken_in = 0
        """How many items were queued in all. They leave in the order in which they came."""
        self._size_bytes = 0
        self._overflow = Overflow()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._items) + len(self._under_way)

    @property
    def trouble(self) -> str | None:
        """That it loses what it is given, if it does."""
        return self._overflow.words

    def start(self) -> None:
        """Start the thread now rather than with the first item.

        Python 3.12 and later start none while the interpreter goes down, which is when the only
        span of a short program may end.
        """
        with self._changed:
            if self._thread is None and not self._is_closing:
                self._thread = start_daemon(self._name, self._run)

    def put(self, items: Sequence[T]) -> None:
        """Queue ``items``; never blocks on sending."""
        if not items:
            return
        with self._changed:
            room = self._take_room(items)
            self._items.extend(items[:room])
            self._taken_in += room
            if len(items) > room:
                self._overflow.lost()
            if self._thread is None and room:
                self._thread = start_daemon(self._name, self._run)
            self._changed.notify_all()
            is_closing = self._is_closing
        if is_closing:
            self._settle(items, Outcome.FAILED, "closed", "")
        elif len(items) > room:
            self._settle(items[room:], Outcome.EVICTED, QUEUE_FULL, "")

    def _take_room(self, items: Sequence[T]) -> int:
        """How many of ``items`` find a place, which is taken then."""
        if self._is_closing:
            return 0
        room = min(len(items), max(0, self._max_items - len(self)))
        for index in range(room):
            size_bytes = items[index].size_bytes
            if self._size_bytes + size_bytes > self._max_bytes:
                return index
            self._size_bytes += size_bytes
        return room

    @property
    def _is_half_empty(self) -> bool:
        return 2 * len(self) <= self._max_items and 2 * self._size_bytes <= self._max_bytes

    def flush(self, timeout_s: float) -> bool:
        """Wait until all items of now are settled; false if the deadline passed first.

        What comes meanwhile is not waited for: under a steady load the queue is never empty.
        """
        with self._changed:
            if self._thread is None:
                return not len(self)  # nobody to wait for
            mine = self._taken_in
            return self._changed.wait_for(lambda: self._taken_in - len(self) >= mine, timeout_s)

    def _empty(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not len(self), timeout_s)

    def close(
        self,
        timeout_s: float,
        interrupt: Callable[[], None],
        is_hopeless: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Send what is queued, then stop the thread. What is left at the deadline has failed.

        Args:
            timeout_s: Deadline for all of it, in seconds.
            interrupt: Ends a ``send`` that is still blocked when the deadline is near.
            is_hopeless: Whether sending fails just now. The wait ends then: an unreachable server
                must not hold up the end of the process.

        Returns:
            Whether everything was settled in time.
        """
        deadline = time.monotonic() + timeout_s
        in_time = not len(self)
        while (
            not in_time
            and self._thread is not None  # without one nobody sends
            and time.monotonic() < deadline - 0.1 * timeout_s
            and not is_hopeless()
        ):
            in_time = self._empty(min(HOPE_CHECK_S, timeout_s))
        with self._changed:
            self._is_closing = True
            left = list(self._items)
            self._items.clear()
            self._size_bytes = 0
            self._changed.notify_all()
            thread = self._thread
        interrupt()
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.05, deadline - time.monotonic()))
        with self._changed:
            # A send that ends after all finds its batch given up.
            left += self._under_way
            self._under_way = []
        if left:
            detail = f"{len(left)} items left after {timeout_s:.1f} s"
            self._settle(left, Outcome.FAILED, "shutdown deadline", detail)
            GUARD.report(f"{self._name}: shutdown deadline", detail)
        return in_time

    def _run(self) -> None:
        # Our own requests are not part of the application: no instrumentation may trace them.
        context = otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
        otel_context.attach(
            otel_context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context)
        )
        while (batch := self._next_batch()) is not None:
            try:
                self._send(batch)
            except NotDeliveredError as error:
                lost = batch if error.lost is None else error.lost
                self._lose(batch, lost, error.reason, error.detail)
            except BaseException as error:
                # The application's standard output may raise SystemExit, which would end the
                # thread, and nothing else.
                self._lose(batch, batch, *words(error))
            else:
                self._conclude(batch)

    def _lose(self, batch: list[T], lost: Sequence[T], reason: str, detail: str) -> None:
        GUARD.report(f"{self._name}: {reason}", detail)
        self._conclude(batch, lost, reason, detail)

    def _conclude(
        self, batch: list[T], lost: Sequence[T] = (), reason: str = "", detail: str = ""
    ) -> None:
        with self._changed:
            if self._under_way is not batch:
                return
            self._under_way = []
            names = set(map(id, lost))
            arrived = [item for item in batch if id(item) not in names]
            if arrived:
                self._overflow.arrived(is_half_empty=self._is_half_empty)
                self._settle(arrived, Outcome.DELIVERED, "", "")
            if lost:  # last, as it is what is to be said of the batch
                self._settle(lost, Outcome.FAILED, reason, detail)
            self._changed.notify_all()

    def _next_batch(self) -> list[T] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closing)
            if not self._items:
                return None
            batch = [self._items.popleft() for _ in range(min(MAX_BATCH, len(self._items)))]
            self._under_way = batch
            self._overflow.taken()
            self._size_bytes -= sum([item.size_bytes for item in batch])
            return batch
