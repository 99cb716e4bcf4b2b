"""The heart: an OpenTelemetry span processor that groups spans and hands them over."""

from __future__ import annotations

import sys
from threading import RLock
from typing import TYPE_CHECKING

from opentelemetry.context import get_value
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import get_current_span

from spanbridge.process.head_decision import NOT_KEPT, HeadDecision
from spanbridge.process.in_flight import InFlight, Left, in_flight, left_by
from spanbridge.process.intake import Intake
from spanbridge.process.local_trace import IS_REMOTE, SPAN_ID, LocalTrace, LocalTraces
from spanbridge.process.provider_end import FollowsProvider
from spanbridge.process.sampling import SamplingPolicy
from spanbridge.process.tracestate import threshold
from spanbridge.process.upstream import upstream_of
from spanbridge.runtime.bound import KEY as BOUND
from spanbridge.runtime.bound import NOTHING, Block, put_on
from spanbridge.runtime.excluded import is_excluded
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import SpanContext

    from spanbridge.process.sighting import Sighting
    from spanbridge.runtime.bound import Value


class BridgeProcessor(FollowsProvider, SpanProcessor):
    """Tracks local traces on the application's thread and queues what has ended.

    It is added to a provider once and never removed (OpenTelemetry has no way to), so everything
    behind it can be exchanged: ``policy`` and ``intake`` are ``None`` while nothing is configured.
    """

    def __init__(self, traces: LocalTraces) -> None:
        super().__init__()
        self._traces = traces
        self._renew_lock()
        after_fork_in_child(self._renew_lock)
        self.policy: SamplingPolicy | None = None
        self.intake: Intake | None = None
        self.includes_locals = False
        self.own_modules: tuple[str, ...] = ()
        self.annotate: Callable[[Sighting], None] | None = None
        """Adds what the application attached to a failure otherwise; never raises."""

    def _renew_lock(self) -> None:
        # In a forked child it may be held by a thread that exists in the parent only.
        self._holding = RLock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Find or open the local trace of a new span."""
        if (policy := self.policy) is None:
            return
        try:
            parent = span.parent
            context = span.get_span_context()
            local: LocalTrace | None = None
            if parent is not None and not parent[IS_REMOTE]:
                local = self._traces.join(span, context, parent)
            if local is None:
                decided = policy.take_over(context.trace_id)
                if decided is None:  # by somebody else's sampler, or not at all
                    decided = decided_by_another(policy, span, parent_context)
                local = local_trace_of(span, context, decided, parent_context)
                if not decided.keepers and is_excluded(parent_context):
                    local.is_by_rate = False
                self._traces.open(span, local)
                if (now := self.policy) is not policy and now is not None:  # exchanged meanwhile
                    _readmit(local, policy, now)
            block = get_value(BOUND, parent_context)
            if isinstance(block, Block) and (bound := block.bound).attributes:
                local.bound[context[SPAN_ID]] = bound
                put_on(span, bound.missing_in(span.attributes or {}))
        except Exception as error:
            GUARD.caught("process.on_start", error)

    def follow(self, policy: SamplingPolicy) -> None:
        """Let another policy decide, also on who gets the rest of what is under way."""
        before, self.policy = self.policy, policy
        if before is not None:
            for local in self._traces.living():
                _readmit(local, before, policy)

    def hold(
        self, context: SpanContext, attributes: Mapping[str, Value], is_overriding: bool
    ) -> None:
        """Keep what is bound to a running span, to put it on its record once more."""
        local = self._traces.find(context) if context.is_valid else None
        span_id = context.span_id
        if local is None or span_id not in local.open:
            return
        with self._holding:  # two threads may bind to the same span
            held = local.bound.get(span_id, NOTHING)
            local.bound[span_id] = held.with_more(attributes, override=is_overriding)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a finished span, with the exception in flight if it is the recorded one."""
        try:
            context = span.get_span_context()
            if context is None:
                return
            span_id = context[SPAN_ID]
            local = self._traces.end(span, context)
            if local is not None and span_id == local.root_id:
                self._traces.close(local)
            if (intake := self.intake) is None:
                if local is not None:
                    local.arrived(span_id)
                return
            if local is None:  # started before we were configured
                policy = self.policy
                decided = NOT_KEPT if policy is None else decided_by_another(policy, span, None)
                local = local_trace_of(span, context, decided, None)
            seen: InFlight | Left | None = None
            if (error := sys.exception()) is not None:
                seen = self._seen(error, span)
            root_id = local.root_id
            if span_id == root_id:
                if self.annotate is not None and isinstance(seen, InFlight):
                    self.annotate(seen.sighting)
                is_taken = intake.put((span, local, seen), True)
            else:
                wakes = seen is not None or root_id not in local.open
                is_taken = intake.put((span, local, seen), wakes)
            if not is_taken:
                local.bound.pop(span_id, None)
                local.arrived(span_id)
        except Exception as error:
            GUARD.caught("process.on_end", error)

    def _seen(self, error: BaseException, span: ReadableSpan) -> InFlight | Left | None:
        """What the exception in flight means for a span; a failure of ours costs only that."""
        try:
            return in_flight(
                error, span, includes_locals=self.includes_locals, own_modules=self.own_modules
            ) or left_by(error)
        except Exception as failure:
            GUARD.caught("process.in_flight", failure)
            return None


def decided_by_another(
    policy: SamplingPolicy, span: ReadableSpan, parent_context: Context | None
) -> HeadDecision:
    """Which destinations keep a trace of those that somebody else's sampler lets pass.

    How many that one left out is known only if it tells by the span's tracestate.
    """
    context, parent = span.get_span_context(), span.parent
    if context is None or not context.trace_flags.sampled:
        return NOT_KEPT
    remote = parent if parent is not None and parent.is_remote else None
    decided = policy.decide(
        context.trace_id, remote, parent_context, span.name, span.kind, span.attributes
    )
    return decided._replace(before=threshold(context.trace_state))


def local_trace_of(
    root: ReadableSpan,
    context: SpanContext,
    decided: HeadDecision,
    parent_context: Context | None,
) -> LocalTrace:
    """The local trace that begins with ``root``.

    Args:
        root: The span.
        context: Its own context.
        decided: What was decided on the trace.
        parent_context: The context it was started in; ``None`` means the current one.
    """
    parent = root.parent
    return LocalTrace(
        context.trace_id,
        context.span_id,
        decided.keepers,
        upstream_of(parent_context, context.trace_id),
        parent.trace_state if parent is not None else None,
        decided.rates,
        decided.before,
        decided.left_out_by,
    )


def _readmit(local: LocalTrace, before: SamplingPolicy, policy: SamplingPolicy) -> None:
    # What was decided was decided by those rates.
    local.rates = {**before.rates, **local.rates}
    if local.keepers:  # else nobody's rate is asked any more
        local.left_out_by = {**policy.by_rate, **local.left_out_by}
    local.keepers = policy.goes_on_with(
        local.keepers, before, local.trace_id, local.trace_state, local.upstream
    )


def current_local_trace(traces: LocalTraces, context: Context | None) -> LocalTrace | None:
    """The local trace of the span that is current in ``context``."""
    span_context = get_current_span(context).get_span_context()
    if not span_context.is_valid or span_context.is_remote:
        return None
    return traces.find(span_context)
