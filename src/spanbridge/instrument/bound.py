"""Ids that belong on everything a piece of work writes: tenant, user, session, conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, ParamSpec, TypedDict, TypeVar, Unpack

from opentelemetry import baggage
from opentelemetry.context import Context, get_current, get_value, set_value
from opentelemetry.trace import get_current_span

from spanbridge.conventions.upstream import GEN_AI_CONVERSATION_ID, SESSION_ID, USER_ID
from spanbridge.instrument.activation import Activation
from spanbridge.instrument.values import AttributeValue, attribute_values
from spanbridge.instrument.wrapping import wrap
from spanbridge.runtime.bound import KEY, NOTHING, Block, block_of
from spanbridge.runtime.guard import GUARD

P = ParamSpec("P")
R = TypeVar("R")

TENANT_ID: Final = "tenant.id"
"""OpenTelemetry has no name for it; this is the one in use."""


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


class Binding:
    """What :func:`bound` returns: a context manager and a decorator, sync and async, in one.

    It may be used any number of times, also at once from several tasks and threads. A decorated
    generator is bound inside only, so its consumer is not.
    """

    def __init__(
        self, attributes: Mapping[str, AttributeValue], *, override: bool, in_baggage: bool
    ) -> None:
        self._attributes = attributes
        self._override = override
        self._in_baggage = in_baggage
        self._entered: list[_Use] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function; its signature stays."""
        return wrap(function, self._begin)

    def __enter__(self) -> None:
        use = self._begin()
        self._entered.append(use)
        use.resume()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave().suspend()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _begin(self) -> _Use:
        context = get_current()
        around = block_of(context)
        bound = (around.bound if around is not None else NOTHING).with_more(
            self._attributes, override=self._override
        )
        block = Block(bound)
        context = set_value(KEY, block, context)
        if self._in_baggage:
            for name, value in self._attributes.items():
                context = baggage.set_baggage(name, str(value), context)
        return _Use(block, context)

    def _leave(self) -> _Use:
        # The context tells which use this is when one object is entered from several tasks. A
        # block that is left in a foreign context (closed elsewhere) is the last one entered.
        current = get_value(KEY)
        for use in reversed(tuple(self._entered)):
            if use.block is current:
                self._entered.remove(use)
                return use
        return self._entered.pop()


class _Use:
    """One use of a binding, which suspendable code leaves and enters again."""

    __slots__ = ("_activation", "_context", "block")

    def __init__(self, block: Block, context: Context) -> None:
        self.block = block
        self._context = context
        self._activation: Activation | None = None

    @property
    def run(self) -> _Use:
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing has to be told of how it ended."""

    def resume(self) -> None:
        self._activation = Activation(self._context)

    def suspend(self) -> None:
        if self._activation is not None:
            self._context = self._activation.end()
            self._activation = None

    def __enter__(self) -> None:
        self.resume()

    def __exit__(self, *exc_info: object) -> None:
        self.suspend()


def bound(
    attributes: Mapping[str, object] | None = None,
    /,
    *,
    override: bool = False,
    in_baggage: bool = False,
    **ids: Unpack[WellKnownIds],
) -> Binding:
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
    return Binding(_named(attributes, ids), override=override, in_baggage=in_baggage)


def bind(
    attributes: Mapping[str, object] | None = None,
    /,
    *,
    override: bool = False,
    **ids: Unpack[WellKnownIds],
) -> None:
    """Add attributes to the :func:`bound` block around the caller, and to the current span.

    For what is known only in the middle of a request: everything that starts in the block from
    here on carries them, in whichever of its tasks or threads, until the block ends. Outside of
    any block nothing could end it, and the next request on the same thread would carry them too:
    then only the current span gets them, and a warning says so.

    Args:
        attributes: By their OpenTelemetry names; values of any type. ``None`` leaves one out.
        override: Whether they win over values that a span or log record has of its own.
        ids: The same by keyword, for names in common use.
    """
    named = _named(attributes, ids)
    block = block_of(None)
    if block is None:
        GUARD.report("bind() outside of a bound() block", "only the current span carries it")
    else:
        block.add(named, override=override)
    try:
        get_current_span().set_attributes(named)
    except Exception as failure:  # of somebody's own kind of span
        GUARD.caught("instrument.bind", failure)


def _named(attributes: Mapping[str, object] | None, ids: WellKnownIds) -> dict[str, AttributeValue]:
    named = dict(attributes or {})
    for keyword, value in ids.items():
        name = _NAMES.get(keyword)
        if name is None:
            GUARD.report("instrument: unknown value", f"bound() has no {keyword!r}")
        else:
            named[name] = value
    return attribute_values(named)
