"""``stream``: a span for what comes in pieces, whoever takes them and wherever they stop."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from functools import partial
from inspect import isawaitable
from typing import Any, Final, ParamSpec, Protocol, TypeVar, overload

from opentelemetry.trace import Span, TracerProvider

from spanbridge.conventions.upstream import (
    GEN_AI_OPERATION_NAME,
    GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
)
from spanbridge.instrument.given import mapping_of, text_of
from spanbridge.instrument.operation import Operation
from spanbridge.instrument.run import Run
from spanbridge.instrument.values import AttributeValue
from spanbridge.instrument.wrapping import is_generator

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_INFERENCE: Final = frozenset({"chat", "generate_content", "text_completion"})
"""Values of ``gen_ai.operation.name`` whose spans have a time to the first chunk upstream."""


class _StreamRun(Run):
    """A stream that is being taken."""

    def __init__(self, span: Span, *, is_inference: bool) -> None:
        super().__init__(span)
        self._is_inference = is_inference

    def _stream_attributes(self) -> Mapping[str, AttributeValue]:
        attributes = super()._stream_attributes()
        first_s = self.stream.time_to_first_s if self.stream is not None else None
        if self._is_inference and first_s is not None:
            return {**attributes, GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: first_s}
        return attributes

    def _outcome_attributes(self, outcome: str) -> Mapping[str, AttributeValue]:
        return {}  # not a task of an agent's


class Stream:
    """What :func:`stream` returns: a decorator, and a wrapper of iterators."""

    def __init__(self, operation: Operation[_StreamRun]) -> None:
        self._operation = operation

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a generator function, sync or async; its signature stays.

        Raises:
            TypeError: At decoration, for any other function: it returns once. Put
                :meth:`over` around what it returns.
        """
        if not is_generator(function):
            raise TypeError(f"{function!r} returns once; put stream(…).over() around what it gives")
        return self._operation(function)

    @overload
    def over(self, items: _EitherWay[T]) -> _EitherTaken[T]: ...
    @overload
    def over(self, items: AsyncIterable[T]) -> AsyncIterator[T]: ...
    @overload
    def over(self, items: Iterable[T]) -> Iterator[T]: ...
    def over(self, items: Iterable[T] | AsyncIterable[T]) -> Iterator[T] | AsyncIterator[T]:
        """The same items, with a span from the first that is asked for to the last.

        If the consumer stops before the end, the iterator that was made of ``items`` is closed
        where it can be. ``items`` itself, which may be a file or a cursor that goes on being used,
        is closed only with what is returned: by its ``close()``, or ``aclose()`` if it is async.
        """
        is_sync = isinstance(items, Iterable) or not isinstance(items, AsyncIterable)
        if is_sync and isinstance(items, AsyncIterable):
            return _EitherTaken(self._operation, items)
        taken = _Taken if is_sync else _TakenAsync
        return taken(self._operation, items)


def stream(
    name: str,
    *,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Stream:
    """A span ``name`` around a generator, or around any iterator whose items come in time.

    A span that OpenTelemetry's own ``start_as_current_span`` opens inside a generator leaks into
    its consumer at every ``yield``, and cannot be closed properly by another task. This one is
    current while the generator runs and at no other time. It begins with the first item that is
    asked for and ends with the last, or where the consumer leaves; then ``spanbridge.outcome``
    says so and the status stays as it is.

    It gets ``spanbridge.stream.chunk.count``, ``.time_to_first_chunk`` and ``.time_to_last_chunk``
    (seconds); if ``gen_ai.operation.name`` is one of inference, also
    ``gen_ai.response.time_to_first_chunk``.

    Args:
        name: The name of the span; few values.
        attributes: Attributes, of any type.
        tracer_provider: Instead of the global one; costs a look-up.

    Example:
        >>> @stream("llm.stream", attributes={"gen_ai.operation.name": "chat"})
        ... def answer(question: str):
        ...     yield from question.split()
        >>> list(answer("why not"))
        ['why', 'not']
        >>> list(stream("rows").over([1, 2]))
        [1, 2]
    """
    given = mapping_of(attributes)
    is_inference = text_of(given.get(GEN_AI_OPERATION_NAME)) in _INFERENCE
    make_run = partial(_StreamRun, is_inference=is_inference)
    return Stream(Operation(make_run, name, given, tracer_provider))


class _EitherWay(Iterable[T_co], AsyncIterable[T_co], Protocol[T_co]):
    """What can be taken with and without waiting, as the answers of some client libraries."""


class _Taken(Iterator[T]):
    """Items that are being taken in a span."""

    # Any: mypy cannot tell which kind of items it is from either side.
    def __init__(self, operation: Operation[_StreamRun], items: Any) -> None:
        self._operation = operation
        self._items = items
        self._each: Any = None

    def __next__(self) -> T:
        item: T = next(self._begun())
        return item

    def close(self) -> None:
        """Take no more, and close what the items come from."""
        try:
            self._begun().close()
        finally:
            if callable(close := getattr(self._items, "close", None)):
                close()

    def _begun(self) -> Any:
        if self._each is None:
            self._each = self._operation(_each)(self._items)
        return self._each


class _TakenAsync(AsyncIterator[T]):
    """The same for items that are waited for."""

    def __init__(self, operation: Operation[_StreamRun], items: Any) -> None:
        self._operation = operation
        self._items = items
        self._each_async: Any = None

    def __anext__(self) -> Awaitable[T]:
        item: Awaitable[T] = anext(self._begun_async())
        return item

    async def aclose(self) -> None:
        """Take no more, and close what the items come from."""
        try:
            await self._begun_async().aclose()
        finally:
            await _aclose(self._items)

    def _begun_async(self) -> Any:
        if self._each_async is None:
            self._each_async = self._operation(_each_async)(self._items)
        return self._each_async


class _EitherTaken(_Taken[T], _TakenAsync[T]):
    """Items that can be taken both ways; the first that asks decides."""

    def __init__(self, operation: Operation[_StreamRun], items: Any) -> None:
        _Taken.__init__(self, operation, items)
        _TakenAsync.__init__(self, operation, items)


def _each(items: Iterable[T]) -> Iterator[T]:
    iterator = iter(items)
    try:
        for item in iterator:  # noqa: UP028 - `yield from` would pass values to any iterator
            yield item
    except BaseException:
        if iterator is not items and callable(close := getattr(iterator, "close", None)):
            close()
        raise


async def _each_async(items: AsyncIterable[T]) -> AsyncIterator[T]:
    iterator = aiter(items)
    try:
        async for item in iterator:
            yield item
    except BaseException:
        if iterator is not items:
            await _aclose(iterator)
        raise


async def _aclose(source: object) -> None:
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if callable(close) and isawaitable(closing := close()):
        await closing
