"""When is an exception an issue? The table of the documentation, row by row."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from spanbridge.conventions.upstream import EXCEPTION_TYPE
from spanbridge.decide.failure import Failure
from spanbridge.decide.failures import Failures, Undecided
from spanbridge.decide.identity import tell_of_the_same
from spanbridge.decide.rulings import ModeOf, Rulings
from spanbridge.model.ending import NOT_FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanbridge.decide.failure import Verdicts
    from spanbridge.model.failure import CapturedException
    from spanbridge.model.span import Attributes, SpanEvent, SpanRecord
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.intake import Logged
    from spanbridge.process.local_trace import LocalTrace

HOLD_AFTER_S: Final = 1.0
"""How long a failure is under decision before it is held; most are decided long before."""
TELL_S: Final = 0.5
"""How long a failure that was logged waits to be seen leaving its local root."""


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
        mode_of: What applies to a failure, given its local trace, the local root if that ended,
            and whether it was handled if that is known: ``unhandled`` as in the table; ``all``
            reports at first sight, however the spans end; ``none`` nothing.
        decision_s: How long to wait for the catching span, in seconds.
    """

    def __init__(
        self,
        mode_of: ModeOf,
        decision_s: float,
    ) -> None:
        self._rulings = Rulings(mode_of)
        self._decision_s = decision_s
        self._undecided = Undecided()
        self._traces: dict[LocalTrace, Failures] = {}
        self._round = 1

    def go_on(self, mode_of: ModeOf, decision_s: float) -> None:
        """Decide from here on as other settings say; what is under decision stays so."""
        self._rulings.go_on(mode_of)
        self._decision_s = decision_s
        for trace in self._traces.values():
            for failure in trace.undecided():
                failure.is_held = False

    @property
    def is_waiting(self) -> bool:
        """Whether something is under decision."""
        return self._undecided.count > 0

    def event_ids(self) -> dict[str, str]:
        """Event ids of the issues decided since the last :meth:`verdicts`, by failing span."""
        return self._rulings.event_ids()

    def watches(self, local: LocalTrace) -> bool:
        """Whether the end of any span of this trace may decide something."""
        return local in self._traces

    def is_deciding(self, local: LocalTrace, span_ids: Collection[str]) -> bool:
        """Whether a failure of this trace is under decision that one of these spans saw."""
        trace = self._traces.get(local)
        return trace is not None and trace.is_deciding_in(span_ids)

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
        trace = self._trace(local)
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
            if _is_no_failure(live, event.attributes):
                self._rulings.is_no_failure()
            elif live is not None and live.is_leaving:
                leaving = self._leave(trace, leaving, span, event, live, now_s)
            else:
                is_explained |= self._recorded_by_hand(trace, span, event, live, now_s)
        if in_flight is not None and not events:
            self._handled_by_framework(trace, span, in_flight, now_s)
        is_well = span.status != "error" or is_explained or leaving is not None
        if is_root:
            trace.is_root_well = is_well
        if is_well:
            # It ended well, or because of another failure: what it had caught was recovered from.
            for failure in trace.caught_by(span, leaving):
                self._rulings.recover(trace, failure)
        else:
            for failure in trace.caught_by(span, leaving):
                if is_root:
                    self._rulings.report(trace, failure, is_handled=True)
                else:  # its parent decides: an agent that reports failure may still be retried
                    trace.crosses(failure, span)
                    failure.precedes_root = trace.root is None
        if leaving is not None and leaving not in trace.reported:
            if is_root:
                self._rulings.report(trace, leaving, is_handled=False)
            elif self._rulings.mode(trace, leaving, None) == "all":
                self._rulings.report(trace, leaving, is_handled=True)
        self._rulings.bound(trace)

    def observe_log(self, logged: Logged, now_s: float) -> None:
        """Note that a log record was written, in order with the spans that ended.

        Args:
            logged: The record; only one of level ERROR or above with an exception decides anything.
            now_s: Monotonic time.
        """
        record, in_flight = logged.record, logged.exception
        if not logged.is_error:
            return
        if _is_no_failure(in_flight, record.attributes):
            self._rulings.is_no_failure()
            return
        trace = self._trace_of(logged)
        if in_flight is not None:
            known = trace.of(in_flight)
        else:
            known = trace.find_pending(lambda f: f.reads_like(record.attributes, {record.span_id}))
        if known is None:
            known = Failure.in_log(logged, now_s)
            trace.add(known)
        else:
            self._rulings.seen_again(trace, known)
        if in_flight is not None:
            self._rulings.take(trace, known, in_flight)
        known.is_told(record, now_s + TELL_S)
        self._rulings.bound(trace)

    def _trace(self, local: LocalTrace) -> Failures:
        trace = self._traces.get(local)
        if trace is None:
            trace = self._traces[local] = Failures(local, self._undecided)
        return trace

    def _trace_of(self, logged: Logged) -> Failures:
        """The trace a log record tells something of.

        Its own; but a server logs what failed in a request once the request is over, outside of
        all spans, and the request's trace tells it better.
        """
        if logged.span is None and logged.exception is not None:
            trace = self._undecided.by_sighting.get(id(logged.exception.sighting))
            if trace is not None:
                return trace
        return self._trace(logged.local)

    def verdicts(self, now_s: float, *, is_flush: bool = False) -> Verdicts:
        """What was decided since the last call. Call it after each fully drained batch.

        Args:
            now_s: Monotonic time.
            is_flush: Report at once what a log told of.
        """
        self._round += 1
        for local, trace in list(self._traces.items()):
            for failure in self._ripe(trace, now_s):
                self._decide(trace, failure, now_s, is_flush=is_flush)
            if not trace.is_deciding and not local.open:
                del self._traces[local]
        return self._rulings.collect()

    def ruled(self) -> Verdicts:
        """What was decided since the last verdicts, without deciding anything now."""
        return self._rulings.collect()

    def decide_all(self) -> None:
        """Let the next verdicts report what is undecided: the process is about to end."""
        for trace in self._traces.values():
            for failure in trace.undecided():
                self._rulings.report(trace, failure, is_handled=failure.says_handled)

    def _ripe(self, trace: Failures, now_s: float) -> Iterator[Failure]:
        """The failures that time or what ended meanwhile may decide.

        While the root is open, nothing but time decides the light ones, the oldest first.
        """
        if trace.local.root_id not in trace.local.open:
            yield from trace.undecided()
            return
        for failure in list(trace.light):
            if now_s - failure.noticed_s < self._decision_s:
                break
            yield failure
        yield from list(trace.pending)

    def _decide(self, trace: Failures, failure: Failure, now_s: float, *, is_flush: bool) -> None:
        if failure.due_s is not None:
            # Outside of spans nothing tells that it is over but the time.
            is_over = trace.root is not None and self._is_out_of_reach(trace.local, failure)
            if is_flush or is_over or now_s >= failure.due_s:
                self._rulings.report(trace, failure, is_handled=failure.says_handled)
        elif self._is_out_of_reach(trace.local, failure):
            if failure.is_orphan or trace.root is None or not failure.precedes_root:
                self._rulings.report(trace, failure, is_handled=False)
            elif trace.is_root_well:
                self._rulings.recover(trace, failure)
            else:
                self._rulings.report(trace, failure, is_handled=True)
        elif now_s - failure.noticed_s >= self._decision_s:
            self._rulings.report(trace, failure, is_handled=True)
        elif now_s - failure.noticed_s >= HOLD_AFTER_S and failure in trace.pending:
            self._rulings.hold(trace, failure)

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
        known = known or trace.find_pending(
            lambda failure: (
                not failure.identities and failure.reads_like(event.attributes, {span.span_id})
            )
        )
        if known is None:
            known = Failure.in_span(span, event, in_flight.sighting, now_s)
            trace.add(known)
        else:
            self._rulings.seen_again(trace, known)
            if known.span is None:
                known.saw(span, event)
            elif known is not leaving:
                known.crosses(span)
        self._rulings.take(trace, known, in_flight)
        known.is_orphan = in_flight.has_ended_parent
        known.precedes_root = trace.root is None
        return known

    def _recorded_by_hand(
        self,
        trace: Failures,
        span: SpanRecord,
        event: SpanEvent,
        in_flight: InFlight | None,
        now_s: float,
    ) -> bool:
        """Take an exception that was not leaving ``span``; true if it explains its status."""
        sighting = in_flight.sighting if in_flight else None
        known = trace.of(in_flight) if in_flight else None
        known = known or trace.find(
            lambda f: (
                span.span_id in (f.catcher, f.span_id)
                and f.reads_like(event.attributes, {f.span_id})
            )
        )
        if known is None:
            known = Failure.in_span(span, event, sighting, now_s)
            trace.add(known)
        else:
            self._rulings.seen_again(trace, known)
            if known.span is None:
                known.saw(span, event)
        if in_flight is not None:
            self._rulings.take(trace, known, in_flight)
        is_error = span.status == "error"
        known.catcher = span.parent_span_id if is_error else span.span_id
        known.is_described(event.attributes)
        if trace.is_undecided(known) and (
            is_error or self._rulings.mode(trace, known, True) == "all"
        ):
            self._rulings.report(trace, known, is_handled=known.says_handled)
        return is_error

    def _handled_by_framework(
        self,
        trace: Failures,
        span: SpanRecord,
        in_flight: InFlight,
        now_s: float,
    ) -> None:
        if _is_no_failure(in_flight, {}):
            self._rulings.is_no_failure()
            return
        known = trace.of(in_flight)
        if known is None:
            known = Failure.in_span(span, None, in_flight.sighting, now_s)
            trace.add(known)
        elif known.span is None:
            known.saw(span, None)
        if trace.is_undecided(known):
            trace.seen(known)
            self._rulings.take(trace, known, in_flight)
            self._rulings.report(trace, known, is_handled=not in_flight.is_leaving)

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


def _is_no_failure(in_flight: InFlight | None, recorded: Attributes) -> bool:
    """Whether an exception is an outcome and no error, or a group of nothing else."""
    if in_flight is None or not in_flight.exceptions:
        return str(recorded.get(EXCEPTION_TYPE)) in NOT_FAILURES
    outermost = in_flight.exceptions[0]
    if not outermost.is_group:
        return _name_of(outermost) in NOT_FAILURES
    members = [
        exception
        for exception in in_flight.exceptions
        if exception.relation == "exceptions" and not exception.is_group
    ]
    is_complete = not any(exception.omitted_exceptions for exception in in_flight.exceptions)
    return is_complete and all(_name_of(member) in NOT_FAILURES for member in members)


def _name_of(exception: CapturedException) -> str:
    """The qualified name of an exception, as ``exception.type`` has it."""
    return f"{exception.module}.{exception.type}" if exception.module else exception.type
