"""Reads and writes ``sentry-trace`` and Sentry's part of ``baggage``, beside W3C's headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote_plus

from opentelemetry import baggage, trace
from opentelemetry.context import get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from spanbridge.process.upstream import Upstream, upstream_of, with_upstream
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.dsc import PREFIX, from_baggage, to_baggage
from spanbridge.sentry.target_host import is_allowed, target_host

if TYPE_CHECKING:
    from opentelemetry.context import Context

SENTRY_TRACE: Final = "sentry-trace"
BAGGAGE: Final = "baggage"
MAX_BAGGAGE_BYTES: Final = 8192
"""W3C's limit of one ``baggage`` header."""
_SENTRY_TRACE: Final = re.compile(r"^[ \t]*([0-9a-f]{32})-([0-9a-f]{16})(?:-([01]))?[ \t]*$", re.I)


class Outgoing:
    """What the propagator writes for the current span.

    Args:
        is_sampled: Sentry's own decision for the trace.
        dsc: The items of the trace's dynamic sampling context, those of the head unchanged.
    """

    __slots__ = ("dsc", "is_sampled")

    def __init__(self, is_sampled: bool, dsc: Mapping[str, str]) -> None:
        self.is_sampled = is_sampled
        self.dsc = dsc


OutgoingOf: TypeAlias = "Callable[[Context | None], Outgoing | None]"


class BridgePropagator(TextMapPropagator):
    """Adds Sentry's headers to those of the propagators that ran before it.

    W3C's ``traceparent`` decides on the trace if both are there: it was read first. The decision
    and the dynamic sampling context of ``sentry-trace`` and ``baggage`` are honoured either way,
    and the ``sentry-*`` members are taken out of OpenTelemetry's baggage, so that they are written
    once.

    Args:
        outgoing: Gives what to write for a context, or ``None`` for nothing. Exchangeable, since
            a process's propagator is set once.
        carries_baggage: Whether a propagator beside this one writes OpenTelemetry's baggage. The
            header is written as a whole, so its members are written again here; if nobody else
            would send them, they stay at home.

    Source: Sentry develop docs, "Trace Propagation".
    """

    def __init__(self, outgoing: OutgoingOf | None = None, *, carries_baggage: bool = True) -> None:
        self.outgoing = outgoing
        self.carries_baggage = carries_baggage
        self.allowed_hosts: Sequence[str] | None = None
        """Hosts that get Sentry's headers, with ``*``; ``None`` stands for all."""

    @property
    def fields(self) -> set[str]:
        """The header names this propagator writes."""
        return {SENTRY_TRACE, BAGGAGE}

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with what the caller said. Never raises."""
        original = context if context is not None else get_current()
        try:
            return _extract(carrier, original, getter)
        except Exception as error:
            GUARD.caught("sentry.extract", error)
            return original

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the headers for the span of ``context``. Never raises."""
        try:
            span_context = trace.get_current_span(context).get_span_context()
            if not span_context.is_valid:
                return
            if self.allowed_hosts is not None and not is_allowed(
                target_host(context), self.allowed_hosts
            ):
                return
            members, flag = self._sentry_part(context)
            ids = f"{span_context.trace_id:032x}-{span_context.span_id:016x}"
            setter.set(carrier, SENTRY_TRACE, f"{ids}{flag}")
            if members:
                others = _others(context) if self.carries_baggage else []
                setter.set(carrier, BAGGAGE, _merged(others, members))
        except Exception as error:
            GUARD.caught("sentry.inject", error)

    def _sentry_part(self, context: Context | None) -> tuple[list[str], str]:
        outgoing = self.outgoing(context) if self.outgoing is not None else None
        if outgoing is not None:
            return to_baggage(outgoing.dsc), "-1" if outgoing.is_sampled else "-0"
        # No span of ours: pass on what came in, or leave the decision to the next service.
        upstream = upstream_of(context)
        if upstream is None:
            return [], ""
        flag = {True: "-1", False: "-0", None: ""}[upstream.is_sampled]
        return to_baggage(upstream.dsc), flag


def _extract(carrier: CarrierT, context: Context, getter: Getter[CarrierT]) -> Context:
    header = (getter.get(carrier, SENTRY_TRACE) or [""])[0]
    dsc = from_baggage(getter.get(carrier, BAGGAGE) or [])
    for name in baggage.get_all(context):
        if name.startswith(PREFIX):
            context = baggage.remove_baggage(name, context)
    match = _SENTRY_TRACE.match(header)
    if match is None:
        return context
    trace_id, span_id, flag = int(match[1], 16), int(match[2], 16), match[3]
    if not trace_id or not span_id:
        return context
    known = trace.get_current_span(context).get_span_context()
    if known.is_valid and known.trace_id != trace_id:
        return context  # the two headers speak of different traces: W3C's rules, all of it
    if not known.is_valid:
        # A decision left open must not read as "not sampled", which would bind every destination.
        flags = TraceFlags.DEFAULT if flag == "0" else TraceFlags.SAMPLED
        remote = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
        context = trace.set_span_in_context(NonRecordingSpan(remote), context)
    return with_upstream(context, Upstream(None if flag is None else flag == "1", dsc))


def _others(context: Context | None) -> list[str]:
    """OpenTelemetry's baggage as its own propagator writes it."""
    return [
        f"{quote_plus(name)}={quote_plus(str(value))}"
        for name, value in baggage.get_all(context).items()
        if not name.startswith(PREFIX)
    ]


def _merged(others: list[str], sentry_members: list[str]) -> str:
    # The application's own members come first: if the header gets too long, ours are left out.
    header = ",".join(others)
    for member in sentry_members:
        longer = f"{header},{member}" if header else member
        if len(longer) > MAX_BAGGAGE_BYTES:
            break
        header = longer
    return header
