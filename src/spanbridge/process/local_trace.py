"""The spans of one trace that live under one local root in this process."""

from __future__ import annotations

import weakref
from time import monotonic
from typing import TYPE_CHECKING, Final

from spanbridge.process.head_decision import NO_RATES, NO_REASONS, NOBODY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import SpanContext, TraceState

    from spanbridge.model.trace import DynamicSamplingContext, SegmentName
    from spanbridge.process.upstream import Upstream
    from spanbridge.runtime.bound import Bound

FINALIZERS_S: Final = 1.0
"""How long a collected span may still be ended by a finalizer before it counts as never ended."""

_SPAN_ID_BITS: Final = (1 << 64) - 1
TRACE_ID: Final = 0
SPAN_ID: Final = 1
IS_REMOTE: Final = 2
"""Places in a span context, which is a tuple. They are asked for ten times a span on the
application's thread, and the properties of the same names take three times as long."""


class LocalTrace:
    """Everything known about one local trace, shared by the application's threads and the worker.

    All changes are single bytecode-atomic operations, so no lock is needed: a lock here could be
    taken again by a garbage-collection callback on the same thread and deadlock.
    """

    __slots__ = (
        "__weakref__",
        "arriving",
        "before",
        "bound",
        "dsc",
        "ended_root",
        "is_by_rate",
        "keepers",
        "kept_by_rule",
        "left_out_by",
        "open",
        "rates",
        "root",
        "root_id",
        "segments",
        "settled",
        "trace_id",
        "trace_state",
        "upstream",
    )

    def __init__(
        self,
        trace_id: int,
        root_id: int,
        keepers: frozenset[str] = NOBODY,
        upstream: Upstream | None = None,
        trace_state: TraceState | None = None,
        rates: Mapping[str, float] = NO_RATES,
        before: int | None = 0,
        left_out_by: Mapping[str, str] = NO_REASONS,
    ) -> None:
        self.trace_id = trace_id
        self.root_id = root_id
        self.keepers = keepers
        """Names of the destinations that keep this trace by what was decided at its start."""
        self.rates = rates
        """The rates that decided, by destination, where they are not the destination's own."""
        self.before = before
        """The threshold by which others sampled it before these rates; ``None`` if unknown."""
        self.left_out_by = left_out_by
        """By destination: what left it out where it is not kept, as far as that is known."""
        self.kept_by_rule: frozenset[str] = NOBODY
        """Names of the destinations that keep it, whatever the rate, because of what happened."""
        self.settled: frozenset[str] = NOBODY
        """Names of the destinations where some of it went or was left out: what comes follows."""
        self.is_by_rate = True
        """Whether the rates decided on ``keepers``; they do not on work that is excluded."""
        self.upstream = upstream
        self.trace_state = trace_state
        """The caller's, for the random number in it."""
        self.open: dict[int, SpanReference] = {}
        """Spans that started and have not ended, by span id."""
        self.arriving: dict[int, None] = {}
        """Spans below the root that ended, by span id, until the worker takes them."""
        self.root: SpanReference | None = None
        self.ended_root: ReadableSpan | None = None
        """The root that has ended, until the worker has read it."""
        self.bound: dict[int, Bound] = {}
        """By span id: what was bound where the span started, and to it later, until its end was
        read."""
        self.dsc: dict[str, DynamicSamplingContext] = {}
        """By destination name, frozen when it first leaves the process."""
        self.segments: dict[str, SegmentName] = {}
        """By destination name: what streamed spans were told to belong to."""

    @property
    def is_root_to_come(self) -> bool:
        """Whether its root is still open, or ended and is on its way to the worker."""
        return self.root_id in self.open or self.ended_root is not None

    @property
    def may_go_on(self) -> bool:
        """Whether something of it is still open, or ended and is on its way to the worker."""
        return bool(self.open or self.arriving)

    def arrived(self, span_id: int) -> None:
        """Note that the worker took a span that ended, or will not get it."""
        if span_id == self.root_id:
            self.ended_root = None
        else:
            self.arriving.pop(span_id, None)

    def open_span(self, span_id: int) -> Span | None:
        """A span that has not ended, if the application still has it."""
        reference = self.open.get(span_id)
        return reference() if reference is not None else None


class SpanReference(weakref.ref["Span"]):
    """A weak reference to a span that knows the local trace it belongs to."""

    __slots__ = ("key", "local", "lost_s")

    key: int
    local: LocalTrace
    lost_s: float

    @property
    def span_id(self) -> int:
        """The span's id."""
        return self.key & _SPAN_ID_BITS

    @property
    def is_open(self) -> bool:
        """Whether the span started and did not end."""
        return self.key & _SPAN_ID_BITS in self.local.open


class LocalTraces:
    """Finds the local trace of a span, for as long as the span object or its trace lives."""

    def __init__(self) -> None:
        self._references: dict[int, SpanReference] = {}
        """By trace id and span id as one number."""
        self._by_trace_id: dict[int, LocalTrace] = {}
        self._lost: dict[int, SpanReference] = {}
        """Spans that were garbage-collected without having ended."""

        references, lost = self._references, self._lost

        def on_collected(reference: weakref.ref[Span]) -> None:
            # Runs inside garbage collection at any point of any thread: no lock, no allocation
            # that could wait.
            if TYPE_CHECKING:
                assert isinstance(reference, SpanReference)
            key = reference.key
            found = references.pop(key, None)
            if found is not reference and found is not None:
                references[key] = found  # a span with the same ids, started later
            if key & _SPAN_ID_BITS in reference.local.open:
                reference.lost_s = monotonic()
                lost[key] = reference

        self._on_collected = on_collected

    def join(self, span: Span, context: SpanContext, parent: SpanContext) -> LocalTrace | None:
        """Note a started span if the local trace of its parent is known, and return that.

        The parent may have ended. If only its ids are known to anybody, it is found by its trace
        id while that trace is open.
        """
        trace_id = context[TRACE_ID]
        known = self._references.get((trace_id << 64) | parent[SPAN_ID])
        local = known.local if known is not None else self._by_trace_id.get(trace_id)
        if local is None:
            return None
        reference = SpanReference(span, self._on_collected)
        span_id = context[SPAN_ID]
        reference.key = key = (trace_id << 64) | span_id
        reference.local = local
        local.open[span_id] = reference
        self._references[key] = reference
        return local

    def open(self, span: Span, local: LocalTrace) -> None:
        """Note the root of a new local trace."""
        reference = SpanReference(span, self._on_collected)
        reference.key = key = (local.trace_id << 64) | local.root_id
        reference.local = local
        local.open[local.root_id] = reference
        local.root = reference
        self._references[key] = reference
        self._by_trace_id[local.trace_id] = local

    def end(self, span: ReadableSpan, context: SpanContext) -> LocalTrace | None:
        """Note that a span ended and is on its way to the worker.

        Returns:
            ``None`` for a span whose start was not seen.
        """
        span_id = context[SPAN_ID]
        key = (context[TRACE_ID] << 64) | span_id
        reference = self._references.get(key)
        if reference is None:
            # The collector tells of a span before it runs the finalizers, which may still end it.
            reference = self._lost.pop(key, None)
            if reference is None:
                return None
        local = reference.local
        # First, so that at no moment it is in neither.
        if span_id == local.root_id:
            local.ended_root = span
        else:
            local.arriving[span_id] = None
        local.open.pop(span_id, None)
        return local

    def find(self, context: SpanContext) -> LocalTrace | None:
        """The local trace a span of this process belongs to, also after that span ended."""
        trace_id = context.trace_id
        reference = self._references.get((trace_id << 64) | context.span_id)
        return reference.local if reference is not None else self._by_trace_id.get(trace_id)

    def upwards(self, trace_id: int, span_id: int, limit: int) -> list[Span]:
        """A span and those above it in this process, as far as they are alive, innermost first."""
        found: list[Span] = []
        reference = self._references.get((trace_id << 64) | span_id)
        while reference is not None and len(found) < limit and (span := reference()) is not None:
            found.append(span)
            parent = span.parent
            if parent is None or parent.is_remote:
                break
            reference = self._references.get((trace_id << 64) | parent.span_id)
        return found

    def forget_arriving(self) -> None:
        """Wait for no span that ended before, as in a forked child: they belong to the parent."""
        for local in self.living():
            local.ended_root = None
            local.arriving.clear()

    def living(self) -> set[LocalTrace]:
        """The local traces of all spans that the application still has."""
        return {reference.local for reference in list(self._references.values())}

    def without_root(self) -> list[LocalTrace]:
        """Those of them whose root the worker has taken, or will not get."""
        return [local for local in self.living() if not local.is_root_to_come]

    def close(self, local: LocalTrace) -> None:
        """Forget the trace id of a local trace whose root ended, and the root itself.

        Each refers to the other, so one link has to go for both to be freed at once.
        """
        local.root = None
        if self._by_trace_id.get(local.trace_id) is local:
            self._by_trace_id.pop(local.trace_id, None)

    def forget_lost(self, now_s: float, *, at_once: bool) -> list[SpanReference]:
        """Take the spans that are lost for good. Called by the worker only.

        Args:
            now_s: Monotonic time.
            at_once: Also take those of this very moment, whose finalizers may be running still.
        """
        taken = [
            reference
            for reference in list(self._lost.values())
            if at_once or now_s - reference.lost_s >= FINALIZERS_S
        ]
        for reference in taken:
            self._lost.pop(reference.key, None)
        return [reference for reference in taken if reference.is_open]
