"""When is an exception an issue? The table of the documentation, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from spanbridge.decide.failure import DecidedFailure, Failure, Verdicts
from spanbridge.model.failure import Breadcrumb

if TYPE_CHECKING:
    from spanbridge.model.failure import CapturedException
    from spanbridge.model.span import SpanEvent, SpanRecord
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.local_trace import LocalTrace

IssueMode: TypeAlias = Literal["unhandled", "all", "none"]

NOT_FAILURES: Final = frozenset({
    "asyncio.exceptions.CancelledError", "concurrent.futures._base.CancelledError",
    "asyncio.CancelledError", "CancelledError", "GeneratorExit", "StopIteration",
    "StopAsyncIteration", "KeyboardInterrupt", "SystemExit", "trio.Cancelled",
    "starlette.requests.ClientDisconnect", "starlette.websockets.WebSocketDisconnect",
    "uvicorn.protocols.utils.ClientDisconnected", "werkzeug.exceptions.ClientDisconnected",
    "django.http.request.UnreadablePostError", "websockets.exceptions.ConnectionClosedOK",
    "simple_websocket.errors.ConnectionClosed", "channels.exceptions.StopConsumer",
    "anyio.ClosedResourceError", "anyio.EndOfStream", "anyio.BrokenResourceError",
    "trio.ClosedResourceError", "trio.EndOfChannel",
})  # fmt: skip
"""Cancellation, disconnection and orderly exits are outcomes, not errors."""

MAX_PENDING: Final = 64
"""Failures under decision per local trace; the oldest is reported when another one comes."""
MAX_BREADCRUMBS: Final = 50


class _Trace:
    """The failures of one local trace."""

    __slots__ = ("breadcrumbs", "is_root_well", "pending", "reported", "root")

    def __init__(self) -> None:
        self.pending: list[Failure] = []
        self.reported: list[Failure] = []
        self.breadcrumbs: list[Breadcrumb] = []
        self.root: SpanRecord | None = None
        self.is_root_well = False
        """Whether the root ended well, or because of another failure than what it caught."""

    def find(self, matches: Callable[[Failure], bool]) -> Failure | None:
        """The first failure that matches, rather one under decision than a reported one."""
        return next(filter(matches, (*self.pending, *self.reported)), None)


class IssuePolicy:
    """Watches spans end and decides which exceptions are reported.

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
    cancellation, disconnection, orderly exit                     no error
    ============================================================  =====================

    Args:
        mode: ``unhandled`` as in the table; ``all`` reports at first sight, however the spans
            end; ``none`` nothing.
        decision_s: How long to wait for the catching span, in seconds.
    """

    def __init__(self, mode: IssueMode, decision_s: float) -> None:
        self._mode = mode
        self._decision_s = decision_s
        self._traces: dict[LocalTrace, _Trace] = {}
        self._verdicts = Verdicts([])
        self._round = 1

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
            in_flight: The exception that was in flight then, if the span speaks of it.
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
            live = in_flight if in_flight and _tells_of_the_same(event, events[-1]) else None
            if str(event.attributes.get("exception.type")) in NOT_FAILURES:
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
            for failure in self._caught_by(trace, span, leaving):
                self._recover(trace, failure)
        else:
            for failure in self._caught_by(trace, span, leaving):
                if is_root:
                    self._report(trace, local, failure, is_handled=True)
                else:  # its parent decides: an agent that reports failure may still be retried
                    failure.crosses(span)
                    failure.precedes_root = trace.root is None
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
                if self._is_out_of_reach(local, failure):
                    if failure.is_orphan or trace.root is None or not failure.precedes_root:
                        self._report(trace, local, failure, is_handled=False)
                    elif trace.is_root_well:
                        self._recover(trace, failure)
                    else:
                        self._report(trace, local, failure, is_handled=True)
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
        known = leaving or self._known(trace, in_flight)
        if known is None:
            known = Failure(span, event, in_flight.sighting, now_s)
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
            if known is not leaving:
                known.crosses(span)
        self._take(trace, known, in_flight)
        known.is_orphan = in_flight.has_ended_parent
        known.precedes_root = trace.root is None
        return known

    @staticmethod
    def _known(trace: _Trace, in_flight: InFlight) -> Failure | None:
        """The failure that an exception belongs to.

        By its own identity, which causes and members share, or because it was raised while
        another one was handled about which nothing is decided yet.
        """
        known = trace.find(lambda failure: failure.is_seen_as(in_flight.sighting))
        if known is not None:
            return known
        contexts = [f for f in trace.pending if any(map(f.is_seen_as, in_flight.inner))]
        return contexts[0] if contexts else None

    def _take(self, trace: _Trace, known: Failure, in_flight: InFlight) -> None:
        """Let a failure be what is in flight, and everything inside that is undecided."""
        known.becomes(in_flight.sighting)
        known.captured = in_flight.exceptions
        for inner in [f for f in trace.pending if any(map(f.is_seen_as, in_flight.inner))]:
            if inner is known:
                continue
            trace.pending.remove(inner)
            for sighting in inner.identities:
                known.becomes(sighting)
            if known in trace.reported:
                self._verdicts.merged += inner.sightings
            else:
                known.sightings += inner.sightings

    def _recorded_by_hand(
        self,
        trace: _Trace,
        local: LocalTrace,
        span: SpanRecord,
        event: SpanEvent,
        in_flight: InFlight | None,
        now_s: float,
    ) -> bool:
        """Take an exception that was not leaving ``span``; true if it explains its status."""
        sighting = in_flight.sighting if in_flight else None
        recorded = Failure(span, event, sighting, now_s)
        known = self._known(trace, in_flight) if in_flight else None
        known = known or trace.find(
            lambda f: (
                (f.type, f.message) == (recorded.type, recorded.message)
                and span.span_id in (f.catcher, f.span.span_id)
            )
        )
        if known is None:
            known = recorded
            trace.pending.append(known)
        else:
            self._seen_again(trace, known)
        if in_flight is not None:
            self._take(trace, known, in_flight)
        is_error = span.status == "error"
        known.catcher = span.parent_span_id if is_error else span.span_id
        if known in trace.pending and (is_error or self._mode == "all"):
            self._report(trace, local, known, is_handled=True)
        return is_error

    def _handled_by_framework(
        self,
        trace: _Trace,
        local: LocalTrace,
        span: SpanRecord,
        in_flight: InFlight,
        now_s: float,
    ) -> None:
        if _name_of(in_flight.exceptions) in NOT_FAILURES:
            self._verdicts.recovered += 1
            return
        known = self._known(trace, in_flight)
        if known is None:
            known = Failure(span, None, in_flight.sighting, now_s)
            trace.pending.append(known)
        if known in trace.pending:
            self._take(trace, known, in_flight)
            self._report(trace, local, known, is_handled=not in_flight.is_leaving)

    @staticmethod
    def _caught_by(trace: _Trace, span: SpanRecord, leaving: Failure | None) -> list[Failure]:
        return [f for f in trace.pending if f.catcher == span.span_id and f is not leaving]

    def _seen_again(self, trace: _Trace, failure: Failure) -> None:
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
        self, trace: _Trace, local: LocalTrace, failure: Failure, *, is_handled: bool
    ) -> None:
        trace.pending.remove(failure)
        trace.reported = [*trace.reported[-MAX_PENDING:], failure]
        if self._mode == "none":
            self._verdicts.recovered += failure.sightings
            return
        if failure.is_reported_elsewhere:
            self._verdicts.merged += failure.sightings
            return
        for sighting in failure.identities:
            sighting.is_reported = True
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
    """Whether two events of one span record the same exception, e.g. by hand and when it left.

    The message of one may be the caller's own, but stack traces end with the raising line.
    """
    if event is last:
        return True
    one, other = event.attributes, last.attributes
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


def _name_of(captured: tuple[CapturedException, ...]) -> str:
    """The qualified name of the outermost exception, as ``exception.type`` has it."""
    if not captured:
        return ""
    outermost = captured[0]
    return f"{outermost.module}.{outermost.type}" if outermost.module else outermost.type
