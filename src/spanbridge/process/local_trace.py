"""The spans of one trace that live under one local root in this process."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from spanbridge.process.sampling import NOBODY

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span
    from opentelemetry.trace import SpanContext

    from spanbridge.model.trace import DynamicSamplingContext
    from spanbridge.process.upstream import Upstream


class LocalTrace:
    """Everything known about one local trace, shared by the application's threads and the worker.

    All changes are single bytecode-atomic operations, so no lock is needed: a lock here could be
    taken again by a garbage-collection callback on the same thread and deadlock.
    """

    __slots__ = ("__weakref__", "dsc", "keepers", "open", "root", "root_id", "trace_id", "upstream")

    def __init__(
        self,
        trace_id: int,
        root_id: int,
        keepers: frozenset[str] = NOBODY,
        upstream: Upstream | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.root_id = root_id
        self.keepers = keepers
        """Names of the destinations that keep this trace."""
        self.upstream = upstream
        self.open: set[int] = set()
        """Ids of spans that started and have not ended."""
        self.root: SpanReference | None = None
        self.dsc: DynamicSamplingContext | None = None
        """Frozen when it first leaves the process."""


class SpanReference(weakref.ref["Span"]):
    """A weak reference to a span that knows the local trace it belongs to."""

    __slots__ = ("has_ended", "key", "local", "span_id")

    key: int
    span_id: int
    local: LocalTrace
    has_ended: bool


class LocalTraces:
    """Finds the local trace of a span, for as long as the span object or its trace lives."""

    def __init__(self) -> None:
        self._references: dict[int, SpanReference] = {}
        self._by_trace_id: dict[int, LocalTrace] = {}
        self._lost: dict[int, SpanReference] = {}
        """Spans that were garbage-collected without having ended."""
        self._lost_before: frozenset[int] = frozenset()

        references, lost = self._references, self._lost

        def on_collected(reference: weakref.ref[Span]) -> None:
            # Runs inside garbage collection at any point of any thread: no lock, no allocation
            # that could wait.
            assert isinstance(reference, SpanReference)
            if references.get(reference.key) is reference:
                del references[reference.key]
            if not reference.has_ended:
                lost[reference.key] = reference

        self._on_collected = on_collected

    def register(self, span: Span, local: LocalTrace) -> SpanReference:
        """Note a started span."""
        context = span.get_span_context()
        reference = SpanReference(span, self._on_collected)
        reference.span_id = span_id = context.span_id
        reference.key = key = context.trace_id ^ span_id
        reference.local = local
        reference.has_ended = False
        self._references[key] = reference
        local.open.add(span_id)
        return reference

    def open_root(self, span: Span, local: LocalTrace) -> None:
        """Note the root of a new local trace."""
        local.root = self.register(span, local)
        self._by_trace_id[local.trace_id] = local

    def end(self, context: SpanContext) -> SpanReference | None:
        """Note that a span ended. Returns ``None`` for a span whose start was not seen."""
        key = context.trace_id ^ context.span_id
        # The collector tells of a span before it runs the finalizers, which may still end it.
        reference = self._references.get(key) or self._lost.pop(key, None)
        if reference is None or reference.local.trace_id != context.trace_id:
            return None
        reference.has_ended = True
        reference.local.open.discard(context.span_id)
        return reference

    def find(self, context: SpanContext) -> LocalTrace | None:
        """The local trace a span of this process belongs to, also after that span ended.

        A context without a span object (somebody kept only its ids) is found by its trace id
        while that trace is open.
        """
        reference = self._references.get(context.trace_id ^ context.span_id)
        if reference is not None and reference.local.trace_id == context.trace_id:
            return reference.local
        return self._by_trace_id.get(context.trace_id)

    def close(self, local: LocalTrace) -> None:
        """Forget the ids of a local trace that nothing more is expected of."""
        if self._by_trace_id.get(local.trace_id) is local:
            self._by_trace_id.pop(local.trace_id, None)

    def forget_lost(self, *, at_once: bool) -> list[SpanReference]:
        """Take the spans that are lost for good. Called by the worker only.

        Args:
            at_once: Also take those of this very moment, whose finalizers may be running still.
        """
        lost = list(self._lost.values())
        taken = [r for r in lost if at_once or r.key in self._lost_before]
        for reference in taken:
            self._lost.pop(reference.key, None)
        self._lost_before = frozenset() if at_once else frozenset(r.key for r in lost)
        return [reference for reference in taken if not reference.has_ended]
