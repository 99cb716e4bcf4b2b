"""Turns a function into the same function with a span around each call.

A span that is current across a ``yield`` would leak into the consumer of a generator, and could
not be detached when the generator is closed by another task. So generators are run step by step:
their context is current during a step only, and what they made current themselves is kept for
the next step.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Steps(Protocol):
    """One use of a helper around suspendable code."""

    @property
    def run(self) -> Finishable: ...
    def resume(self) -> None: ...
    def count(self) -> None: ...
    def suspend(self) -> None: ...
    def __enter__(self) -> object: ...
    def __exit__(self, *exc_info: Any) -> None: ...


class Finishable(Protocol):
    """What can be ended with the exception that ended it."""

    def finish(self, error: BaseException | None = None) -> None: ...


Begin = Callable[[], Steps]


def wrap(function: Callable[P, R], begin: Begin, begin_stream: Begin) -> Callable[P, R]:
    """The function with a use around each call, of the same kind and signature.

    Args:
        function: A plain, async, generator or async generator function.
        begin: Begins a use for a call that returns.
        begin_stream: Begins a use for a call that yields.
    """
    # Any: the four kinds of function share no type; the cast restores the caller's.
    target: Any = function
    if isinstance(target, classmethod | staticmethod):
        return cast("Callable[P, R]", type(target)(wrap(target.__func__, begin, begin_stream)))
    if _is(inspect.isasyncgenfunction, target):
        wrapper: Any = _async_generator(target, begin_stream)
    elif _is(inspect.isgeneratorfunction, target):
        wrapper = _generator(target, begin_stream)
    elif _is(inspect.iscoroutinefunction, target):
        wrapper = _coroutine(target, begin)
    else:
        wrapper = _plain(target, begin)
    return cast("Callable[P, R]", functools.wraps(function)(wrapper))


def is_generator(function: object) -> bool:
    """Whether calls of a function, or of what a class wraps as a method, yield."""
    target: Any = (
        function.__func__ if isinstance(function, classmethod | staticmethod) else function
    )
    return _is(inspect.isasyncgenfunction, target) or _is(inspect.isgeneratorfunction, target)


def _is(kind: Callable[[object], bool], function: Callable[..., object]) -> bool:
    return kind(function) or kind(getattr(function, "__call__", None))  # noqa: B004 - an object's


def _plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return await function(*args, **kwargs)

    return wrapper


def _generator(
    function: Callable[..., Generator[Any, Any, Any]], begin: Begin
) -> Callable[..., Generator[Any, Any, Any]]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        use = begin()
        try:
            result = yield from _stepwise(function(*args, **kwargs), use)
        except BaseException as error:
            use.run.finish(error)
            raise
        use.run.finish()
        return result

    return wrapper


def _stepwise(generator: Generator[Any, Any, Any], use: Steps) -> Generator[Any, Any, Any]:
    sent: Any = None
    thrown: BaseException | None = None
    while True:
        use.resume()
        try:
            item = generator.send(sent) if thrown is None else generator.throw(thrown)
        except StopIteration as stop:
            return stop.value
        finally:
            use.suspend()
            thrown = None  # would hold the exception's frames while suspended
        use.count()
        try:
            sent = yield item
        except GeneratorExit:
            use.resume()
            try:
                generator.close()
            finally:
                use.suspend()
            raise
        except BaseException as error:
            thrown = error


def _async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], begin: Begin
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        use = begin()
        sent: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                use.resume()
                try:
                    item = await (
                        generator.asend(sent) if thrown is None else generator.athrow(thrown)
                    )
                except StopAsyncIteration:
                    break
                finally:
                    use.suspend()
                    thrown = None  # would hold the exception's frames while suspended
                use.count()
                try:
                    sent = yield item
                except GeneratorExit:
                    await _close(generator, use)
                    raise
                except BaseException as error:
                    thrown = error
        except BaseException as error:
            use.run.finish(error)
            raise
        use.run.finish()

    return wrapper


async def _close(generator: AsyncGenerator[Any, Any], use: Steps) -> None:
    use.resume()
    try:
        await generator.aclose()
    finally:
        use.suspend()
