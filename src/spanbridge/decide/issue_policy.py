"""When is an exception an issue? The table of the documentation, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from spanbridge.conventions.upstream import EXCEPTION_TYPE
from spanbridge.decide.failure import Failure, Verdicts
from spanbridge.decide.failures import Failures, tell_of_the_same
from spanbridge.model.ending import NOT_FAILURES
from spanbridge.model.log import SEVERITY_ERROR

if TYPE_CHECKING:
    from spanbridge.model.failure import CapturedException
    from spanbridge.model.rule import IssueMode
    from spanbridge.model.span import SpanEvent, SpanRecord
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.intake import Logged
    from spanbridge.process.local_trace import LocalTrace

MAX_PENDING: Final = 64
"""Failures under decision per local trace; the oldest is reported when another one comes."""
MAX_HELD: Final = 256
"""Failures under decision that destinations hold in case the process dies."""
HOLD_AFTER_S: Final = 1.0
"""How long a failure is under decision before it is held; most are decided long before."""
TELL_S: Final = 0.5
"""How long a failure that was logged waits to be seen leaving its local root."""


class _Reported(NamedTuple):
    failure: Failure
    trace: Failures
    local: LocalTrace
    is_handled: bool


class IssuePolicy:
    """Watches spans end, and logs, and decides which exceptions are reported.

    ============================================================  =====================
    what happened                                                 verdict
    ============================================================  =====================
    leaves its local root, also if the framework answers 500      issue, not handled
    caught, but the local root ends as ERROR                      issue, handled
    recorded by hand on a span that ends as ERROR                 issue, handled
    reported already, perhaps through another local trace         merged
    a framework's handler turned it into a 5xx                    issue, handled
    the span that caught it ends as OK or UNSET                   recovered
    the span that caught it is open for ``decision_s``            issue, handled
    a log record of level ERROR or above carries it               issue, handled
    a hook saw it end a program, a thread or a task               issue, not handled
    cancellation, disconnection, orderly exit                     no error
    ============================================================  =====================

    Args:
        mode_of: What applies to a failure, and whether it was handled if that is known:
            ``unhandled`` as in the table; ``all`` reports at
            first sight, however the spans end; ``none`` nothing.
        decision_s: How long to wait for the catching span, in seconds.
    """

    def __init__(
        self, mode_of: Callable[[Failure, bool | None], IssueMode], decision_s: float
    ) -> None:
        self._mode_of = mode_of
        self._decision_s = decision_s
        self._traces: dict[LocalTrace, Failures] = {}
        self._verdicts = Verdicts()
        self._reported: list[_Reported] = []
        self._round = 1
        self._held = 0

    @property
    def is_waiting(self) -> bool:
        """Whether something is under decision."""
        return bool(self._traces)

    def event_ids(self) -> dict[str, str]:
        """Event ids of the issues decided since the last :meth:`verdicts`, by failing span."""
        return {one.failure.span_id: one.failure.event_id for one in self._reported}

    def watches(self, local: LocalTrace) -> bool:
        """Whether the end of any span of this trace may decide something."""
        return local in self._traces

    def is_deciding(self, local: LocalTrace) -> bool:
        """Whether a failure of this trace is under decision."""
        trace = self._traces.get(local)
        return trace is not None and bool(trace.pending)

    def observe(
        self, local: LocalTrace, span: SpanRecord, in_flight: InFlight | None, now_s: float
    ) -> None:
        """Note that ``span`` ended, in the order in which spans ended.

        Args:
            local: Its local trace.
            span: The finished span.
            in_flight: The exception that was in flight then, if the span speaks of it.
            now_s: Monotonic time.
        """
        events = [event for event in span.events if event.name == "exception"]
        if not events and in_flight is None and local not in self._traces:
            return
        trace = self._traces.setdefault(local, Failures())
        is_root = int(span.span_id, 16) == local.root_id
        if is_root:
            trace.root = span
        leaving: Failure | None = None
        is_explained = False
        for event in events:
            is_last = event is events[-1] or tell_of_the_same(
                event.attributes, events[-1].attributes
            )
            live = in_flight if is_last else None
            if str(event.attributes.get(EXCEPTION_TYPE)) in NOT_FAILURES:
                self._verdicts.recovered += 1
            elif live is not None and live.is_leaving:
                leaving = self._leave(trace, leaving, span, event, live, now_s)
            else:
                is_explained |= self._recorded_by_hand(trace, local, span, event, live, now_s)
        if in_flight is not None and not events:
            self._handled_by_framework(trace, local, span, in_flight, now_s)
        is_well = span.status != "error" or is_explained or leaving is not None
        if is_root:
            trace.is_root_well = is_well
        if is_well:
            # It ended well, or because of another failure: what it had caught was recovered from.
            for failure in trace.caught_by(span, leaving):
                self._recover(trace, failure)
        else:
            for failure in trace.caught_by(span, leaving):
                if is_root:
                    self._report(trace, local, failure, is_handled=True)
                else:  # its parent decides: an agent that reports failure may still be retried
                    failure.crosses(span)
                    failure.precedes_root = trace.root is None
        if leaving is not None and leaving not in trace.reported:
            if is_root:
                self._report(trace, local, leaving, is_handled=False)
            elif self._mode_of(leaving, None) == "all":
                self._report(trace, local, leaving, is_handled=True)
        self._bound(trace, local)

    def observe_log(self, logged: Logged, now_s: float) -> None:
        """Note that a log record was written, in order with the spans that ended.

        Args:
            logged: The record; only one of level ERROR or above with an exception decides anything.
            now_s: Monotonic time.
        """
        record, in_flight = logged.record, logged.exception
        if record.severity < SEVERITY_ERROR:
            return
        if in_flight is None and EXCEPTION_TYPE not in record.attributes:
            return
        name = _name_of(in_flight.exceptions) if in_flight else record.attributes[EXCEPTION_TYPE]
        if name in NOT_FAILURES:
            self._verdicts.recovered += 1
            return
        local, trace = self._trace_of(logged)
        if in_flight is not None:
            known = trace.of(in_flight)
        else:
            known = trace.find(lambda failure: failure.reads_like(record.attributes))
        if known is None:
            known = Failure.in_log(logged, now_s)
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
        if in_flight is not None:
            self._take(trace, known, in_flight)
        known.is_told(record, now_s + TELL_S)
        self._bound(trace, local)

    def _trace_of(self, logged: Logged) -> tuple[LocalTrace, Failures]:
        """The trace a log record tells something of.

        Its own; but a server logs what failed in a request once the request is over, outside of
        all spans, and the request's trace tells it better.
        """
        if logged.span is None and logged.exception is not None:
            sighting = logged.exception.sighting
            for local, trace in self._traces.items():
                if any(failure.is_seen_as(sighting) for failure in trace.pending):
                    return local, trace
        return logged.local, self._traces.setdefault(logged.local, Failures())

    def verdicts(self, now_s: float, *, is_flush: bool = False) -> Verdicts:
        """What was decided since the last call. Call it after each fully drained batch.

        Args:
            now_s: Monotonic time.
            is_flush: Report at once what a log told of.
        """
        self._round += 1
        for local, trace in list(self._traces.items()):
            for failure in list(trace.pending):
                if failure.due_s is not None:
                    # Outside of spans nothing tells that it is over but the time.
                    is_over = trace.root is not None and self._is_out_of_reach(local, failure)
                    if is_flush or is_over or now_s >= failure.due_s:
                        self._report(trace, local, failure, is_handled=failure.says_handled)
                elif self._is_out_of_reach(local, failure):
                    if failure.is_orphan or trace.root is None or not failure.precedes_root:
                        self._report(trace, local, failure, is_handled=False)
                    elif trace.is_root_well:
                        self._recover(trace, failure)
                    else:
                        self._report(trace, local, failure, is_handled=True)
                elif now_s - failure.noticed_s >= self._decision_s:
                    self._report(trace, local, failure, is_handled=True)
                elif now_s - failure.noticed_s >= HOLD_AFTER_S:
                    self._hold(trace, local, failure)
            if not trace.pending and not local.open:
                del self._traces[local]
        # Only now, so that a root that ended in the same round is known.
        self._verdicts.reported = [
            one.trace.decided(one.failure, one.local, is_handled=one.is_handled)
            for one in self._reported
        ]
        self._reported = []
        verdicts, self._verdicts = self._verdicts, Verdicts()
        return verdicts

    def decide_all(self) -> None:
        """Let the next verdicts report what is undecided: the process is about to end."""
        for local, trace in self._traces.items():
            for failure in list(trace.pending):
                self._report(trace, local, failure, is_handled=failure.says_handled)

    def _bound(self, trace: Failures, local: LocalTrace) -> None:
        if len(trace.pending) > MAX_PENDING:
            oldest = trace.pending[0]
            self._report(trace, local, oldest, is_handled=oldest.says_handled)

    def _leave(
        self,
        trace: Failures,
        leaving: Failure | None,
        span: SpanRecord,
        event: SpanEvent,
        in_flight: InFlight,
        now_s: float,
    ) -> Failure:
        known = leaving or trace.of(in_flight)
        # A log may have told of it in words only.
        known = known or trace.find(
            lambda failure: not failure.identities and failure.reads_like(event.attributes)
        )
        if known is None:
            known = Failure.in_span(span, event, in_flight.sighting, now_s)
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
            if known.span is None:
                known.saw(span, event)
            elif known is not leaving:
                known.crosses(span)
        self._take(trace, known, in_flight)
        known.is_orphan = in_flight.has_ended_parent
        known.precedes_root = trace.root is None
        return known

    def _recorded_by_hand(
        self,
        trace: Failures,
        local: LocalTrace,
        span: SpanRecord,
        event: SpanEvent,
        in_flight: InFlight | None,
        now_s: float,
    ) -> bool:
        """Take an exception that was not leaving ``span``; true if it explains its status."""
        sighting = in_flight.sighting if in_flight else None
        known = trace.of(in_flight) if in_flight else None
        known = known or trace.find(
            lambda f: f.reads_like(event.attributes) and span.span_id in (f.catcher, f.span_id)
        )
        if known is None:
            known = Failure.in_span(span, event, sighting, now_s)
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
            if known.span is None:
                known.saw(span, event)
        if in_flight is not None:
            self._take(trace, known, in_flight)
        is_error = span.status == "error"
        known.catcher = span.parent_span_id if is_error else span.span_id
        known.is_described(event.attributes)
        if known in trace.pending and (is_error or self._mode_of(known, True) == "all"):
            self._report(trace, local, known, is_handled=known.says_handled)
        return is_error

    def _handled_by_framework(
        self,
        trace: Failures,
        local: LocalTrace,
        span: SpanRecord,
        in_flight: InFlight,
        now_s: float,
    ) -> None:
        if _name_of(in_flight.exceptions) in NOT_FAILURES:
            self._verdicts.recovered += 1
            return
        known = trace.of(in_flight)
        if known is None:
            known = Failure.in_span(span, None, in_flight.sighting, now_s)
            trace.pending.append(known)
        elif known.span is None:
            known.saw(span, None)
        if known in trace.pending:
            self._take(trace, known, in_flight)
            self._report(trace, local, known, is_handled=not in_flight.is_leaving)

    def _take(self, trace: Failures, known: Failure, in_flight: InFlight) -> None:
        for inner in trace.take(known, in_flight):
            self._let_go(inner)
            if known in trace.reported:
                self._verdicts.merged += inner.sightings
            else:
                known.sightings += inner.sightings

    def _seen_again(self, trace: Failures, failure: Failure) -> None:
        if failure in trace.reported:
            self._verdicts.merged += 1
        else:
            failure.sightings += 1

    def _is_out_of_reach(self, local: LocalTrace, failure: Failure) -> bool:
        """Whether no span is left whose end could tell more of the failure.

        A catcher that nobody saw (of another provider, or dropped by its sampler) is neither open
        nor known to have ended: the local root answers for it.
        """
        if failure.is_orphan:
            return True
        if failure.catcher is not None and int(failure.catcher, 16) in local.open:
            return False
        if local.root_id in local.open:
            return False
        if failure.round == 0:
            # An end may still be queued; the next drained batch will show it.
            failure.round = self._round
            return False
        return failure.round < self._round

    def _report(
        self, trace: Failures, local: LocalTrace, failure: Failure, *, is_handled: bool
    ) -> None:
        trace.pending.remove(failure)
        trace.reported = [*trace.reported[-MAX_PENDING:], failure]
        if self._mode_of(failure, is_handled) == "none":
            self._let_go(failure)
            self._verdicts.recovered += failure.sightings
            return
        if failure.is_reported_elsewhere:
            self._let_go(failure)
            self._verdicts.merged += failure.sightings
            return
        for sighting in failure.identities:
            sighting.is_reported = True
        self._held -= failure.is_held
        self._verdicts.merged += failure.sightings - 1
        self._reported.append(_Reported(failure, trace, local, is_handled))

    def _hold(self, trace: Failures, local: LocalTrace, failure: Failure) -> None:
        if failure.is_held or self._held >= MAX_HELD or self._mode_of(failure, None) == "none":
            return
        failure.is_held = True
        self._held += 1
        self._verdicts.held.append(trace.decided(failure, local, is_handled=True))

    def _let_go(self, failure: Failure) -> None:
        if failure.is_held:
            self._held -= 1
            self._verdicts.let_go.append(failure.event_id)

    def _recover(self, trace: Failures, failure: Failure) -> None:
        if failure.due_s is not None:  # whoever caught it logged it as an error
            failure.catcher = None
            return
        trace.pending.remove(failure)
        self._let_go(failure)
        self._verdicts.recovered += failure.sightings


def _name_of(captured: tuple[CapturedException, ...]) -> str:
    """The qualified name of the outermost exception, as ``exception.type`` has it."""
    if not captured:
        return ""
    outermost = captured[0]
    return f"{outermost.module}.{outermost.type}" if outermost.module else outermost.type
