"""The hand-over from the application's threads to the worker."""

from __future__ import annotations

import contextlib
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from spanbridge.conventions.upstream import EXCEPTION_TYPE
from spanbridge.model.log import SEVERITY_ERROR
from spanbridge.process.in_flight import InFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.model.log import LogRecord
    from spanbridge.process.in_flight import Left
    from spanbridge.process.local_trace import LocalTrace

RESERVED_FOR_ERRORS = 1024
"""Places beyond the bound for spans that an exception is leaving."""
MAX_EXCEPTIONS_WAITING = 4096
"""Exceptions with their frames that may wait; beyond, a span waits with the text it recorded."""
WAKE_AT = 512
"""Ended spans that wake the worker even if no local trace closed."""


Ended: TypeAlias = "tuple[ReadableSpan, LocalTrace, InFlight | Left | None]"
"""A finished span on its way to the worker; a plain tuple, because one is made for every span."""


class Logged(NamedTuple):
    """A log record on its way to the worker."""

    record: LogRecord
    local: LocalTrace
    """Its local trace; that of the process outside of all spans."""
    exception: InFlight | None
    """The exception it carries, if it is severe enough to make an issue."""
    span: ReadableSpan | None
    """The span that was current then, usually still open."""

    @property
    def is_error(self) -> bool:
        """Whether it tells of an exception, live or in words, that may become an issue."""
        return self.exception is not None or (
            self.record.severity >= SEVERITY_ERROR and EXCEPTION_TYPE in self.record.attributes
        )


class Refused(NamedTuple):
    """How much found no place."""

    spans: int
    errors: int
    """Spans and log records that told of an error."""


class Intake:
    """A bounded queue whose ``put`` takes no lock, so that it may run inside garbage collection.

    Args:
        max_items: Spans that may wait; more are refused and counted.
    """

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._heir: Intake | None = None
        self.reset()

    def reset(self) -> None:
        """Start empty, as a forked child must: what is queued belongs to the parent."""
        self._items: deque[Ended | Logged] = deque()
        self._refused: deque[Refused] = deque()
        self._exceptions: deque[None] = deque()
        """One for each waiting item with an exception: a deque counts without a lock."""
        # SimpleQueue.put is re-entrant by contract, Event.set and Condition are not.
        self._signal: SimpleQueue[None] = SimpleQueue()
        self._is_signalled = True

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Ended | Logged, wakes: bool) -> bool:
        """Queue a finished span or a log record, or count it as refused if the queue is full.

        Returns:
            Whether it was queued.
        """
        items = self._items
        waiting = len(items)
        tells_of_error = isinstance(item[2], InFlight)
        if waiting >= self._max_items and not (tells_of_error and self._has_reserved_place()):
            is_error = item.is_error if isinstance(item, Logged) else tells_of_error
            self._refused.append(Refused(type(item) is tuple, is_error))
            return False
        if tells_of_error:
            if len(self._exceptions) < MAX_EXCEPTIONS_WAITING:
                self._exceptions.append(None)
            elif isinstance(item, Logged):
                self._refused.append(Refused(False, True))
                return False
            else:
                item = (item[0], item[1], None)
        items.append(item)
        if (heir := self._heir) is not None:
            self._move_to(heir)
        elif wakes or waiting >= WAKE_AT:
            self.wake()
        return True

    def close(self) -> None:
        """Refuse whatever still comes: the worker has stopped, and nobody takes over."""
        self._max_items = -RESERVED_FOR_ERRORS

    def wake(self) -> None:
        """Let the worker look now."""
        if not self._is_signalled:
            self._is_signalled = True
            self._signal.put(None)

    def wait(self, timeout_s: float, is_wanted: Callable[[], bool]) -> None:
        """Sleep until woken, or not at all if something waits. Called by the worker only.

        While the worker is awake nobody has to wake it, which spares the application a system
        call per trace.

        Args:
            timeout_s: Longest sleep, in seconds.
            is_wanted: Whether the worker has something else to do; whoever makes it true calls
                :meth:`wake` afterwards.
        """
        self._is_signalled = False
        if not self._items and not is_wanted():  # asked after the flag went down
            with contextlib.suppress(Empty):
                self._signal.get(timeout=timeout_s)
        self._is_signalled = True

    def take(self, limit: int) -> Iterator[Ended | Logged]:
        """Up to ``limit`` items, oldest first. Called by the worker only.

        One at a time, so that each SDK span is freed, and its memory reused, before the next.
        """
        items, exceptions = self._items, self._exceptions
        for _ in range(min(limit, len(items))):
            item = items.popleft()
            if exceptions and isinstance(item[2], InFlight):
                exceptions.popleft()
            yield item

    def bequeath(self, heir: Intake) -> None:
        """Hand over to ``heir`` what is here and whatever still comes.

        A thread that looked up this intake before an exchange may put a span into it afterwards.
        Called once the worker of this intake has stopped.
        """
        # In this order: what is put before the heir is known is moved here, what is put later
        # is moved by ``put``.
        self._heir = heir
        self._move_to(heir)

    def _move_to(self, heir: Intake) -> None:
        with contextlib.suppress(IndexError):
            while True:
                heir.put(self._items.popleft(), wakes=True)

    def take_refused(self) -> Refused:
        """How much was refused since the last call. Called by the worker only."""
        refused = [self._refused.popleft() for _ in range(len(self._refused))]
        return Refused(sum(spans for spans, _ in refused), sum(errors for _, errors in refused))

    def _has_reserved_place(self) -> bool:
        """Errors are worth more than traces: a few places are theirs alone."""
        return len(self._items) < self._max_items + RESERVED_FOR_ERRORS
