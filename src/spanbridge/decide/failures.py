"""The failures of one local trace, and which of them an exception is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.decide.failure import DecidedFailure, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanbridge.model.span import Attributes, SpanRecord
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.local_trace import LocalTrace


class Failures:
    """What failed in one local trace: under decision, and reported."""

    __slots__ = ("is_root_well", "pending", "reported", "root")

    def __init__(self) -> None:
        self.pending: list[Failure] = []
        self.reported: list[Failure] = []
        self.root: SpanRecord | None = None
        self.is_root_well = False
        """Whether the root ended well, or because of another failure than what it caught."""

    def find(self, matches: Callable[[Failure], bool]) -> Failure | None:
        """The first failure that matches, rather one under decision than a reported one."""
        return next(filter(matches, (*self.pending, *self.reported)), None)

    def of(self, in_flight: InFlight) -> Failure | None:
        """The failure that an exception belongs to.

        By its own identity, which causes and members share, or because it was raised while
        another one was handled about which nothing is decided yet.
        """
        known = self.find(lambda failure: failure.is_seen_as(in_flight.sighting))
        if known is not None:
            return known
        inner = self._inside(in_flight)
        return inner[0] if inner else None

    def take(self, known: Failure, in_flight: InFlight) -> list[Failure]:
        """Let a failure be what is in flight, and everything inside that is undecided.

        Returns:
            What it took in.
        """
        known.becomes(in_flight.sighting)
        known.captured = in_flight.exceptions
        known.own_attributes = in_flight.attributes or known.own_attributes
        taken_in = [inner for inner in self._inside(in_flight) if inner is not known]
        for inner in taken_in:
            self.pending.remove(inner)
            known.takes_in(inner)
        return taken_in

    def caught_by(self, span: SpanRecord, leaving: Failure | None) -> list[Failure]:
        """The failures whose fate the end of a span tells, but for the one that is leaving it."""
        return [f for f in self.pending if f.catcher == span.span_id and f is not leaving]

    def decided(self, failure: Failure, local: LocalTrace, *, is_handled: bool) -> DecidedFailure:
        """A failure in the form in which it is reported."""
        others = [other for other in self.reported if other is not failure]
        return DecidedFailure(
            local=local,
            event_id=failure.event_id,
            time_ns=failure.time_ns,
            trace_id=failure.trace_id,
            span_id=failure.span_id,
            span=failure.span,
            live_span=failure.live_span,
            root=self.root,
            event=failure.event,
            log=failure.log,
            captured=failure.captured,
            is_handled=is_handled,
            mechanism=failure.mechanism,
            own_attributes=failure.own_attributes,
            path=tuple(failure.path),
            sightings=tuple(failure.identities),
            reported_spans=frozenset(span.span_id for other in others for span in other.path),
        )

    def _inside(self, in_flight: InFlight) -> list[Failure]:
        """The undecided failures that are causes, contexts or members of an exception."""
        return [f for f in self.pending if any(map(f.is_seen_as, in_flight.inner))]


def tell_of_the_same(one: Attributes, other: Attributes) -> bool:
    """Whether two ``exception`` events of one span record the same, by hand and when it left.

    The message of one may be the caller's own, but stack traces end with the raising line.
    """
    if one.get("exception.type") != other.get("exception.type"):
        return False
    if one.get("exception.message") == other.get("exception.message"):
        return True
    raised = _raising_line(one.get("exception.stacktrace"))
    return raised != "" and raised == _raising_line(other.get("exception.stacktrace"))


def _raising_line(stacktrace: object) -> str:
    """The innermost frame of a Python stack trace and what follows it; empty if there is none."""
    if not isinstance(stacktrace, str):
        return ""
    start = stacktrace.rfind('\n  File "')
    return stacktrace[start:] if start >= 0 else ""
