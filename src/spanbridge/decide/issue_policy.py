"""When is an exception an issue? The table of the documentation, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from spanbridge.decide.failure import DecidedFailure, Failure, Verdicts
from spanbridge.model.failure import Breadcrumb

if TYPE_CHECKING:
    from spanbridge.model.span import SpanEvent, SpanRecord
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.local_trace import LocalTrace

IssueMode: TypeAlias = Literal["unhandled", "all", "none"]

NOT_FAILURES: Final = frozenset({
    "asyncio.exceptions.CancelledError", "concurrent.futures._base.CancelledError",
    "asyncio.CancelledError", "CancelledError", "GeneratorExit", "StopIteration",
    "StopAsyncIteration", "KeyboardInterrupt", "SystemExit", "trio.Cancelled",
    "starlette.requests.ClientDisconnect", "anyio.ClosedResourceError",
    "anyio.EndOfStream", "anyio.BrokenResourceError",
})  # fmt: skip
"""Cancellation, disconnection and orderly exits are outcomes, not errors."""

MAX_PENDING: Final = 64
"""Failures under decision per local trace; the oldest is reported when another one comes."""
MAX_BREADCRUMBS: Final = 50


class _Trace:
    """The failures of one local trace."""

    __slots__ = ("breadcrumbs", "pending", "reported", "root")

    def __init__(self) -> None:
        self.pending: list[Failure] = []
        self.reported: list[Failure] = []
        self.breadcrumbs: list[Breadcrumb] = []
        self.root: SpanRecord | None = None


class IssuePolicy:
    """Watches spans end and decides which exceptions are reported.

    ============================================================  =====================
    what happened                                                 verdict
    ============================================================  =====================
    leaves its local root, also if the framework answers 500      issue, not handled
    caught, but the local root ends as ERROR                      issue, handled
    recorded by hand on a span that ends as ERROR                 issue, handled
    a framework's handler turned it into a 5xx                    issue, handled
    the span that caught it ends as OK or UNSET                   recovered
    the span that caught it is open for ``decision_s``            issue, handled
    cancellation, disconnection, orderly exit                     no error
    ============================================================  =====================

    Args:
        mode: ``unhandled`` as in the table, ``all`` reports at first sight, ``none`` nothing.
        decision_s: How long to wait for the catching span, in seconds.
    """

    def __init__(self, mode: IssueMode, decision_s: float) -> None:
        self._mode = mode
        self._decision_s = decision_s
        self._traces: dict[LocalTrace, _Trace] = {}
        self._verdicts = Verdicts([])
        self._round = 1

    @property
    def held(self) -> int:
        """Failures under decision."""
        return sum(len(trace.pending) for trace in self._traces.values())

    def watches(self, local: LocalTrace) -> bool:
        """Whether the end of any span of this trace may decide something."""
        return local in self._traces

    def observe(
        self, local: LocalTrace, span: SpanRecord, in_flight: InFlight | None, now_s: float
    ) -> None:
        """Note that ``span`` ended, in the order in which spans ended.

        Args:
            local: Its local trace.
            span: The finished span.
            in_flight: The exception that was leaving it.
            now_s: Monotonic time.
        """
        events = [event for event in span.events if event.name == "exception"]
        if not events and in_flight is None and local not in self._traces:
            return
        trace = self._traces.setdefault(local, _Trace())
        is_root = int(span.span_id, 16) == local.root_id
        if is_root:
            trace.root = span
        leaving: Failure | None = None
        is_explained = False
        for event in events:
            if str(event.attributes.get("exception.type")) in NOT_FAILURES:
                self._verdicts.recovered += 1
            elif in_flight is not None and _tells_of_the_same(event, events[-1]):
                leaving = self._leave(trace, leaving, span, event, in_flight, now_s)
            else:
                is_explained |= self._recorded_by_hand(trace, local, span, event, now_s)
        if in_flight is not None and not events:
            self._handled_by_framework(trace, local, span, in_flight, now_s)
        if span.status != "error" or is_explained or leaving is not None:
            # It ended well, or because of another failure: what it had caught was recovered from.
            for failure in self._caught_by(trace, span, leaving):
                self._recover(trace, failure)
        else:
            for failure in self._caught_by(trace, span, leaving):
                if is_root:
                    self._report(trace, local, failure, is_handled=True)
                else:  # its parent decides: an agent that reports failure may still be retried
                    failure.crosses(span)
        if leaving is not None and leaving not in trace.reported:
            if is_root:
                self._report(trace, local, leaving, is_handled=False)
            elif self._mode == "all":
                self._report(trace, local, leaving, is_handled=True)
        if len(trace.pending) > MAX_PENDING:
            self._report(trace, local, trace.pending[0], is_handled=True)

    def verdicts(self, now_s: float) -> Verdicts:
        """What was decided since the last call. Call it after each fully drained batch."""
        self._round += 1
        for local, trace in list(self._traces.items()):
            for failure in list(trace.pending):
                if self._left_a_detached_task(local, failure):
                    self._report(trace, local, failure, is_handled=False)
                elif now_s - failure.noticed_s >= self._decision_s:
                    self._report(trace, local, failure, is_handled=True)
            if not trace.pending and not local.open:
                del self._traces[local]
        verdicts, self._verdicts = self._verdicts, Verdicts([])
        return verdicts

    def decide_all(self, now_s: float) -> Verdicts:
        """Report what is still undecided: the process is about to end."""
        for local, trace in list(self._traces.items()):
            for failure in list(trace.pending):
                self._report(trace, local, failure, is_handled=True)
        return self.verdicts(now_s)

    def _leave(
        self,
        trace: _Trace,
        leaving: Failure | None,
        span: SpanRecord,
        event: SpanEvent,
        in_flight: InFlight,
        now_s: float,
    ) -> Failure:
        known = leaving or _find(
            [*trace.pending, *trace.reported], lambda f: f.sighting is in_flight.sighting
        )
        if known is None:
            known = Failure(span, event, in_flight.sighting, now_s)
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
            if known is not leaving:
                known.crosses(span)
        for inner in [f for f in trace.pending if f.sighting in in_flight.inner and f is not known]:
            trace.pending.remove(inner)  # a cause, or a member of its group
            known.sightings += inner.sightings
        known.captured = in_flight.exceptions
        return known

    def _recorded_by_hand(
        self, trace: _Trace, local: LocalTrace, span: SpanRecord, event: SpanEvent, now_s: float
    ) -> bool:
        """Take an exception that was not leaving ``span``; true if it explains its status."""
        recorded = Failure(span, event, None, now_s)
        known = _find(
            [*trace.pending, *trace.reported],
            lambda f: (
                (f.type, f.message) == (recorded.type, recorded.message)
                and span.span_id in (f.catcher, f.span.span_id)
            ),
        )
        if known is None:
            known = recorded
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
        if span.status != "error":
            known.catcher = span.span_id
            return False
        known.catcher = span.parent_span_id
        if known in trace.pending:
            self._report(trace, local, known, is_handled=True)
        return True

    def _handled_by_framework(
        self,
        trace: _Trace,
        local: LocalTrace,
        span: SpanRecord,
        in_flight: InFlight,
        now_s: float,
    ) -> None:
        known = _find([*trace.pending, *trace.reported], lambda f: f.sighting is in_flight.sighting)
        if known is None:
            known = Failure(span, None, in_flight.sighting, now_s)
            trace.pending.append(known)
        if known in trace.pending:
            known.captured = in_flight.exceptions
            self._report(trace, local, known, is_handled=True)

    @staticmethod
    def _caught_by(trace: _Trace, span: SpanRecord, leaving: Failure | None) -> list[Failure]:
        return [f for f in trace.pending if f.catcher == span.span_id and f is not leaving]

    def _seen_again(self, trace: _Trace, failure: Failure) -> None:
        if failure in trace.reported:
            self._verdicts.merged += 1
        else:
            failure.sightings += 1

    def _left_a_detached_task(self, local: LocalTrace, failure: Failure) -> bool:
        """Whether the span that could have caught it had ended before the failure left."""
        if failure.catcher is not None and int(failure.catcher, 16) in local.open:
            return False
        if failure.round == 0:
            # Its catcher's end may still be queued; the next drained batch will show it.
            failure.round = self._round
            return False
        return failure.round < self._round

    def _report(
        self, trace: _Trace, local: LocalTrace, failure: Failure, *, is_handled: bool
    ) -> None:
        trace.pending.remove(failure)
        trace.reported = [*trace.reported[-MAX_PENDING:], failure]
        if self._mode == "none":
            self._verdicts.recovered += failure.sightings
            return
        self._verdicts.merged += failure.sightings - 1
        self._verdicts.reported.append(
            DecidedFailure(
                local=local,
                span=failure.span,
                root=trace.root,
                event=failure.event,
                captured=failure.captured,
                is_handled=is_handled,
                span_path=tuple(reversed(failure.path)),
                breadcrumbs=tuple(trace.breadcrumbs),
                time_ns=failure.event.time_ns if failure.event else failure.span.end_ns,
            )
        )

    def _recover(self, trace: _Trace, failure: Failure) -> None:
        trace.pending.remove(failure)
        self._verdicts.recovered += failure.sightings
        if len(trace.breadcrumbs) < MAX_BREADCRUMBS:
            trace.breadcrumbs.append(
                Breadcrumb(
                    timestamp=failure.span.end_ns / 1e9,
                    category="exception",
                    message=f"{failure.type}: {failure.message}",
                    level="warning",
                    type="error",
                    data={"span": failure.span.name, "recovered": True},
                )
            )


def _tells_of_the_same(event: SpanEvent, last: SpanEvent) -> bool:
    """Whether two events of one span record the same exception, e.g. by hand and when it left."""
    return event is last or all(
        event.attributes.get(key) == last.attributes.get(key)
        for key in ("exception.type", "exception.message")
    )


def _find(failures: list[Failure], matches: Callable[[Failure], bool]) -> Failure | None:
    return next((failure for failure in failures if matches(failure)), None)
