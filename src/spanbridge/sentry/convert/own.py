"""What a span says itself of its agent, its conversation and the tokens it used, in any dialect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.dialects.names import (
    AGENT,
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

MODEL_CALLS: Final = frozenset(
    {"chat", "generate_content", "text_completion", "embeddings", "fetch_response", ""}
)
"""Operations that use tokens themselves. Usage on any other is a sum if a descendant reports."""

USAGE_NAMES: Final = {
    **{name: name for name in USAGE},
    **{old: new for old, new in RENAMED.items() if new in USAGE},
}
"""Names of token counts, and what each is called now."""

_REPORTING: Final = frozenset(USAGE_NAMES)
_CONVERSATION_NAMES: Final = (CONVERSATION, *(o for o, n in RENAMED.items() if n == CONVERSATION))
_CONVERSATIONS: Final = frozenset(_CONVERSATION_NAMES)
_SESSION_OWNERS: Final = frozenset(SESSION_OWNERS)
_RESPONSE_ID_NAMES: Final = (RESPONSE_ID, *(o for o, n in RENAMED.items() if n == RESPONSE_ID))
_MODEL_NAMES: Final = (
    REQUEST_MODEL,
    RESPONSE_MODEL,
    *(old for old, new in RENAMED.items() if new in (REQUEST_MODEL, RESPONSE_MODEL)),
    *RENAMED_IF_ALONE,
)
_KIND_NAMES: Final = frozenset(KINDS)
_EMBEDDINGS: Final = "embeddings"
_FUNCTION_NAMES: Final = ("gen_ai.function_id", "ai.telemetry.functionId")
_MARKS: Final = frozenset(
    (OPERATION, PROVIDER, "gen_ai.system", AGENT, *_CONVERSATION_NAMES, *USAGE_NAMES, *KINDS)
)


class Own(msgspec.Struct, frozen=True, gc=False):
    """What a span says itself; what it does not say is empty."""

    agent: str = ""
    conversation: str = ""
    operation: str = ""
    reports_usage: bool = False


PLAIN: Final = Own()
"""What is told by a span that has nothing to do with agents or models."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """What tells one request to a model from another; each is empty if the span does not say it."""

    response: str
    operation: str
    model: str

    def may_be(self, other: Call) -> bool:
        """Whether two spans, one directly in the other, can tell of the same request."""
        if self.response and other.response:
            return self.response == other.response
        if (self.operation == _EMBEDDINGS) != (other.operation == _EMBEDDINGS):
            return False
        # A response names the model more exactly than a request: gpt-5 became gpt-5-2025-08-07.
        return self.model.startswith(other.model) or other.model.startswith(self.model)


def is_gen_ai(attributes: Mapping[str, object]) -> bool:
    """Whether a span says anything of the kind."""
    return not _MARKS.isdisjoint(attributes)


def any_gen_ai(spans: Iterable[SpanRecord]) -> bool:
    """Whether any of the spans says anything of the kind."""
    unmarked = _MARKS.isdisjoint
    for span in spans:  # noqa: SIM110 a generator would take twice as long
        if not unmarked(span.attributes):
            return True
    return False


def own_of(attributes: Attributes) -> Own:
    """What a span with these attributes says itself."""
    if _MARKS.isdisjoint(attributes):
        return PLAIN
    operation = _operation_of(attributes)
    return Own(
        _agent_of(attributes, operation),
        _conversation_of(attributes),
        operation,
        not _REPORTING.isdisjoint(attributes),
    )


def call_of(attributes: Attributes, own: Own) -> Call | None:
    """The request that a span tells of; none if it is no model's."""
    if own.operation not in MODEL_CALLS:
        return None
    return Call(
        _first(attributes, _RESPONSE_ID_NAMES),
        own.operation,
        _first(attributes, _MODEL_NAMES),
    )


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


def _agent_of(attributes: Attributes, operation: str) -> str:
    name = attributes.get(AGENT)
    if isinstance(name, str) and name:
        return name
    has_kind = _has_kind(attributes)
    if operation != "invoke_agent":
        return _first(attributes, ("agent.name",)) if has_kind else ""
    names = ("agent.name", *ENTITY_NAMES) if has_kind else ()
    return _first(attributes, (*names, *_FUNCTION_NAMES))


def _conversation_of(attributes: Attributes) -> str:
    conversation = ""
    if not _CONVERSATIONS.isdisjoint(attributes):
        conversation = _first(attributes, _CONVERSATION_NAMES)
    if not conversation and not _SESSION_OWNERS.isdisjoint(attributes):
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
