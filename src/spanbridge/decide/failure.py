"""A failure under decision, and the verdicts on it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.conventions.upstream import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
    SENTRY_MECHANISM_HANDLED,
    SENTRY_MECHANISM_TYPE,
)
from spanbridge.decide.identity import captured_raising_line, whole_raising_line
from spanbridge.model.failure import CapturedException
from spanbridge.model.log import LogRecord
from spanbridge.model.rule import Circumstances, Noticed
from spanbridge.model.span import Attributes, SpanEvent, SpanRecord
from spanbridge.runtime.event_id import new_event_id

if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.process.intake import Logged
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.process.sighting import Sighting

SPAN_MECHANISM: Final = "auto.otel.span"
LOG_MECHANISM: Final = "auto.otel.log"
RULE_MECHANISM: Final = "auto.rule"


class Failure:
    """One exception as the spans and logs of one local trace saw it."""

    __slots__ = (
        "captured", "catcher", "due_s", "event", "event_id", "identities", "is_held", "is_orphan",
        "live_span", "log", "mechanism", "message", "noticed_s", "own_attributes", "path",
        "precedes_root", "raised_at", "round", "says_handled", "sightings", "span", "span_id",
        "trace_id", "type",
    )  # fmt: skip

    def __init__(
        self, trace_id: str, span_id: str, attributes: Attributes, sighting: Sighting | None
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.span: SpanRecord | None = None
        """The innermost span that saw it, once that ended."""
        self.live_span: ReadableSpan | None = None
        """That span while it is open."""
        self.event: SpanEvent | None = None
        self.log: LogRecord | None = None
        """The last log record that told of it."""
        self.identities: list[Sighting] = [sighting] if sighting is not None else []
        """Of the live exceptions it was seen as; empty if only its text is known."""
        self.event_id = sighting.event_id if sighting is not None else new_event_id()
        self.type = str(attributes.get(EXCEPTION_TYPE, ""))
        self.message = str(attributes.get(EXCEPTION_MESSAGE, ""))
        self.raised_at = whole_raising_line(attributes.get(EXCEPTION_STACKTRACE))
        """Where it was raised, by the text of its stack trace; empty if that does not tell."""
        self.mechanism = SPAN_MECHANISM
        self.own_attributes: Attributes = {}
        """What the exception says about itself."""
        self.captured: tuple[CapturedException, ...] = ()
        """The chain with frames, from the outermost place it was still in flight in."""
        self.path: list[SpanRecord] = []
        """The spans it crossed, innermost first."""
        self.catcher: str | None = None
        """Id of the span whose end tells whether it was caught."""
        self.is_orphan = False
        """Whether that span is known to have ended before."""
        self.precedes_root = True
        """Whether it last left a span while the local root had not been seen to end."""
        self.due_s: float | None = None
        """When it is reported whatever the spans tell, as a log has told of it."""
        self.says_handled = True
        """Whether that log says that the application went on."""
        self.is_held = False
        """Whether destinations were given it in case the process dies before the decision."""
        self.sightings = 1
        self.noticed_s = 0.0
        self.round = 0
        """The worker's round in which its catcher was first seen to be gone; 0: not so far."""

    @classmethod
    def in_span(
        cls, span: SpanRecord, event: SpanEvent | None, sighting: Sighting | None, now_s: float
    ) -> Failure:
        """One that a span saw: recorded in ``event``, or none if its framework handled it."""
        failure = cls(span.trace_id, span.span_id, event.attributes if event else {}, sighting)
        failure.noticed_s = now_s
        failure.saw(span, event)
        return failure

    @classmethod
    def in_log(cls, logged: Logged, now_s: float) -> Failure:
        """One that a log record tells of, in a span that is usually still open."""
        record = logged.record
        sighting = logged.exception.sighting if logged.exception else None
        failure = cls(record.trace_id, record.span_id, record.attributes, sighting)
        failure.noticed_s = now_s
        failure.mechanism = LOG_MECHANISM
        failure.live_span = logged.span
        failure.catcher = record.span_id
        return failure

    @property
    def time_ns(self) -> int:
        """When it was seen, Unix time in nanoseconds."""
        if self.event is not None:
            return self.event.time_ns
        if self.log is not None:
            return self.log.time_ns
        return self.span.end_ns if self.span is not None else 0

    @property
    def circumstances(self) -> Circumstances:
        """What surrounds it so far, from near to far."""
        return Circumstances(
            own=self.own_attributes,
            event=self.event,
            log=self.log,
            span=self.span,
            path=tuple(self.path),
        )

    @property
    def is_reported_elsewhere(self) -> bool:
        """Whether it became an issue already, perhaps through another local trace."""
        return any(
            sighting.decided_s is not None and not sighting.is_dismissed
            for sighting in self.identities
        )

    @property
    def is_told_of_as_dismissed(self) -> bool:
        """Whether it is told of outside of spans only, after it was dismissed for what they say.

        A server logs what failed in a request. In spans of its own a failure is judged anew.
        """
        is_outside = self.span is None and self.live_span is None
        return is_outside and any(sighting.is_dismissed for sighting in self.identities)

    def is_decided(self, *, is_dismissed: bool) -> None:
        """Note the decision where it is seen through other local traces, now or in a moment."""
        for sighting in self.identities:
            if sighting.decided_s is None or not is_dismissed:
                sighting.decided_s = monotonic()
            sighting.is_dismissed = is_dismissed

    def is_seen_as(self, sighting: Sighting) -> bool:
        """Whether ``sighting`` is of this failure."""
        return any(known is sighting for known in self.identities)

    def reads_like(self, attributes: Attributes, span_ids: Collection[str]) -> bool:
        """Whether ``exception.*`` attributes tell of the same exception.

        Type, text and raising line must agree; some write the type with its module, some without.
        Where one of both has no raising line, they must come from one span.

        Args:
            attributes: What was told.
            span_ids: The spans it may have been told in if nothing else tells.
        """
        name = str(attributes.get(EXCEPTION_TYPE, ""))
        if self.message != str(attributes.get(EXCEPTION_MESSAGE, "")) or (
            self.type.rpartition(".")[2] != name.rpartition(".")[2]
        ):
            return False
        mine = self.raised_at or captured_raising_line(self.captured)
        other = whole_raising_line(attributes.get(EXCEPTION_STACKTRACE))
        return mine == other if mine and other else self.span_id in span_ids

    def sheds_weight(self) -> None:
        """Give up frames, texts of stack traces and the spans it crossed, but for the first."""
        self.captured = tuple(error._replace(frames=()) for error in self.captured)
        for sighting in self.identities:
            sighting.locals_by_frame = {}
        if self.event is not None:
            attributes = dict(self.event.attributes)
            attributes.pop(EXCEPTION_STACKTRACE, None)
            self.event = msgspec.structs.replace(self.event, attributes=attributes)
        if self.span is not None:
            self.span = msgspec.structs.replace(self.span, events=(), links=())
        self.path = [self.span] if self.span is not None else []

    def becomes(self, sighting: Sighting) -> None:
        """Note that another exception took its place."""
        if not self.is_seen_as(sighting):
            self.identities.append(sighting)

    def takes_in(self, inner: Failure) -> None:
        """Note that another failure is part of this one: its cause, its context, its member."""
        if inner.log is not None and inner.due_s is not None:
            self.is_told(inner.log, inner.due_s)

    def saw(self, span: SpanRecord, event: SpanEvent | None) -> None:
        """Note the innermost span it left."""
        self.span, self.live_span = span, None
        self.trace_id, self.span_id = span.trace_id, span.span_id
        self.event = event
        self.crosses(span)

    def crosses(self, span: SpanRecord) -> None:
        """Note that it left ``span`` too."""
        self.path.append(span)
        self.catcher = span.parent_span_id
        self.is_orphan = False

    def is_told(self, record: LogRecord, due_s: float) -> None:
        """Note that a log record tells of it: it is an issue, at ``due_s`` at the latest."""
        self.log = record  # whoever is further out knows better what it means
        if self.due_s is None:
            self.due_s = due_s
        self.is_described(record.attributes)

    def is_described(self, attributes: Attributes) -> None:
        """Note what whoever told of it says about how it was seen."""
        self.says_handled &= attributes.get(SENTRY_MECHANISM_HANDLED) is not False
        mechanism = attributes.get(SENTRY_MECHANISM_TYPE)
        if isinstance(mechanism, str) and self.mechanism in (SPAN_MECHANISM, LOG_MECHANISM):
            self.mechanism = mechanism


class DecidedFailure(msgspec.Struct, frozen=True):
    """A failure that is reported, with what the decision rested on."""

    local: LocalTrace
    event_id: str
    time_ns: int
    trace_id: str
    span_id: str
    span: SpanRecord | None
    """The innermost span that saw it, if it ended."""
    live_span: ReadableSpan | None
    """That span if it is still open."""
    root: SpanRecord | None
    """The local root, if it ended already."""
    event: SpanEvent | None
    log: LogRecord | None
    captured: tuple[CapturedException, ...]
    is_handled: bool
    mechanism: str
    own_attributes: Attributes
    """What the exception says about itself."""
    path: tuple[SpanRecord, ...]
    """The spans it crossed, innermost first."""
    reported_spans: frozenset[str]
    """Ids of spans crossed by failures of this local trace that are issues of their own."""
    sightings: tuple[Sighting, ...] = ()
    """The failure's own; what the application attaches to them may still come."""
    above: tuple[SpanRecord, ...] = ()
    """The spans above that are still open, as far as they got, innermost first."""
    noticed: Noticed | None = None
    """What is wrong by a rule, if nothing was raised."""

    @property
    def circumstances(self) -> Circumstances:
        """What surrounds it, from near to far."""
        return Circumstances(
            own=self.own_attributes,
            event=self.event,
            log=self.log,
            span=self.span,
            path=(*self.path, *self.above),
            root=self.root,
        )


def decided_by_rule(
    noticed: Noticed,
    local: LocalTrace,
    root: SpanRecord | None,
    live_span: ReadableSpan | None,
) -> DecidedFailure:
    """Something that a rule makes an issue, in the form of a failure without an exception."""
    around = noticed.circumstances
    return DecidedFailure(
        local=local,
        event_id=new_event_id(),
        time_ns=noticed.time_ns,
        trace_id=noticed.trace_id,
        span_id=noticed.span_id,
        span=around.span,
        live_span=live_span,
        root=root,
        event=around.event,
        log=around.log,
        captured=(),
        is_handled=True,
        mechanism=RULE_MECHANISM,
        own_attributes={},
        path=(around.span,) if around.span is not None else (),
        reported_spans=frozenset(),
        noticed=noticed,
    )


class Verdicts(msgspec.Struct):
    """What a round of observations led to."""

    reported: list[DecidedFailure] = []
    held: list[DecidedFailure] = []
    """Not decided so far, but to be reported should the process die."""
    let_go: list[str] = []
    """Event ids of held failures that will not be reported."""
    merged: int = 0
    """Further sightings of failures that are reported once."""
    recovered: int = 0
    """Sightings of failures that the application recovered from, or that the policy leaves out."""
    given_up: int = 0
    """Sightings of failures that were too many to wait for what decides them."""
