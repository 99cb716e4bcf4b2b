"""A bounded queue with its own thread, so that a slow destination holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

MAX_BATCH: Final = 512
"""Items handed to one call of ``send``; OpenTelemetry's default export batch."""


class Outbox(Generic[T]):
    """Hands queued items to ``send`` in batches, on a thread that starts with the first item.

    While one batch is being sent the next one fills up, so batches grow with the load and an
    idle process sends at once.

    Args:
        name: Name of the destination, for the thread and the log.
        send: Sends one batch. It settles every item in the ledger itself; may block; if it raises,
            ``drop`` is told.
        drop: Settles items that were not sent, with the reason.
        max_items: Items that may wait; the newest are dropped beyond.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[T]], None],
        drop: Callable[[Sequence[T], str], None],
        max_items: int,
    ) -> None:
        self._name = name
        self._send = send
        self._drop = drop
        self._max_items = max_items
        self._start_empty()
        after_fork_in_child(self._start_empty)

    def _start_empty(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._sending = 0
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._items) + self._sending

    def put(self, items: Sequence[T]) -> None:
        """Queue ``items``; never blocks on sending."""
        with self._changed:
            room = 0 if self._is_closing else max(0, self._max_items - len(self))
            self._items.extend(items[:room])
            if self._items and self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"spanbridge-{self._name}", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()
        if len(items) > room:
            self._drop(items[room:], "closed" if self._is_closing else "queue full")

    def flush(self, timeout_s: float) -> bool:
        """Wait until all items are sent or dropped; false if the deadline passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not len(self), timeout_s)

    def close(self, timeout_s: float, interrupt: Callable[[], None]) -> bool:
        """Send what is queued, then stop the thread.

        Args:
            timeout_s: Deadline for all of it, in seconds.
            interrupt: Ends a ``send`` that is still blocked when the deadline is near.
        """
        deadline = time.monotonic() + timeout_s
        in_time = self.flush(max(0.0, timeout_s * 0.9))
        with self._changed:
            self._is_closing = True
            left = list(self._items)
            self._items.clear()
            self._changed.notify_all()
            thread = self._thread
        if left:
            self._drop(left, "shutdown deadline")
        interrupt()
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.05, deadline - time.monotonic()))
        return in_time

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                self._send(batch)
            except Exception as error:
                self._drop(batch, type(error).__name__)
                GUARD.report(f"{self._name}: {type(error).__name__}", str(error))
            finally:
                with self._changed:
                    self._sending = 0
                    self._changed.notify_all()

    def _next_batch(self) -> list[T] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closing)
            if not self._items:
                return None
            batch = [self._items.popleft() for _ in range(min(MAX_BATCH, len(self._items)))]
            self._sending = len(batch)
            return batch
