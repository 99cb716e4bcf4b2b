"""Reads and writes ``sentry-trace`` and Sentry's part of ``baggage``, beside W3C's headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from spanbridge.process.upstream import upstream_of
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.dsc import PREFIX, from_baggage, to_baggage
from spanbridge.sentry.incoming import Continuation, continued
from spanbridge.sentry.target_host import is_allowed, target_host

if TYPE_CHECKING:
    from opentelemetry.context import Context

SENTRY_TRACE: Final = "sentry-trace"
BAGGAGE: Final = "baggage"
MAX_BAGGAGE_BYTES: Final = 8192
MAX_MEMBER_BYTES: Final = 4096
MAX_MEMBERS: Final = 180
"""The limits of one ``baggage`` header that OpenTelemetry's propagator keeps to.

A receiver drops the whole header, or what comes last in it, if they are passed.
"""
_FLAGS: Final[Mapping[bool | None, str]] = {True: "-1", False: "-0", None: ""}
EVERYBODY: Final = Continuation()


class Outgoing:
    """What the propagator writes for the current span.

    Args:
        is_sampled: Sentry's own decision for the trace; ``None`` leaves it to the next service.
        dsc: The items of the trace's dynamic sampling context, those of the head unchanged.
    """

    __slots__ = ("dsc", "is_sampled")

    def __init__(self, is_sampled: bool | None, dsc: Mapping[str, str]) -> None:
        self.is_sampled = is_sampled
        self.dsc = dsc


OutgoingOf: TypeAlias = "Callable[[Context | None], Outgoing | None]"


class BridgePropagator(TextMapPropagator):
    """Adds Sentry's headers to those of the propagators that were set before.

    Those run inside this one, on the application's own carrier. Only the ``baggage`` they write is
    held back, and written once with Sentry's members behind it: most carriers keep the last header
    of a name, others would hold two.

    What it makes of a caller's headers is told in :mod:`spanbridge.sentry.incoming`. The
    ``sentry-*`` members are taken out of OpenTelemetry's baggage, so that they are written once.

    Args:
        outgoing: Gives what to write for a context, or ``None`` if no span of ours is current.
            Exchangeable, since a process's propagator is set once. Without it no trace of
            Sentry's starts here; what came in is passed on.
        beside: The propagators that were set before.

    Source: Sentry develop docs, "Trace Propagation".
    """

    def __init__(
        self, outgoing: OutgoingOf | None = None, beside: TextMapPropagator | None = None
    ) -> None:
        self.outgoing = outgoing
        self.beside = beside
        self.allowed_hosts: Sequence[str] | None = None
        """Hosts that get Sentry's headers, with ``*``; ``None`` stands for all."""
        self.continuation = EVERYBODY
        """Whose Sentry traces are continued."""

    @property
    def fields(self) -> set[str]:
        """The header names this propagator writes, those of the propagators beside it included."""
        beside = self.beside.fields if self.beside is not None else set()
        return {SENTRY_TRACE, BAGGAGE, *beside}

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with what the caller said. Raises nothing of its own."""
        original = context if context is not None else get_current()
        before: Context | None = None
        if self.beside is not None:
            before, original = original, self.beside.extract(carrier, original, getter)
        try:
            header = (getter.get(carrier, SENTRY_TRACE) or [""])[0]
            members = getter.get(carrier, BAGGAGE) or []
            # Without a ``sentry-trace`` it was a service without Sentry that wrote them.
            dsc = from_baggage(members, has_plus_for_space=not header)
            return continued(original, before, header, dsc, self.continuation)
        except Exception as error:
            GUARD.caught("sentry.extract", error)
            return original

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the headers for the span of ``context``. Raises nothing of its own."""
        held = _HoldsBaggage(setter)
        if self.beside is not None:
            self.beside.inject(carrier, context, held)
        baggage_is_written = False
        try:
            if (sentry_part := self._sentry_part(context)) is not None:
                sentry_trace, members = sentry_part
                setter.set(carrier, SENTRY_TRACE, sentry_trace)
                if members:
                    theirs = held.baggage or _already_in(carrier)
                    setter.set(carrier, BAGGAGE, _merged(theirs, members))
                    baggage_is_written = True
        except Exception as error:
            GUARD.caught("sentry.inject", error)
        finally:
            if held.baggage and not baggage_is_written:
                setter.set(carrier, BAGGAGE, held.baggage)

    def _sentry_part(self, context: Context | None) -> tuple[str, list[str]] | None:
        span_context = trace.get_current_span(context).get_span_context()
        if not span_context.is_valid:
            return None
        if self.allowed_hosts is not None and not is_allowed(
            target_host(context), self.allowed_hosts
        ):
            return None
        is_sampled: bool | None = None
        dsc: Mapping[str, str] = {}
        outgoing = self.outgoing(context) if self.outgoing is not None else None
        upstream = upstream_of(context, span_context.trace_id)
        if outgoing is not None:
            is_sampled, dsc = outgoing.is_sampled, outgoing.dsc
        elif upstream is not None:  # no span of ours: pass on what came in
            is_sampled, dsc = upstream.is_sampled, upstream.dsc
        elif self.outgoing is None:
            return None
        ids = f"{span_context.trace_id:032x}-{span_context.span_id:016x}"
        return f"{ids}{_FLAGS[is_sampled]}", to_baggage(dsc)


class _HoldsBaggage(Setter[CarrierT]):
    """Sets every header but ``baggage``."""

    def __init__(self, setter: Setter[CarrierT]) -> None:
        self._setter = setter
        self.baggage = ""

    def set(self, carrier: CarrierT, key: str, value: str) -> None:
        if key.lower() == BAGGAGE:
            self.baggage = value
        else:
            self._setter.set(carrier, key, value)


def _already_in(carrier: object) -> str:
    """The ``baggage`` that the application has put into the carrier by itself."""
    value = carrier.get(BAGGAGE) if isinstance(carrier, Mapping) else None
    return value if isinstance(value, str) else ""


def _merged(theirs: str, sentry_members: list[str]) -> str:
    # The application's own members come first and as they are. If W3C's limits would be passed,
    # ours are left out.
    kept = [m for m in theirs.split(",") if m and not m.lstrip().startswith(PREFIX)]
    count, size_bytes = len(kept), len(",".join(kept).encode(errors="replace"))
    for member in sentry_members:
        longer_bytes = size_bytes + len(member) + (1 if kept else 0)
        if count == MAX_MEMBERS or longer_bytes > MAX_BAGGAGE_BYTES:
            break
        if len(member) <= MAX_MEMBER_BYTES:
            kept.append(member)
            count, size_bytes = count + 1, longer_bytes
    return ",".join(kept)
