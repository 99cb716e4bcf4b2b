"""``stream``: a span for what comes in pieces, whoever takes them and wherever they stop."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, Final, ParamSpec, TypeVar, overload

from opentelemetry.trace import Span, TracerProvider

from spanbridge.conventions import MultiAgentTaskOutcome
from spanbridge.conventions.upstream import (
    GEN_AI_OPERATION_NAME,
    GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
)
from spanbridge.instrument.operation import Operation
from spanbridge.instrument.run import Run
from spanbridge.instrument.values import AttributeValue
from spanbridge.instrument.wrapping import is_generator

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

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

    def _outcome_attributes(self, outcome: MultiAgentTaskOutcome) -> Mapping[str, AttributeValue]:
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
    def over(self, items: AsyncIterable[T]) -> AsyncIterator[T]: ...
    @overload
    def over(self, items: Iterable[T]) -> Iterator[T]: ...
    def over(self, items: Iterable[T] | AsyncIterable[T]) -> Iterator[T] | AsyncIterator[T]:
        """The same items, with a span from the first that is asked for to the last.

        If the consumer stops before the end, ``items`` is closed where it can be.
        """
        # Any: mypy cannot tell which of the two it is from either side.
        each: Any = _each_async if isinstance(items, AsyncIterable) else _each
        taken: Iterator[T] | AsyncIterator[T] = self._operation(each)(items)
        return taken


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
    given = dict(attributes or {})
    is_inference = given.get(GEN_AI_OPERATION_NAME) in _INFERENCE
    make_run = partial(_StreamRun, is_inference=is_inference)
    return Stream(Operation(make_run, name, given, tracer_provider))


def _each(items: Iterable[T]) -> Iterator[T]:
    iterator = iter(items)
    try:
        for item in iterator:  # noqa: UP028 - `yield from` would pass values to any iterator
            yield item
    except BaseException:
        for close in _closing(iterator, items):
            close()
        raise


async def _each_async(items: AsyncIterable[T]) -> AsyncIterator[T]:
    iterator = aiter(items)
    try:
        async for item in iterator:
            yield item
    except BaseException:
        for close in _closing(iterator, items):
            if isawaitable(closing := close()):
                await closing
        raise


def _closing(iterator: object, items: object) -> list[Callable[[], object]]:
    """What closes an iterator, and what it came from: a client's response is not its iterator."""
    sources = (iterator,) if iterator is items else (iterator, items)
    closes = (getattr(s, "aclose", None) or getattr(s, "close", None) for s in sources)
    return [close for close in closes if callable(close)]
