"""Which of its uses a context manager is left from, when one object serves many at once."""

from __future__ import annotations

from typing import Generic, TypeVar

from opentelemetry.context import get_value

T = TypeVar("T")


class Entered(Generic[T]):
    """The uses of one object that were entered and not left yet, in order.

    One object may be entered from several tasks and threads at once. The context tells which use
    is left: each puts a mark of its own there.
    """

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        self._uses: list[tuple[str, object, T]] = []

    def add(self, context_key: str, mark: object, use: T) -> None:
        """Note a use, inside of which the context has ``mark`` under ``context_key``."""
        self._uses.append((context_key, mark, use))

    def leave(self) -> T:
        """The use that is left now; in a foreign context (closed elsewhere) the last entered."""
        for entry in reversed(tuple(self._uses)):
            context_key, mark, use = entry
            if get_value(context_key) is mark:
                self._uses.remove(entry)
                return use
        return self._uses.pop()[2]
