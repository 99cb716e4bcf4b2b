"""The failures of one local trace, and which of them an exception is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.decide.failure import DecidedFailure, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from spanbridge.model.span import SpanRecord
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.process.sighting import Sighting


class Undecided:
    """What is under decision in all local traces together."""

    __slots__ = ("by_sighting", "count")

    def __init__(self) -> None:
        self.count = 0
        """Failures under decision."""
        self.by_sighting: dict[int, Failures] = {}
        """By the id of a sighting object, which a failure of that trace keeps alive."""


class Failures:
    """What failed in one local trace: under decision, and reported.

    Args:
        local: The local trace.
        undecided: Where what is under decision is found whatever its local trace is.
    """

    __slots__ = (
        "_by_sighting", "_light_by_catcher", "_undecided", "is_root_well", "light", "local",
        "pending", "reported", "root",
    )  # fmt: skip

    def __init__(self, local: LocalTrace, undecided: Undecided) -> None:
        self.local = local
        self.pending: dict[Failure, None] = {}
        """Under decision, with all that is known of them, oldest first."""
        self.light: dict[Failure, None] = {}
        """Under decision too, without what is heavy, oldest first."""
        self.reported: list[Failure] = []
        self.root: SpanRecord | None = None
        self.is_root_well = False
        """Whether the root ended well, or because of another failure than what it caught."""
        self._undecided = undecided
        self._by_sighting: dict[int, Failure] = {}
        self._light_by_catcher: dict[str | None, dict[Failure, None]] = {}

    @property
    def is_deciding(self) -> bool:
        """Whether a failure is under decision."""
        return bool(self.pending or self.light)

    def undecided(self) -> Iterator[Failure]:
        """The failures under decision; they may be removed meanwhile."""
        yield from list(self.light)
        yield from list(self.pending)

    def is_undecided(self, failure: Failure) -> bool:
        """Whether this failure is under decision."""
        return failure in self.pending or failure in self.light

    def is_deciding_in(self, span_ids: Collection[str]) -> bool:
        """Whether a failure is under decision that one of these spans saw."""
        return any(
            failure.span_id in span_ids or any(span.span_id in span_ids for span in failure.path)
            for failure in self.pending
        )

    def add(self, failure: Failure) -> None:
        """Put a failure under decision."""
        self.pending[failure] = None
        self._undecided.count += 1
        for sighting in failure.identities:
            self._index(failure, sighting)

    def remove(self, failure: Failure) -> None:
        """Take a failure that is under decision out of it."""
        if failure in self.light:
            self._remove_light(failure)
        else:
            del self.pending[failure]
        self._undecided.count -= 1
        for sighting in failure.identities:
            if self._by_sighting.get(id(sighting)) is failure:
                del self._by_sighting[id(sighting)]
                if self._undecided.by_sighting.get(id(sighting)) is self:
                    del self._undecided.by_sighting[id(sighting)]

    def lighten(self, failure: Failure) -> None:
        """Go on with a failure without what is heavy."""
        del self.pending[failure]
        failure.sheds_weight()
        self.light[failure] = None
        self._light_by_catcher.setdefault(failure.catcher, {})[failure] = None

    def seen(self, failure: Failure) -> None:
        """Note that a failure is seen again: it is worth its weight once more."""
        if failure in self.light:
            self._remove_light(failure)
            self.pending[failure] = None

    def crosses(self, failure: Failure, span: SpanRecord) -> None:
        """Note that a failure that was caught in ``span`` made that fail."""
        if failure not in self.light:
            failure.crosses(span)
            return
        self._remove_light(failure)
        failure.crosses(span)
        self.light[failure] = None
        self._light_by_catcher.setdefault(failure.catcher, {})[failure] = None

    def find(self, matches: Callable[[Failure], bool]) -> Failure | None:
        """The first failure that matches, rather one under decision than a reported one."""
        return next(filter(matches, (*self.pending, *self.reported)), None)

    def find_pending(self, matches: Callable[[Failure], bool]) -> Failure | None:
        """The first failure under decision that matches and has all its weight."""
        return next(filter(matches, self.pending), None)

    def of(self, in_flight: InFlight) -> Failure | None:
        """The failure that an exception belongs to.

        By its own identity, which causes and members share, or because it was raised while
        another one was handled about which nothing is decided yet.
        """
        sighting = in_flight.sighting
        known = self._by_sighting.get(id(sighting))
        if known is not None:
            return known
        known = next((one for one in self.reported if one.is_seen_as(sighting)), None)
        if known is not None:
            return known
        inner = self._inside(in_flight)
        return inner[0] if inner else None

    def take(self, known: Failure, in_flight: InFlight) -> list[Failure]:
        """Let a failure be what is in flight, and everything inside that is undecided.

        Returns:
            What it took in.
        """
        self._becomes(known, in_flight.sighting)
        known.captured = in_flight.exceptions
        known.own_attributes = in_flight.attributes or known.own_attributes
        taken_in = [inner for inner in self._inside(in_flight) if inner is not known]
        for inner in taken_in:
            self.remove(inner)
            for sighting in inner.identities:
                self._becomes(known, sighting)
            known.takes_in(inner)
        return taken_in

    def caught_by(self, span: SpanRecord, leaving: Failure | None) -> list[Failure]:
        """The failures whose fate the end of a span tells, but for the one that is leaving it."""
        light = self._light_by_catcher.get(span.span_id, ())
        full = (f for f in self.pending if f.catcher == span.span_id and f is not leaving)
        return [*light, *full]

    def decided(self, failure: Failure, *, is_handled: bool) -> DecidedFailure:
        """A failure in the form in which it is reported."""
        others = [other for other in self.reported if other is not failure]
        return DecidedFailure(
            local=self.local,
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
        found = (self._by_sighting.get(id(sighting)) for sighting in in_flight.inner)
        return list(dict.fromkeys(failure for failure in found if failure is not None))

    def _becomes(self, failure: Failure, sighting: Sighting) -> None:
        failure.becomes(sighting)
        if self.is_undecided(failure):
            self._index(failure, sighting)

    def _index(self, failure: Failure, sighting: Sighting) -> None:
        self._by_sighting[id(sighting)] = failure
        self._undecided.by_sighting[id(sighting)] = self

    def _remove_light(self, failure: Failure) -> None:
        del self.light[failure]
        caught = self._light_by_catcher[failure.catcher]
        del caught[failure]
        if not caught:
            del self._light_by_catcher[failure.catcher]
