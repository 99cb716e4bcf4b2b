"""What is behind every helper: a description that becomes a fresh span at each use."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

from opentelemetry.context import Context, set_value
from opentelemetry.trace import INVALID_SPAN, Span, TracerProvider, set_span_in_context

from spanbridge.conventions import MultiAgentTaskOutcome
from spanbridge.instrument.activation import Activation
from spanbridge.instrument.entered import Entered
from spanbridge.instrument.given import amount_of, moment_of, text_of
from spanbridge.instrument.run import RunT
from spanbridge.instrument.scope import tracer_of
from spanbridge.instrument.stream_times import StreamTimes
from spanbridge.instrument.values import attribute_values
from spanbridge.instrument.wrapping import wrap
from spanbridge.runtime.guard import GUARD

P = ParamSpec("P")
R = TypeVar("R")

_NS_PER_S = 1_000_000_000


class Use(Generic[RunT]):
    """A run together with the context that is current while its code is executed.

    Code that is suspended (a generator at ``yield``) is left with :meth:`suspend` and entered
    again with :meth:`resume`, so the caller never sees its context.
    """

    __slots__ = ("_activation", "_context", "run")

    def __init__(self, run: RunT) -> None:
        self.run = run
        # Nothing is recorded and nothing propagated: the caller's context may stay as it is.
        self._context: Context | None = None
        self._activation: Activation | None = None
        if run.span is not INVALID_SPAN:
            self._context = set_span_in_context(run.span, set_value(run.context_key, run))

    def resume(self) -> None:
        """Enter the code: make its context current."""
        if self._context is not None:
            self._activation = Activation(self._context)

    def count(self) -> None:
        """An item of the code, a generator, is handed to its consumer."""
        if (times := self.run.stream) is not None:
            times.note()

    def suspend(self) -> None:
        """Leave the code: keep what is current there, and put the caller's context back."""
        if self._activation is not None:
            self._context = self._activation.end()
            self._activation = None

    def __enter__(self) -> RunT:
        self.resume()
        return self.run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.suspend()
        self.run.finish(error)

    def __del__(self) -> None:
        # An async generator left behind by a closed event loop is freed without being closed.
        if not self.run.has_ended:
            self.run.finish(GeneratorExit())


class Operation(Generic[RunT]):
    """A decorator and a context manager, sync and async, in one object.

    Every call of the decorated function and every ``with`` gets a span of its own; the object may
    be used any number of times, also at once from several tasks and threads. As a decorator it
    takes plain, async, generator and async generator functions; a generator's span begins with
    its first item, ends with its last, and is current inside only. Exceptions pass unchanged.

    Args:
        make_run: Makes what ``with`` hands out, of a new span.
        span_name: The name of the spans.
        attributes: Attributes at the start of each span; values of any type.
        tracer_provider: Instead of the global one.
        parent: The parent of the spans, instead of the one that is current.
    """

    def __init__(
        self,
        make_run: Callable[[Span], RunT],
        span_name: str,
        attributes: Mapping[str, object],
        tracer_provider: TracerProvider | None = None,
        parent: Span | None = None,
    ) -> None:
        self._make_run = make_run
        self._span_name = text_of(span_name)
        self._attributes = attribute_values(attributes)
        self._tracer = tracer_of(tracer_provider)
        self._parent = parent
        self._entered: Entered[Use[RunT]] = Entered()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function; its signature stays."""
        return wrap(function, self.begin, self.begin_stream)

    def begin(self, start_time_ns: int | None = None) -> Use[RunT]:
        """Start a span, without making it current yet."""
        return Use(self._make_run(self._start_span(start_time_ns)))

    def begin_stream(self) -> Use[RunT]:
        """The same for a generator, whose items are counted."""
        use = self.begin()
        use.run.stream = StreamTimes()
        return use

    def __enter__(self) -> RunT:
        use = self.begin()
        self._entered.add(use.run.context_key, use.run, use)
        use.resume()
        return use.run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.leave().__exit__(kind, error, traceback)

    async def __aenter__(self) -> RunT:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _start_span(self, start_time_ns: int | None) -> Span:
        try:
            return self._tracer.start_span(
                self._span_name,
                None if self._parent is None else set_span_in_context(self._parent),
                attributes=self._attributes,
                start_time=start_time_ns,
            )
        except Exception as failure:  # somebody's sampler or span processor
            GUARD.caught("instrument.start", failure)
            return INVALID_SPAN


def record(
    operation: Operation[RunT],
    duration_s: float,
    end_time_ns: int | None,
    outcome: MultiAgentTaskOutcome | None = None,
    error: BaseException | None = None,
) -> None:
    """Write the span of work that is finished already.

    Args:
        operation: What was done.
        duration_s: How long it took, in seconds.
        end_time_ns: When it ended, as Unix time in nanoseconds; now by default.
        outcome: How it ended; ``ok`` by default.
        error: What it failed with; decides the outcome.
    """
    end_ns = moment_of(end_time_ns)
    if end_ns is None:
        end_ns = time.time_ns()
    took_s = amount_of(duration_s, end_ns / _NS_PER_S, "a duration")
    use = operation.begin(max(0, end_ns - round((took_s or 0) * _NS_PER_S)))
    use.run.set_outcome(outcome)
    use.run.finish(error, end_ns)
