"""What is ruled on failures, and what becomes of it for destinations and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.decide.failure import Failure, Verdicts
from spanbridge.decide.failures import Failures
from spanbridge.model.rule import IssueMode
from spanbridge.model.span import SpanRecord

if TYPE_CHECKING:
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.local_trace import LocalTrace

MAX_PENDING: Final = 64
"""Failures under decision per local trace with all that is known of them."""
MAX_LIGHT: Final = 4096
"""Older ones that are decided too, but without frames; the oldest is given up for another one."""
MAX_HELD: Final = 256
"""Failures under decision that destinations hold in case the process dies."""

ModeOf: TypeAlias = "Callable[[Failure, LocalTrace, SpanRecord | None, bool | None], IssueMode]"
"""What applies to a failure, given its local trace, the local root if that ended, and whether it
was handled if that is known."""


class _Reported(NamedTuple):
    failure: Failure
    trace: Failures
    is_handled: bool


class Rulings:
    """Carries out what :class:`~spanbridge.decide.issue_policy.IssuePolicy` decides.

    Args:
        mode_of: What applies to a failure.
    """

    def __init__(self, mode_of: ModeOf) -> None:
        self._mode_of = mode_of
        self._verdicts = Verdicts()
        self._reported: list[_Reported] = []
        self._held = 0

    def go_on(self, mode_of: ModeOf) -> None:
        """Ask somebody else what applies, for destinations that hold nothing yet."""
        self._mode_of = mode_of
        self._held = 0

    def event_ids(self) -> dict[str, str]:
        """Event ids of the issues decided since the last :meth:`collect`, by failing span."""
        return {one.failure.span_id: one.failure.event_id for one in self._reported}

    def collect(self) -> Verdicts:
        """What was ruled since the last call."""
        # Only now, so that a root that ended in the same round is known.
        self._verdicts.reported = [
            one.trace.decided(one.failure, is_handled=one.is_handled) for one in self._reported
        ]
        self._reported = []
        verdicts, self._verdicts = self._verdicts, Verdicts()
        return verdicts

    def is_no_failure(self) -> None:
        """Note that what was seen is a cancellation or an orderly exit."""
        self._verdicts.recovered += 1

    def mode(self, trace: Failures, failure: Failure, is_handled: bool | None) -> IssueMode:
        """What applies to a failure."""
        return self._mode_of(failure, trace.local, trace.root, is_handled)

    def take(self, trace: Failures, known: Failure, in_flight: InFlight) -> None:
        """Let a failure be what is in flight, and all that is inside."""
        for inner in trace.take(known, in_flight):
            self._let_go(inner)
            if known in trace.reported:
                self._verdicts.merged += inner.sightings
            else:
                known.sightings += inner.sightings

    def seen_again(self, trace: Failures, failure: Failure) -> None:
        """Note a further sighting of a failure."""
        trace.seen(failure)
        if failure in trace.reported:
            self._verdicts.merged += 1
        else:
            failure.sightings += 1

    def report(self, trace: Failures, failure: Failure, *, is_handled: bool) -> None:
        """Make a failure an issue, unless it is one already or none is wanted."""
        trace.remove(failure)
        trace.reported = [*trace.reported[-MAX_PENDING:], failure]
        if failure.is_reported_elsewhere:
            self._let_go(failure)
            self._verdicts.merged += failure.sightings
            return
        is_dismissed = (
            failure.is_told_of_as_dismissed or self.mode(trace, failure, is_handled) == "none"
        )
        failure.is_decided(is_dismissed=is_dismissed)
        if is_dismissed:
            self._let_go(failure)
            self._verdicts.recovered += failure.sightings
            return
        self._held -= failure.is_held
        self._verdicts.merged += failure.sightings - 1
        self._reported.append(_Reported(failure, trace, is_handled))

    def hold(self, trace: Failures, failure: Failure) -> None:
        """Let destinations hold a failure in case the process dies."""
        if failure.is_held or self._held >= MAX_HELD or self.mode(trace, failure, None) == "none":
            return
        failure.is_held = True
        self._held += 1
        self._verdicts.held.append(trace.decided(failure, is_handled=True))

    def _let_go(self, failure: Failure) -> None:
        if failure.is_held:
            self._held -= 1
            self._verdicts.let_go.append(failure.event_id)

    def recover(self, trace: Failures, failure: Failure) -> None:
        """Note that a failure was recovered from."""
        if failure.due_s is not None:  # whoever caught it logged it as an error
            failure.catcher = None
            return
        trace.remove(failure)
        self._let_go(failure)
        self._verdicts.recovered += failure.sightings

    def bound(self, trace: Failures) -> None:
        """Keep a trace's failures within bounds.

        The oldest lose their weight and are decided all the same; where even these are too many,
        the oldest is given up and counted.
        """
        while len(trace.pending) > MAX_PENDING:
            oldest = next(iter(trace.pending))
            if oldest.due_s is not None:  # an issue in any case
                self.report(trace, oldest, is_handled=oldest.says_handled)
            elif oldest.is_orphan:
                self.report(trace, oldest, is_handled=False)
            else:
                trace.lighten(oldest)
        while len(trace.light) > MAX_LIGHT:
            oldest = next(iter(trace.light))
            trace.remove(oldest)
            self._let_go(oldest)
            self._verdicts.given_up += oldest.sightings
