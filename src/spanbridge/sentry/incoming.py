"""What a caller's headers say: which trace to continue, and what was decided on it.

==========================================  ===========================================
the headers                                 the trace that is continued
==========================================  ===========================================
none                                        none
``traceparent``                             its own
``sentry-trace``                            its own
both, of one trace                          that one, below the span of ``traceparent``
both, of different traces                   ``traceparent``'s; Sentry's decision is left out
Sentry's, of an organisation refused        none, also where ``traceparent`` names the same
``traceparent``, with ``sentry-*`` baggage  its own, with the head's decision and sampling
of its trace                                context: a service without Sentry passed it on
``sentry-trace``, with ``sentry-*``         its own, with its decision; the sampling
baggage of another trace                    context is left out
==========================================  ===========================================

Baggage of others is never touched. Source: Sentry develop docs, "Trace Propagation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import baggage, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from spanbridge.process.randomness import randomness, sample_rand
from spanbridge.process.tracestate import random_value, threshold
from spanbridge.process.upstream import Upstream, with_upstream
from spanbridge.sentry.dsc import PREFIX

if TYPE_CHECKING:
    from opentelemetry.context import Context

_SENTRY_TRACE: Final = re.compile(r"^[ \t]*([0-9a-f]{32})-([0-9a-f]{16})(?:-([01]))?[ \t]*$", re.I)
_DECISIONS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_MILLION: Final = 1_000_000


class Continuation(NamedTuple):
    """Whose Sentry traces are continued. As it is by default: everybody's.

    Source: Sentry develop docs, "Strict Trace Continuation".
    """

    org_id: str | None = None
    """The organisation's own id, if it is known."""
    is_strict: bool = False
    """Whether a caller is refused that differs in telling an id at all."""

    def admits(self, org_id: str | None) -> bool:
        """Whether a trace of the organisation ``org_id`` is continued."""
        if self.org_id is not None and org_id is not None:
            return self.org_id == org_id
        return not self.is_strict or self.org_id == org_id


class SentryTrace(NamedTuple):
    """A readable ``sentry-trace`` header."""

    trace_id: int
    span_id: int
    is_sampled: bool | None
    """``None`` if the decision is left to the receiver."""


def parse_sentry_trace(header: str) -> SentryTrace | None:
    """The header's parts, or ``None`` if it names no trace."""
    match = _SENTRY_TRACE.match(header)
    if match is None:
        return None
    trace_id, span_id, flag = int(match[1], 16), int(match[2], 16), match[3]
    if not trace_id or not span_id:
        return None
    return SentryTrace(trace_id, span_id, None if flag is None else flag == "1")


def continued(
    context: Context,
    before: Context | None,
    header: str,
    dsc: Mapping[str, str],
    continuation: Continuation,
) -> Context:
    """The context of a request with Sentry's part of its headers.

    Args:
        context: With what the propagators for other headers made of the request.
        before: The context before those ran; ``None`` if they are not known.
        header: ``sentry-trace``, empty if there is none.
        dsc: The ``sentry-*`` members of ``baggage`` without their prefix.
        continuation: Whose traces are continued.
    """
    context = _without_sentry_baggage(context)
    parent = _parent_by_others(context, before)
    told = parse_sentry_trace(header) if header else None
    if told is not None and parent is not None and told.trace_id != parent.trace_id:
        told = None
    if told is not None:
        trace_id, is_sampled = told.trace_id, told.is_sampled
    elif parent is not None and dsc and dsc.get("trace_id") == f"{parent.trace_id:032x}":
        trace_id, is_sampled = parent.trace_id, _DECISIONS.get(dsc.get("sampled", ""))
    else:
        return context
    if not continuation.admits(dsc.get("org_id")):
        return _without_parent(context, before)
    if parent is None and told is not None:
        context = _below(told, context)
    if dsc.get("trace_id", f"{trace_id:032x}").lower() != f"{trace_id:032x}":
        dsc = {}
    state = parent.trace_state if parent is not None else None
    dsc = _with_sample_rand(dsc, trace_id, is_sampled, state)
    return with_upstream(context, Upstream(is_sampled, dsc, trace_id))


def _without_sentry_baggage(context: Context) -> Context:
    for name in baggage.get_all(context):
        if name.startswith(PREFIX):
            context = baggage.remove_baggage(name, context)
    return context


def _parent_by_others(context: Context, before: Context | None) -> SpanContext | None:
    """The caller's span as the other headers name it; a span that was current before is none."""
    span = trace.get_current_span(context)
    if before is not None and span is trace.get_current_span(before):
        return None
    known = span.get_span_context()
    return known if known.is_valid and known.is_remote else None


def _without_parent(context: Context, before: Context | None) -> Context:
    span = trace.get_current_span(before) if before is not None else trace.INVALID_SPAN
    return trace.set_span_in_context(span, context)


def _below(told: SentryTrace, context: Context) -> Context:
    # Sentry's "no" binds Sentry's destinations, by what is known of its caller; the W3C flag "not
    # sampled" would bind every destination, and nobody has said that.
    flags = TraceFlags(TraceFlags.SAMPLED)
    remote = SpanContext(told.trace_id, told.span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(remote), context)


def _with_sample_rand(
    dsc: Mapping[str, str], trace_id: int, is_sampled: bool | None, state: TraceState | None
) -> Mapping[str, str]:
    """The context with a random number that fits the decision, if the caller sent none.

    Older SDKs send none; whoever meets their trace first draws one and passes it on. The number
    is the one Sentry's Python SDK draws, which seeds with the trace id: so every service that
    stands beside this one draws the same. An empty context stays empty. Where the decision is left
    to us, and the tracestate tells of sampling, its number is the one.

    Source: Sentry develop docs, "Propagated Random Value".
    """
    if not dsc or Upstream(is_sampled, dsc, trace_id).sample_rand is not None:
        return dsc
    if is_sampled is None and (threshold(state), random_value(state)) != (None, None):
        number = randomness(trace_id, state, None)
        return {**dsc, "sample_rand": sample_rand(number, 1, is_kept=True)}
    lower, upper = 0.0, 1.0
    rate = _rate_of(dsc.get("sample_rate"))
    if rate is not None and is_sampled is not None:
        lower, upper = (0.0, rate) if is_sampled else (rate, 1.0)
    if lower >= upper:  # the decision and the rate contradict each other
        return dsc
    first, end = int(lower * _MILLION), int(upper * _MILLION)
    drawn = Random(f"{trace_id:032x}").randrange(first, end) if first < end else first
    return {**dsc, "sample_rand": f"{drawn / _MILLION:.6f}"}


def _rate_of(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None
