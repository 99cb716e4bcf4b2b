"""Spans and the ways that control flows through them."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator

from spanbridge.instrument import agent_task
from tests.contract.parity.programs.failing import ApplicationError, divide, fail
from tests.contract.parity.programs.program import (
    Spans,
    dying_program,
    program,
    self_reporting_program,
)

LOGGER = logging.getLogger("parity.application")


@program
def one_span(spans: Spans) -> None:
    with spans.span("work"):
        fail()


@program
def no_span_of_its_own(spans: Spans) -> None:
    total, parts = 10.0, 0
    divide(total, parts)


@program
def nested_spans(spans: Spans) -> None:
    with spans.span("outer"), spans.span("middle"):
        with spans.span("inner"):
            fail("three deep")


@program
def a_span_in_every_function(spans: Spans) -> None:
    def handle(request: str) -> None:
        with spans.span("handle"):
            load(request.upper())

    def load(key: str) -> None:
        with spans.span("load"):
            fail(key)

    handle("order")


@program
def a_span_around_a_raise(spans: Spans) -> None:
    with spans.span("work"):
        raise ValueError("here")


@program
def decorated_by_opentelemetry(spans: Spans) -> None:
    @spans.span("outer")
    def outer(amount: int) -> None:
        inner(amount=amount + 1)

    @spans.span("inner")
    def inner(*, amount: int) -> None:
        fail(str(amount))

    outer(7)


@program
def decorated_by_spanbridge(spans: Spans) -> None:
    @agent_task("planner")
    def plan(steps: list[str]) -> None:
        first = steps[0]
        fail(first)

    plan(["search", "read"])


@program
def a_block_of_spanbridge(spans: Spans) -> None:
    with agent_task("planner", task_type="plan"):
        fail("no plan")


@program
def a_context_manager_of_the_application(spans: Spans) -> None:
    @contextlib.contextmanager
    def transaction(name: str) -> Iterator[str]:
        with spans.span(name):
            yield name.upper()

    with transaction("commit") as opened:
        fail(opened)


@program
def a_context_manager_that_fails_at_its_end(spans: Spans) -> None:
    @contextlib.contextmanager
    def transaction() -> Iterator[None]:
        with spans.span("transaction"):
            yield
            fail("at the end")

    with transaction():
        done = True
        assert done


@program
def an_exit_stack(spans: Spans) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(spans.span("first"))
        stack.enter_context(spans.span("second"))
        fail("on the stack")


@program
def a_decorator_of_the_application_around_a_span(spans: Spans) -> None:
    def traced(function: Callable[[int], None]) -> Callable[[int], None]:
        @functools.wraps(function)
        def wrapper(count: int) -> None:
            with spans.span("traced"):
                return function(count)

        return wrapper

    @traced
    def work(count: int) -> None:
        fail(f"count {count}")

    work(3)


@program
def a_generator(spans: Spans) -> None:
    def numbers(limit: int) -> Iterator[int]:
        with spans.span("numbers"):
            for number in range(limit):
                yield divide(1, 2 - number)  # type: ignore[misc]

    for _ in numbers(5):
        pass


@program
def a_generator_into_which_is_thrown(spans: Spans) -> None:
    def consumer() -> Iterator[None]:
        with spans.span("consumer"):
            while True:
                yield

    running = consumer()
    next(running)
    running.throw(ApplicationError("thrown in"))  # type: ignore[attr-defined]


@program
def delegating_generators(spans: Spans) -> None:
    def inner() -> Iterator[int]:
        yield 1
        fail("inner generator")

    def outer() -> Iterator[int]:
        with spans.span("outer"):
            yield from inner()

    list(outer())


@program
def raised_in_finally(spans: Spans) -> None:
    with spans.span("work"):
        try:
            fail("first")
        finally:
            divide(1, 0)


@program
def an_else_branch(spans: Spans) -> None:
    with spans.span("work"):
        try:
            started = True
        except ValueError:
            raise
        else:
            fail(f"else {started}")


@program
def retried_and_lost(spans: Spans) -> None:
    attempts = 3
    for attempt in range(attempts):
        try:
            with spans.span("attempt"):
                fail(f"attempt {attempt}")
        except ApplicationError:
            if attempt == attempts - 1:
                raise


@dying_program
def that_dies(spans: Spans) -> None:
    with spans.span("work"):
        fail("the end")


@dying_program
def that_dies_of_a_chain(spans: Spans) -> None:
    try:
        with spans.span("work"):
            fail("inner")
    except ApplicationError as error:
        raise RuntimeError("outer") from error


@self_reporting_program
def that_logs_its_exception(spans: Spans) -> None:
    with spans.span("work"):
        try:
            with spans.span("step"):
                fail("logged")
        except ApplicationError:
            LOGGER.exception("the step failed")
            raise
