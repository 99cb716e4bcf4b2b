"""Holds finished spans until their local root ends, within stated bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

import msgspec

from spanbridge.assemble.tree import follow_up, root_segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanbridge.model.span import SpanRecord
    from spanbridge.model.trace import Segment
    from spanbridge.process.local_trace import LocalTrace

LATE_HOLD_S: Final = 2.0
"""How long spans that end after their root wait for their own still open parents."""


def _never(_: LocalTrace) -> bool:
    return False


class Released(NamedTuple):
    """A segment that leaves, with the local trace it is of."""

    local: LocalTrace
    segment: Segment


class _Held:
    __slots__ = ("root_at", "root_id", "since_s", "size_bytes", "spans", "weighed")

    def __init__(self, root_id: str, since_s: float) -> None:
        self.root_id = root_id
        self.spans: list[SpanRecord] = []
        self.root_at: int | None = None
        """Where in ``spans`` the root is, if it has ended."""
        self.since_s = since_s
        """Since when they wait for the root, or with it for what is still open."""
        self.weighed = 0
        """How many of ``spans`` are part of ``size_bytes``."""
        self.size_bytes = 0


class Assembler:
    """Puts the spans of each local trace together as segments.

    A segment leaves when the local root ends, or with ``waits`` when that is over or after
    ``max_wait_s``. What ends later leaves as a follow-up segment, whose root is a real span, when
    nothing of the trace is open any more. Spans whose root does not end leave without it: when it
    is garbage-collected, after ``max_hold_s``, or when more than ``max_spans`` or ``max_bytes`` are
    held. Each span leaves exactly once.

    Args:
        max_hold_s: Longest wait for a root, in seconds.
        max_spans: Most spans held over all traces.
        max_bytes: Most memory they may take.
        max_trace_spans: Most spans held of one trace; more leave without their root.
        max_trace_bytes: Most memory these may take.
        waits: Whether a local trace whose root has ended waits for what may still come of it.
        max_wait_s: How long at most, in seconds.
    """

    def __init__(
        self,
        max_hold_s: float,
        max_spans: int,
        max_bytes: int = 64 << 20,
        *,
        max_trace_spans: int | None = None,
        max_trace_bytes: int | None = None,
        waits: Callable[[LocalTrace], bool] = _never,
        max_wait_s: float = 0.0,
    ) -> None:
        self._max_hold_s = max_hold_s
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._max_trace_spans = max_spans if max_trace_spans is None else max_trace_spans
        self._max_trace_bytes = max_bytes if max_trace_bytes is None else max_trace_bytes
        self._waits = waits
        self._max_wait_s = max_wait_s
        self._held: dict[LocalTrace, _Held] = {}
        self._touched: dict[LocalTrace, None] = {}
        self._root_left: WeakSet[LocalTrace] = WeakSet()
        self._count = 0
        self._size_bytes = 0
        self._looked_at_s = 0.0

    @property
    def held(self) -> int:
        """Spans waiting for their root, or with it."""
        return self._count

    def add(self, local: LocalTrace, span: SpanRecord, now_s: float) -> None:
        """Take a finished span of a local trace; ``now_s`` is monotonic time."""
        held = self._held.get(local)
        if held is None:
            held = self._held[local] = _Held(f"{local.root_id:016x}", now_s)
        if span.span_id == held.root_id and held.root_at is None:
            held.root_at, held.since_s = len(held.spans), now_s
        held.spans.append(span)
        self._count += 1
        self._touched[local] = None

    def add_attribute(self, local: LocalTrace, span_id: str, name: str, value: str) -> None:
        """Put an attribute on a span that is still held."""
        held = self._held.get(local)
        if held is None:
            return
        for position, span in enumerate(held.spans):
            if span.span_id == span_id:
                held.spans[position] = msgspec.structs.replace(
                    span, attributes={**span.attributes, name: value}
                )

    def ready(self, now_s: float) -> list[Released]:
        """The segments that may leave now. Call it after each batch, and once a second.

        Looking only after a whole batch lets spans that end just after their root still join it.
        """
        segments: list[Released] = []
        touched, self._touched = self._touched, {}
        for local in touched:
            held = self._held.get(local)
            if held is None:
                continue
            if self._is_complete(local, held):
                segments += self.release(local)
            else:
                self._weigh(held)
                if self._is_full(held) and not self._root_is_near(local, held):
                    segments += self.release(local)
        while self._count > self._max_spans or self._size_bytes > self._max_bytes:
            segments += self.release(next(iter(self._held)))
        if now_s - self._looked_at_s >= 1.0:
            segments += self.overdue(now_s)
        return segments

    def overdue(self, now_s: float) -> list[Released]:
        """What has waited long enough, or for what will not come any more."""
        self._looked_at_s = now_s
        due = [local for local, held in self._held.items() if self._is_due(local, held, now_s)]
        return [released for local in due for released in self.release(local)]

    def lose(self, local: LocalTrace) -> list[Released]:
        """All that is held of a local trace whose root will never end."""
        self._root_left.add(local)
        return self.release(local)

    def release(self, local: LocalTrace) -> list[Released]:
        """All that is held of one local trace, without waiting any longer."""
        held = self._held.pop(local, None)
        if held is None:
            return []
        self._count -= len(held.spans)
        self._size_bytes -= held.size_bytes
        if held.root_at is None:
            return [Released(local, follow_up(held.spans))]
        # Also if nothing is open: what the root began may start its first span later.
        self._root_left.add(local)
        root = held.spans.pop(held.root_at)
        return [Released(local, root_segment(root, held.spans))]

    def release_all(self, now_s: float) -> list[Released]:
        """Everything held, for a flush or shutdown."""
        segments = self.ready(now_s)
        for local in list(self._held):
            segments += self.release(local)
        return segments

    def _is_complete(self, local: LocalTrace, held: _Held) -> bool:
        if held.root_at is not None:
            return not self._waits(local)
        return local in self._root_left and not local.open

    def _is_due(self, local: LocalTrace, held: _Held, now_s: float) -> bool:
        if held.root_at is not None:
            return now_s - held.since_s >= self._max_wait_s or not self._waits(local)
        limit_s = LATE_HOLD_S if local in self._root_left else self._max_hold_s
        return now_s - held.since_s >= limit_s

    def _is_full(self, held: _Held) -> bool:
        return len(held.spans) >= self._max_trace_spans or held.size_bytes >= self._max_trace_bytes

    def _root_is_near(self, local: LocalTrace, held: _Held) -> bool:
        """Whether the root has ended but is not here yet: then it waits in the queue behind."""
        has_ended = local.root_id not in local.open
        return has_ended and held.root_at is None and local not in self._root_left

    def _weigh(self, held: _Held) -> None:
        """Count the memory of spans that stay; most leave at once and are never weighed."""
        size_bytes = sum([span.size_bytes for span in held.spans[held.weighed :]])
        held.weighed = len(held.spans)
        held.size_bytes += size_bytes
        self._size_bytes += size_bytes
