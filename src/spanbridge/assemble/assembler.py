"""Holds finished spans until their local root ends, within stated bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

import msgspec

from spanbridge.assemble.tree import follow_up, root_segment

if TYPE_CHECKING:
    from spanbridge.model.span import SpanRecord
    from spanbridge.model.trace import Segment
    from spanbridge.process.local_trace import LocalTrace

LATE_HOLD_S: Final = 2.0
"""How long spans that end after their root wait for their own still open parents."""


class Released(NamedTuple):
    """A segment that leaves, with the local trace it is of."""

    local: LocalTrace
    segment: Segment


class _Held:
    __slots__ = ("root", "root_id", "since_s", "size_bytes", "spans", "weighed")

    def __init__(self, root_id: str, since_s: float) -> None:
        self.root_id = root_id
        self.root: SpanRecord | None = None
        self.spans: list[SpanRecord] = []
        self.since_s = since_s
        self.weighed = 0
        """How many of ``spans`` are part of ``size_bytes``."""
        self.size_bytes = 0


class Assembler:
    """Puts the spans of each local trace together as segments.

    A segment leaves when the local root ends. What ends later leaves as a follow-up segment, whose
    root is a real span, when nothing of the trace is open any more. Spans whose root does not end
    leave without it: when it is garbage-collected, after ``max_hold_s``, or when more than
    ``max_spans`` or ``max_bytes`` are held. Each span leaves exactly once.

    Args:
        max_hold_s: Longest wait for a root, in seconds.
        max_spans: Most spans held over all traces.
        max_bytes: Most memory they may take.
        max_trace_spans: Most spans held of one trace; more leave without their root.
        max_trace_bytes: Most memory these may take.
    """

    def __init__(
        self,
        max_hold_s: float,
        max_spans: int,
        max_bytes: int = 64 << 20,
        *,
        max_trace_spans: int | None = None,
        max_trace_bytes: int | None = None,
    ) -> None:
        self._max_hold_s = max_hold_s
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._max_trace_spans = max_spans if max_trace_spans is None else max_trace_spans
        self._max_trace_bytes = max_bytes if max_trace_bytes is None else max_trace_bytes
        self._held: dict[LocalTrace, _Held] = {}
        self._touched: dict[LocalTrace, None] = {}
        self._root_left: WeakSet[LocalTrace] = WeakSet()
        self._count = 0
        self._size_bytes = 0
        self._looked_at_s = 0.0

    @property
    def held(self) -> int:
        """Spans waiting for their root."""
        return self._count

    def add(self, local: LocalTrace, span: SpanRecord, now_s: float) -> None:
        """Take a finished span of a local trace; ``now_s`` is monotonic time."""
        held = self._held.get(local)
        if held is None:
            held = self._held[local] = _Held(f"{local.root_id:016x}", now_s)
        if span.span_id == held.root_id and held.root is None:
            held.root = span
        else:
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
            if held.root is not None:
                segments.append(Released(local, self._release_root(local, held.root, held)))
            elif local in self._root_left and not local.open:
                segments += self.release(local)
            else:
                self._weigh(held)
                if self._is_full(held) and not self._root_is_near(local):
                    segments += self.release(local)
        while self._count > self._max_spans or self._size_bytes > self._max_bytes:
            segments += self.release(next(iter(self._held)))
        if now_s - self._looked_at_s >= 1.0:
            self._looked_at_s = now_s
            for local in [
                local for local, held in self._held.items() if self._is_due(local, held, now_s)
            ]:
                segments += self.release(local)
        return segments

    def lose(self, local: LocalTrace) -> list[Released]:
        """All that is held of a local trace whose root will never end."""
        self._root_left.add(local)
        return self.release(local)

    def release(self, local: LocalTrace) -> list[Released]:
        """All that is held of one local trace, without waiting for its root."""
        held = self._held.pop(local, None)
        if held is None:
            return []
        self._forget(held, len(held.spans))
        return [Released(local, follow_up(held.spans))] if held.spans else []

    def release_all(self, now_s: float) -> list[Released]:
        """Everything held, for a flush or shutdown."""
        segments = self.ready(now_s)
        for local in list(self._held):
            segments += self.release(local)
        return segments

    def _is_due(self, local: LocalTrace, held: _Held, now_s: float) -> bool:
        limit_s = LATE_HOLD_S if local in self._root_left else self._max_hold_s
        return now_s - held.since_s >= limit_s

    def _is_full(self, held: _Held) -> bool:
        return len(held.spans) >= self._max_trace_spans or held.size_bytes >= self._max_trace_bytes

    def _root_is_near(self, local: LocalTrace) -> bool:
        """Whether the root has ended but is not here yet: then it waits in the queue behind."""
        return local.root_id not in local.open and local not in self._root_left

    def _weigh(self, held: _Held) -> None:
        """Count the memory of spans that stay; most leave at once and are never weighed."""
        size_bytes = sum([span.size_bytes for span in held.spans[held.weighed :]])
        held.weighed = len(held.spans)
        held.size_bytes += size_bytes
        self._size_bytes += size_bytes

    def _forget(self, held: _Held, spans: int) -> None:
        self._count -= spans
        self._size_bytes -= held.size_bytes

    def _release_root(self, local: LocalTrace, root: SpanRecord, held: _Held) -> Segment:
        del self._held[local]
        self._forget(held, 1 + len(held.spans))
        # Also if nothing is open: what the root began may start its first span later.
        self._root_left.add(local)
        return root_segment(root, held.spans)
