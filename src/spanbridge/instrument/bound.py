"""Ids that belong on everything a piece of work writes: tenant, user, session, conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict, Unpack

from opentelemetry import baggage
from opentelemetry.context import Context, set_value
from opentelemetry.trace import Span, get_current_span

from spanbridge.conventions.upstream import (
    GEN_AI_CONVERSATION_ID,
    SESSION_ID,
    TENANT_ID,
    USER_ID,
)
from spanbridge.instrument.context_block import ContextBlock
from spanbridge.instrument.given import mapping_of, named_attributes
from spanbridge.instrument.values import AttributeValue, attribute_values
from spanbridge.runtime.bound import KEY, NOTHING, RUNNING_SPANS, Block, Bound, block_of, put_on
from spanbridge.runtime.guard import GUARD


class WellKnownIds(TypedDict, total=False):
    """Ids that have names of their own.

    Attributes:
        tenant_id: ``tenant.id``, the customer a service works for.
        user_id: ``user.id``.
        session_id: ``session.id``.
        conversation_id: ``gen_ai.conversation.id``.
    """

    tenant_id: object
    user_id: object
    session_id: object
    conversation_id: object


_NAMES: Final[Mapping[str, str]] = {
    "tenant_id": TENANT_ID,
    "user_id": USER_ID,
    "session_id": SESSION_ID,
    "conversation_id": GEN_AI_CONVERSATION_ID,
}


def bound(
    attributes: Mapping[str, object] | None = None,
    /,
    *,
    override: bool = False,
    in_baggage: bool = False,
    **ids: Unpack[WellKnownIds],
) -> ContextBlock:
    """Put attributes on every span and log record of a block of code, and on its issues.

    That goes for spans of third-party instrumentations too, and for whatever the block starts
    under OpenTelemetry's context: tasks, ``asyncio.to_thread``, and threads where the threading
    instrumentation is on. Blocks nest; the inner one adds to the outer one.

    The attributes stay in this process unless ``in_baggage`` says otherwise. Without arguments it
    only opens a block for :func:`bind`.

    Args:
        attributes: By their OpenTelemetry names; values of any type. ``None`` leaves one out.
        override: Whether they win over values that a span or log record has of its own, also ones
            set while the span runs.
        in_baggage: Put them into OpenTelemetry's baggage too: every outgoing request tells them.
        ids: The same by keyword, for names in common use.
    """
    named = _named(attributes, ids)

    def derive(context: Context) -> Context:
        around = block_of(context)
        before = around.bound if around is not None else NOTHING
        context = set_value(KEY, Block(before.with_more(named, override=override)), context)
        if in_baggage:
            for name, value in named.items():
                context = baggage.set_baggage(name, str(value), context)
        return context

    return ContextBlock(derive)


def bind(
    attributes: Mapping[str, object] | None = None,
    /,
    *,
    override: bool = False,
    **ids: Unpack[WellKnownIds],
) -> None:
    """Add attributes to the :func:`bound` block around the caller, and to the current span.

    For what is known only in the middle of a request: everything that starts in the block from
    here on carries them, in whichever of its tasks or threads; a task that was made in the block
    keeps them as long as it runs, also beyond the block's end. Under ``instrument_app`` of FastAPI
    and Flask each request is a block. Outside of any block nothing could
    end it, and the next request on the same thread would carry them too: then only the current
    span gets them, and a warning says so.

    Args:
        attributes: By their OpenTelemetry names; values of any type. ``None`` leaves one out.
        override: Whether they win over values that a span or log record has of its own, on the
            current span also over one that is set later.
        ids: The same by keyword, for names in common use.
    """
    named = _named(attributes, ids)
    block = block_of(None)
    before = NOTHING
    if block is None:
        GUARD.report(
            "bind() outside of a bound() block",
            "only the current span carries it; open a block with bound(), or let instrument_app() "
            "of FastAPI or Flask open one for each request",
        )
    else:
        before = block.add(named, override=override)
    try:
        span = get_current_span()
        put_on(span, named if override else _without_own(named, span, before))
        if named and (hold := RUNNING_SPANS.hold) is not None:
            hold(span.get_span_context(), named, override)
    except Exception as failure:  # of somebody's own kind of span
        GUARD.caught("instrument.bind", failure)


def _without_own(
    named: Mapping[str, AttributeValue], span: Span, before: Bound
) -> Mapping[str, AttributeValue]:
    """Without those that the span has of its own: not from what was bound before."""
    has: Mapping[str, object] = getattr(span, "attributes", None) or {}
    return {
        name: value
        for name, value in named.items()
        if name not in has or _as_on_span(before.attributes.get(name)) == has[name]
    }


def _as_on_span(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _named(attributes: Mapping[str, object] | None, ids: WellKnownIds) -> dict[str, AttributeValue]:
    return attribute_values({**mapping_of(attributes), **named_attributes(_NAMES, ids, "bound()")})
