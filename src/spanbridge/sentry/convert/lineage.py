"""What spans take from those around them: whose agent, which conversation, and who counts tokens.

Conventions put an agent's name on the agent's own span and the same ``gen_ai.usage.*`` on a model
call and on the agent that sums up its calls. Sentry reads each span by itself: without the name a
span belongs to no agent, and a sum over the usage counts every token as often as agents are nested.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence, Set
from typing import Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.dialects.names import AGENT, AGGREGATE, CONVERSATION
from spanbridge.sentry.convert.own import PLAIN, USAGE_NAMES, Call, Own, call_of, is_gen_ai, own_of

MAX_REMEMBERED: Final = 4_096
"""Spans of one trace that are remembered after they left, and open ones that were counted below."""
MAX_CALLS: Final = 16
"""Responses remembered per span: one call is seen twice or thrice, and retried a few times."""

_Value = TypeVar("_Value")


class Enclosing(NamedTuple):
    """A span that is still open: its scrubbed attributes so far, and the span it is in."""

    parent_span_id: str | None
    attributes: Attributes


Above: TypeAlias = Callable[[str], Enclosing | None]
"""The span of this id if it is still open in this process."""


_Place: TypeAlias = tuple[str | None, Own]
"""The id of the span that another is in, and what that other says itself."""


class _Inherited(msgspec.Struct, frozen=True, gc=False):
    """What a span hands down to those in it."""

    parent_span_id: str | None
    agent: str
    conversation: str


class _Report(msgspec.Struct, frozen=True, gc=False):
    """A span that reports usage, and the call that it is; none if it is no model's."""

    span: SpanRecord
    call: Call | None


class _Below(msgspec.Struct, gc=False):
    """What is known of the descendants of a span."""

    reports_usage: bool = False
    calls: tuple[Call, ...] = ()
    """Model calls directly in it."""


class _Told(msgspec.Struct, frozen=True, gc=False):
    """A span that counts a response: when it began and ended, and who wrote it."""

    start_ns: int
    end_ns: int
    scope: str

    def is_beside(self, other: _Told) -> bool:
        """Whether two libraries tell of something at the same time.

        Of one library they are two requests, to a server that gives all responses the same id.
        """
        overlaps = self.start_ns < other.end_ns and other.start_ns < self.end_ns
        return overlaps and self.scope != other.scope


class Lineage:
    """One local trace as one destination sees it. Reads scrubbed records only; not thread-safe.

    - ``gen_ai.agent.name`` and ``gen_ai.conversation.id`` of the nearest span around that has them
      are added to every span that has none of its own.
    - Usage stands on the model call that reports it. On an agent, a workflow or any other span
      around that one the same numbers are sums, and move to ``multi_agent.usage.*``. A sum that
      nobody below reports stays.
    - A request of which two spans tell, a client's own and an instrumentation's, counts once too,
      on the span that ended first: two libraries wrote them, they have one response id and overlap
      in time; or one is directly in the other, and what they say of id, operation and model can be
      the same.

    Its memory is bounded by :data:`MAX_REMEMBERED`. A sum that left before a span below it reported
    cannot be taken back.
    """

    def __init__(self) -> None:
        self._left: dict[str, _Inherited] = {}
        self._below: dict[str, _Below] = {}
        self._responses: dict[str, list[_Told]] = {}
        """By id of the response: the spans that count it."""

    def complete(self, spans: Sequence[SpanRecord], above: Above) -> list[SpanRecord]:
        """The spans that leave together, in the same order, with what they take from others.

        Args:
            spans: Any spans of the trace, in any order; their children may have left before, and
                their parents may still be open.
            above: Asked for spans that are not among ``spans`` and did not leave before.
        """
        owns = [own_of(span.attributes) for span in spans]
        part = _Part(spans, owns, above, self._left)
        if not self._left and not part.is_of_gen_ai():
            return list(spans)
        handed_down = [part.inherited(span.span_id) for span in spans]
        reports = [
            _Report(span, call_of(span.attributes, own))
            for span, own in zip(spans, owns, strict=True)
            if own.reports_usage
        ]
        repeating = self._repeating(reports, part) if reports else frozenset()
        completed = []
        for span, own, inherited in zip(spans, owns, handed_down, strict=True):
            repeats = span.span_id in repeating
            completed.append(_completed(span, own, inherited, repeats=repeats))
            self._left[span.span_id] = inherited
        # Only now: what one part needs may be more than is remembered for the next.
        _forget_oldest(self._left)
        _forget_oldest(self._below)
        _forget_oldest(self._responses)
        return completed

    def _repeating(self, reports: list[_Report], part: _Part) -> Set[str]:
        """The ids of those spans whose usage others report too."""
        for report in reports:
            self._note_usage(report, part)
        # What is inside of another ends first, or at the same time and started later.
        reports.sort(key=lambda report: (report.span.end_ns, -report.span.start_ns))
        return {report.span.span_id for report in reports if self._is_counted_elsewhere(report)}

    def _note_usage(self, report: _Report, part: _Part) -> None:
        """Tell every span above, up to the first that knows."""
        span_id = report.span.parent_span_id
        if span_id is not None and report.call is not None:
            below = self._below_of(span_id)
            if len(below.calls) < MAX_CALLS:
                below.calls += (report.call,)
        while span_id is not None:
            below = self._below_of(span_id)
            if below.reports_usage:
                return
            below.reports_usage = True
            span_id = part.inherited(span_id).parent_span_id

    def _below_of(self, span_id: str) -> _Below:
        below = self._below.get(span_id)
        if below is None:
            below = self._below[span_id] = _Below()
        return below

    def _is_counted_elsewhere(self, report: _Report) -> bool:
        call = report.call
        below = self._below.get(report.span.span_id)
        if call is None:
            return below is not None and below.reports_usage
        if below is not None and any(map(call.may_be, below.calls)):
            return True
        return bool(call.response) and self._is_told_already(call.response, report.span)

    def _is_told_already(self, response: str, span: SpanRecord) -> bool:
        told = self._responses.setdefault(response, [])
        this = _Told(span.start_ns, span.end_ns, span.scope.name)
        if any(map(this.is_beside, told)):
            return True
        if len(told) < MAX_CALLS:
            told.append(this)
        return False


class _Part:
    """What leaves together, with the way upwards from each span of it."""

    def __init__(
        self,
        spans: Sequence[SpanRecord],
        owns: Sequence[Own],
        above: Above,
        left: dict[str, _Inherited],
    ) -> None:
        self._places = {
            span.span_id: (span.parent_span_id, own) for span, own in zip(spans, owns, strict=True)
        }
        self._above = above
        self._left = left
        self._found: dict[str, _Inherited] = {}

    def is_of_gen_ai(self) -> bool:
        """Whether any of the spans, or an open one around them, matters."""
        if any(own is not PLAIN for _, own in self._places.values()):
            return True
        seen: set[str] = set()
        for at, _ in self._places.values():
            while at is not None and at not in self._places and at not in seen:
                seen.add(at)
                enclosing = self._above(at)
                if enclosing is None:
                    break
                if is_gen_ai(enclosing.attributes):
                    return True
                at = enclosing.parent_span_id
        return False

    def inherited(self, span_id: str) -> _Inherited:
        """What a span hands down, its own included. Each span is looked at once."""
        found = self._found.get(span_id)
        if found is not None:
            return found
        place = self._places.get(span_id)
        if place is not None:
            parent_span_id, own = place
            # The usual order: whoever leaves with its parent comes after it.
            around = self._found.get(parent_span_id or "")
            if around is not None:
                handed = self._found[span_id] = _handed_down(parent_span_id, own, around)
                return handed
        return self._known(span_id) or self._inherited_by_way(span_id)

    def _inherited_by_way(self, span_id: str) -> _Inherited:
        path: dict[str, _Place] = {}
        at: str | None = span_id
        while at is not None and at not in path and self._known(at) is None:
            place = self._place(at)
            if place is None:
                break
            path[at] = place
            at = place[0]
        inherited = (self._known(at) if at is not None else None) or _NOTHING
        for below, (parent_span_id, own) in reversed(path.items()):
            inherited = self._found[below] = _handed_down(parent_span_id, own, inherited)
        return inherited if path else self._found.setdefault(span_id, _NOTHING)

    def _known(self, span_id: str) -> _Inherited | None:
        found = self._found.get(span_id)
        if found is None and span_id not in self._places:
            found = self._left.get(span_id)
        return found

    def _place(self, span_id: str) -> _Place | None:
        place = self._places.get(span_id)
        if place is not None:
            return place
        enclosing = self._above(span_id)
        if enclosing is None:
            return None
        return enclosing.parent_span_id, own_of(enclosing.attributes)


_NOTHING: Final = _Inherited(None, "", "")


def _handed_down(parent_span_id: str | None, own: Own, inherited: _Inherited) -> _Inherited:
    # An agent that is being created does nothing yet.
    agent = own.agent if own.operation != "create_agent" else ""
    return _Inherited(
        parent_span_id, agent or inherited.agent, own.conversation or inherited.conversation
    )


def _completed(span: SpanRecord, own: Own, inherited: _Inherited, *, repeats: bool) -> SpanRecord:
    added: Attributes = {}
    if inherited.agent and not own.agent:
        added[AGENT] = inherited.agent
    if inherited.conversation and not own.conversation:
        added[CONVERSATION] = inherited.conversation
    if not added and not repeats:
        return span
    attributes = {**span.attributes, **added}
    if repeats:
        for name, canonical in USAGE_NAMES.items():
            if name in attributes:
                attributes.setdefault(AGGREGATE[canonical], attributes.pop(name))
    return msgspec.structs.replace(span, attributes=attributes)


def _forget_oldest(known: dict[str, _Value]) -> None:
    if (beyond := len(known) - MAX_REMEMBERED) <= 0:
        return
    for key in list(itertools.islice(known, beyond)):
        del known[key]
