"""Attributes bound to a stretch of work, carried in OpenTelemetry's context.

Whoever binds them and whoever puts them on spans and log records meet here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple, TypeAlias

from opentelemetry.context import Context, create_key, get_value
from opentelemetry.trace import Span, SpanContext

Value: TypeAlias = (
    str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]
)

KEY: Final = create_key("spanbridge-bound")


class Bound(NamedTuple):
    """What is bound at one moment; never changed afterwards."""

    attributes: Mapping[str, Value]
    overriding: frozenset[str] = frozenset()
    """Names whose bound value wins over one that the span or log record has of its own."""

    def with_more(self, attributes: Mapping[str, Value], *, override: bool) -> Bound:
        """Both together; what was bound last wins."""
        names = frozenset(attributes)
        overriding = self.overriding | names if override else self.overriding - names
        return Bound({**self.attributes, **attributes}, overriding)

    def missing_in(self, attributes: Mapping[str, object]) -> dict[str, Value]:
        """What has to be put among ``attributes``: what they have not, and what overrides."""
        overriding = self.overriding
        return {
            name: value
            for name, value in self.attributes.items()
            if name in overriding or name not in attributes
        }

    def put_into(self, attributes: MutableMapping[str, Any]) -> None:
        """Put it among ``attributes``."""
        attributes.update(self.missing_in(attributes))


NOTHING: Final = Bound({})


class Block:
    """A stretch of work, to which more may be bound while it lasts, by any of its tasks."""

    __slots__ = ("_lock", "bound")

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self._lock = Lock()

    def add(self, attributes: Mapping[str, Value], *, override: bool) -> Bound:
        """Bind more from here on; returns what was bound before."""
        with self._lock:  # two of its threads at once must not lose what the other one binds
            before = self.bound
            self.bound = before.with_more(attributes, override=override)
        return before


class RunningSpans:
    """Who sees to it that what is bound to a running span is there at its end."""

    __slots__ = ("hold",)

    def __init__(self) -> None:
        self.hold: Callable[[SpanContext, Mapping[str, Value], bool], None] | None = None
        """Takes more attributes of a span, and whether they override; ``None`` while nobody reads
        the spans that end."""


RUNNING_SPANS: Final = RunningSpans()


def put_on(span: Span, attributes: Mapping[str, Value]) -> None:
    """Set attributes on a running span, as far as it has room: a full one would drop its own."""
    own = getattr(span, "attributes", None) or {}
    # The SDK shows the attributes by a view that does not tell their limit.
    most = getattr(getattr(span, "_attributes", None), "maxlen", None)
    if most is not None and len(own) + len(attributes) > most:
        new = [name for name in attributes if name not in own]
        beyond = set(new[max(0, most - len(own)) :])
        attributes = {name: value for name, value in attributes.items() if name not in beyond}
    span.set_attributes(attributes)


def block_of(context: Context | None) -> Block | None:
    """The innermost block around ``context``; ``None`` stands for the current one."""
    value = get_value(KEY, context)
    return value if isinstance(value, Block) else None


def bound_in(context: Context | None) -> Bound | None:
    """What is bound in ``context``; ``None`` if nothing is."""
    block = block_of(context)
    return block.bound if block is not None and block.bound.attributes else None
