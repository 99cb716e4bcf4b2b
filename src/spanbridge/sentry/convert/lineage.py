"""What spans take from those around them: whose agent, which conversation, and who counts tokens.

Conventions put an agent's name on the agent's own span and the same ``gen_ai.usage.*`` on a model
call and on the agent that sums up its calls. Sentry reads each span by itself: without the name a
span belongs to no agent, and a sum over the usage counts every token as often as agents are nested.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.dialects.names import (
    AGENT,
    AGGREGATE,
    CONVERSATION,
    ENTITY_NAMES,
    KINDS,
    OPERATION,
    PROVIDER,
    RENAMED,
    RENAMED_IF_ALONE,
    REQUEST_MODEL,
    RESPONSE_ID,
    RESPONSE_MODEL,
    SESSION_OWNERS,
    USAGE,
)

MAX_REMEMBERED: Final = 4_096
"""Spans of one trace that are remembered after they left, and open ones that were counted below."""
MAX_CALLS: Final = 16
"""Responses remembered per span: one call is seen twice or thrice, and retried a few times."""

MODEL_CALLS: Final = frozenset(
    {"chat", "generate_content", "text_completion", "embeddings", "fetch_response", ""}
)
"""Operations that use tokens themselves. Usage on any other is a sum if a descendant reports."""

_USAGE_NAMES: Final = {
    **{name: name for name in USAGE},
    **{old: new for old, new in RENAMED.items() if new in USAGE},
}
_REPORTING: Final = frozenset(_USAGE_NAMES)
_CONVERSATION_NAMES: Final = (CONVERSATION, *(o for o, n in RENAMED.items() if n == CONVERSATION))
_CONVERSATIONS: Final = frozenset(_CONVERSATION_NAMES)
_RESPONSE_ID_NAMES: Final = (RESPONSE_ID, *(o for o, n in RENAMED.items() if n == RESPONSE_ID))
_MODEL_NAMES: Final = (
    REQUEST_MODEL,
    RESPONSE_MODEL,
    *(old for old, new in RENAMED.items() if new in (REQUEST_MODEL, RESPONSE_MODEL)),
    *RENAMED_IF_ALONE,
)
_KIND_NAMES: Final = frozenset(KINDS)
EMBEDDINGS: Final = "embeddings"
_FUNCTION_NAMES: Final = ("gen_ai.function_id", "ai.telemetry.functionId")
_MARKS: Final = frozenset(
    (OPERATION, PROVIDER, "gen_ai.system", AGENT, *_CONVERSATION_NAMES, *_USAGE_NAMES, *KINDS)
)
_Value = TypeVar("_Value")


class Enclosing(NamedTuple):
    """A span that is still open: its scrubbed attributes so far, and the span it is in."""

    parent_span_id: str | None
    attributes: Attributes


Above: TypeAlias = Callable[[str], Enclosing | None]
"""The span of this id if it is still open in this process."""


def is_gen_ai(attributes: Mapping[str, object]) -> bool:
    """Whether a span can matter to :class:`Lineage`. A trace without such a span can do without."""
    return not _MARKS.isdisjoint(attributes)


def any_gen_ai(spans: Iterable[SpanRecord]) -> bool:
    """Whether any of the spans can matter to :class:`Lineage`."""
    unmarked = _MARKS.isdisjoint
    for span in spans:  # noqa: SIM110 a generator would take twice as long
        if not unmarked(span.attributes):
            return True
    return False


class _Inherited(NamedTuple):
    """What a span hands down to those in it."""

    parent_span_id: str | None
    agent: str
    conversation: str


class _Call(NamedTuple):
    """What tells one request to a model from another; each is empty if the span does not say it."""

    response: str
    operation: str
    model: str

    def may_be(self, other: _Call) -> bool:
        """Whether two spans, one directly in the other, can tell of the same request."""
        if self.response and other.response:
            return self.response == other.response
        if (self.operation == EMBEDDINGS) != (other.operation == EMBEDDINGS):
            return False
        # A response names the model more exactly than a request: gpt-5 became gpt-5-2025-08-07.
        return self.model.startswith(other.model) or other.model.startswith(self.model)


class _Below(msgspec.Struct):
    """What is known of the descendants of a span."""

    reports_usage: bool = False
    calls: list[_Call] = []
    """Model calls directly in it."""


class _Told(NamedTuple):
    """A span that counts a response: when it began and ended, and who wrote it."""

    start_ns: int
    end_ns: int
    scope: str


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
        part = _Part(spans, above, self._left)
        if not self._left and not part.is_of_gen_ai():
            return list(spans)
        handed_down = [part.inherited(span.span_id) for span in spans]
        reporting = [s for s in spans if not _REPORTING.isdisjoint(s.attributes)]
        for span in reporting:
            self._note_usage(span, part)
        # What is inside of another ends first, or at the same time and started later.
        reporting.sort(key=lambda span: (span.end_ns, -span.start_ns))
        repeating = {span.span_id for span in reporting if self._is_counted_elsewhere(span)}
        completed = []
        for span, inherited in zip(spans, handed_down, strict=True):
            completed.append(_completed(span, inherited, repeats=span.span_id in repeating))
            self._left[span.span_id] = inherited
        # Only now: what one part needs may be more than is remembered for the next.
        _forget_oldest(self._left)
        _forget_oldest(self._below)
        _forget_oldest(self._responses)
        return completed

    def _note_usage(self, span: SpanRecord, part: _Part) -> None:
        """Tell every span above, up to the first that knows."""
        span_id = span.parent_span_id
        if span_id is not None and _operation_of(span.attributes) in MODEL_CALLS:
            calls = self._below_of(span_id).calls
            if len(calls) < MAX_CALLS:
                calls.append(_call_of(span.attributes))
        while span_id is not None:
            below = self._below_of(span_id)
            if below.reports_usage:
                return
            below.reports_usage = True
            span_id = part.inherited(span_id).parent_span_id

    def _below_of(self, span_id: str) -> _Below:
        below = self._below.get(span_id)
        if below is None:
            below = self._below[span_id] = _Below(calls=[])
        return below

    def _is_counted_elsewhere(self, span: SpanRecord) -> bool:
        below = self._below.get(span.span_id)
        is_call = _operation_of(span.attributes) in MODEL_CALLS
        if not is_call:
            return below is not None and below.reports_usage
        call = _call_of(span.attributes)
        if below is not None and any(call.may_be(other) for other in below.calls):
            return True
        return bool(call.response) and self._is_told_already(call.response, span)

    def _is_told_already(self, response: str, span: SpanRecord) -> bool:
        told = self._responses.setdefault(response, [])
        scope = span.scope.name
        # Of one library they are two requests, to a server that gives all responses the same id.
        if any(
            span.start_ns < one.end_ns and one.start_ns < span.end_ns and one.scope != scope
            for one in told
        ):
            return True
        if len(told) < MAX_CALLS:
            told.append(_Told(span.start_ns, span.end_ns, scope))
        return False


class _Part:
    """What leaves together, with the way upwards from each span of it."""

    def __init__(
        self, spans: Sequence[SpanRecord], above: Above, left: dict[str, _Inherited]
    ) -> None:
        self._spans = {span.span_id: span for span in spans}
        self._above = above
        self._left = left
        self._found: dict[str, _Inherited] = {}

    def is_of_gen_ai(self) -> bool:
        """Whether any of the spans, or an open one around them, matters."""
        if any_gen_ai(self._spans.values()):
            return True
        seen: set[str] = set()
        for span in self._spans.values():
            at = span.parent_span_id
            while at is not None and at not in self._spans and at not in seen:
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
        span = self._spans.get(span_id)
        # The usual order: whoever leaves with its parent comes after it.
        around = self._found.get(span.parent_span_id or "") if span is not None else None
        if span is not None and around is not None:
            handed = _handed_down(span.parent_span_id, span.attributes, around)
            self._found[span_id] = handed
            return handed
        return self._known(span_id) or self._inherited_by_way(span_id)

    def _inherited_by_way(self, span_id: str) -> _Inherited:
        path: dict[str, Enclosing] = {}
        at: str | None = span_id
        while at is not None and at not in path and self._known(at) is None:
            enclosing = self._enclosing(at)
            if enclosing is None:
                break
            path[at] = enclosing
            at = enclosing.parent_span_id
        inherited = (self._known(at) if at is not None else None) or _NOTHING
        for below, (parent_span_id, attributes) in reversed(path.items()):
            inherited = self._found[below] = _handed_down(parent_span_id, attributes, inherited)
        return inherited if path else self._found.setdefault(span_id, _NOTHING)

    def _known(self, span_id: str) -> _Inherited | None:
        found = self._found.get(span_id)
        if found is None and span_id not in self._spans:
            found = self._left.get(span_id)
        return found

    def _enclosing(self, span_id: str) -> Enclosing | None:
        span = self._spans.get(span_id)
        if span is not None:
            return Enclosing(span.parent_span_id, span.attributes)
        return self._above(span_id)


_NOTHING: Final = _Inherited(None, "", "")


def _handed_down(
    parent_span_id: str | None, attributes: Attributes, inherited: _Inherited
) -> _Inherited:
    if not is_gen_ai(attributes):
        return _Inherited(parent_span_id, inherited.agent, inherited.conversation)
    agent = _agent_of(attributes)
    if agent and _operation_of(attributes) == "create_agent":
        agent = ""  # one that is being created does nothing yet
    return _Inherited(
        parent_span_id,
        agent or inherited.agent,
        _conversation_of(attributes) or inherited.conversation,
    )


def _completed(span: SpanRecord, inherited: _Inherited, *, repeats: bool) -> SpanRecord:
    own = span.attributes
    is_plain = not is_gen_ai(own)
    added: Attributes = {}
    if inherited.agent and (is_plain or not _agent_of(own)):
        added[AGENT] = inherited.agent
    if inherited.conversation and (is_plain or not _conversation_of(own)):
        added[CONVERSATION] = inherited.conversation
    if not added and not repeats:
        return span
    attributes = {**own, **added}
    if repeats:
        for name, canonical in _USAGE_NAMES.items():
            if name in attributes:
                attributes.setdefault(AGGREGATE[canonical], attributes.pop(name))
    return msgspec.structs.replace(span, attributes=attributes)


def _operation_of(attributes: Attributes) -> str:
    operation = attributes.get(OPERATION)
    if isinstance(operation, str) and operation:
        return operation.lower()
    if not _has_kind(attributes):
        return ""
    for key, kinds in KINDS.items():
        kind = attributes.get(key)
        if isinstance(kind, str) and (known := kinds.get(kind.lower())):
            return known
    return "other"  # a chain, a task or the like


def _agent_of(attributes: Attributes) -> str:
    name = attributes.get(AGENT)
    if isinstance(name, str) and name:
        return name
    has_kind = _has_kind(attributes)
    if _operation_of(attributes) != "invoke_agent":
        return _first(attributes, ("agent.name",)) if has_kind else ""
    names = ("agent.name", *ENTITY_NAMES) if has_kind else ()
    return _first(attributes, (*names, *_FUNCTION_NAMES))


def _conversation_of(attributes: Attributes) -> str:
    conversation = ""
    if not _CONVERSATIONS.isdisjoint(attributes):
        conversation = _first(attributes, _CONVERSATION_NAMES)
    if not conversation and not attributes.keys().isdisjoint(SESSION_OWNERS):
        conversation = _first(attributes, ("session.id",))
    return conversation


def _has_kind(attributes: Attributes) -> bool:
    return not _KIND_NAMES.isdisjoint(attributes)


def _first(attributes: Attributes, names: Sequence[str]) -> str:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _call_of(attributes: Attributes) -> _Call:
    return _Call(
        _first(attributes, _RESPONSE_ID_NAMES),
        _operation_of(attributes),
        _first(attributes, _MODEL_NAMES),
    )


def _forget_oldest(known: dict[str, _Value]) -> None:
    for key in list(itertools.islice(known, max(0, len(known) - MAX_REMEMBERED))):
        del known[key]
