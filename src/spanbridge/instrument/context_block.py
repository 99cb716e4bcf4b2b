"""A block of code, or a function, with a context of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from opentelemetry.context import Context, create_key, get_current, set_value

from spanbridge.instrument.activation import Activation
from spanbridge.instrument.entered import Entered
from spanbridge.instrument.wrapping import wrap
from spanbridge.runtime.guard import GUARD

P = ParamSpec("P")
R = TypeVar("R")

_KEY: Final = create_key("spanbridge.instrument.context_block")


class ContextBlock:
    """A context manager and a decorator, sync and async, in one object.

    It may be used any number of times, also at once from several tasks and threads. As a
    decorator it takes plain, async, generator and async generator functions; a generator has its
    context inside only, so its consumer never sees it.

    Args:
        derive: Makes the block's context of the one around it, at each use. If it fails, the
            block has the context around it.
    """

    def __init__(self, derive: Callable[[Context], Context]) -> None:
        self._derive = derive
        self._entered: Entered[_Use] = Entered()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function; its signature stays."""
        return wrap(function, self._begin, self._begin)

    def __enter__(self) -> None:
        use = self._begin()
        self._entered.add(_KEY, use, use)
        use.resume()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.leave().suspend()

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
        around = get_current()
        try:
            return _Use(self._derive(around))
        except Exception as failure:  # of what others sent, or of somebody's own propagator
            GUARD.caught("instrument.context", failure)
            return _Use(around)


class _Use:
    """One use of a block, which suspendable code leaves and enters again."""

    __slots__ = ("_activation", "_context")

    def __init__(self, context: Context) -> None:
        self._context = set_value(_KEY, self, context)
        self._activation: Activation | None = None

    @property
    def run(self) -> _Use:
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing has to be told of how it ended."""

    def count(self) -> None:
        """What is yielded is nobody's business here."""

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
