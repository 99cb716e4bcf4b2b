"""How a span ends while an exception is in flight decides what its exception is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import pytest
from opentelemetry.trace import Span, StatusCode

from spanbridge.instrument import agent_task, record_agent_task
from tests.support.told import Told, fail, telling


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told:
        yield told


# A span that ends where the exception is caught


def end_where_caught(span: Span, status: StatusCode | None) -> None:
    try:
        raise ValueError("caught here")
    except ValueError as error:
        span.record_exception(error)
        if status is not None:
            span.set_status(status)
        span.end()


def test_a_root_that_ends_as_error_where_its_exception_is_caught_is_a_handled_issue(
    told: Told,
) -> None:
    end_where_caught(told.tracer.start_span("job"), StatusCode.ERROR)

    [issue] = told.issues
    assert issue["is_handled"]
    assert issue["exceptions"][0]["frames"][-1]["function"] == "end_where_caught"


@pytest.mark.parametrize("status", [StatusCode.OK, None])
def test_a_root_that_ends_well_where_its_exception_is_caught_is_no_issue(
    told: Told, status: StatusCode | None
) -> None:
    end_where_caught(told.tracer.start_span("job"), status)

    assert told.issues == []
    assert told.errors == {"filtered": 1}


def test_a_child_that_ends_as_error_where_its_exception_is_caught_is_a_handled_issue(
    told: Told,
) -> None:
    with told.tracer.start_as_current_span("root"):
        end_where_caught(told.tracer.start_span("step"), StatusCode.ERROR)

    [issue] = told.issues
    assert issue["is_handled"]
    assert issue["span_path"] == ["step"]


def test_a_caught_exception_noted_on_a_span_of_its_own_is_a_handled_issue(told: Told) -> None:
    with told.tracer.start_as_current_span("root"):
        try:
            raise ValueError("x")
        except ValueError as error:
            with told.tracer.start_as_current_span("report") as span:
                span.record_exception(error)
                span.set_status(StatusCode.ERROR)

    [issue] = told.issues
    assert issue["is_handled"]


def test_all_reports_what_was_recorded_by_hand_on_a_span_that_ends_well(tmp_path: Path) -> None:
    with telling(tmp_path / "told.jsonl", issues="all") as told:
        with told.tracer.start_as_current_span("root") as root:
            root.record_exception(ValueError("seen"))
        end_where_caught(told.tracer.start_span("job"), StatusCode.OK)

        assert [i["exceptions"][0]["value"] for i in told.issues] == ["seen", "caught here"]
        assert all(issue["is_handled"] for issue in told.issues)


def test_work_that_a_helper_records_where_its_exception_is_caught_is_a_handled_issue(
    told: Told,
) -> None:
    provider = told.under_test.provider
    with told.tracer.start_as_current_span("root"):
        try:
            fail()
        except ValueError as error:
            record_agent_task("late", duration_s=1.0, error=error, tracer_provider=provider)

    [issue] = told.issues
    assert issue["is_handled"]


# Every way in which an exception leaves a span


def through_a_with_block(told: Told) -> None:
    with told.tracer.start_as_current_span("work"):
        fail()


def through_the_span_itself(told: Told) -> None:
    with told.tracer.start_span("work"):
        fail()


def through_a_stack(told: Told) -> None:
    with ExitStack() as stack:
        stack.enter_context(told.tracer.start_as_current_span("work"))
        fail()


def through_a_decorator(told: Told) -> None:
    told.tracer.start_as_current_span("work")(fail)()


def through_an_async_decorator(told: Told) -> None:
    @told.tracer.start_as_current_span("work")
    async def work() -> None:
        fail()

    asyncio.run(work())


def through_a_helper(told: Told) -> None:
    with agent_task("work", tracer_provider=told.under_test.provider):
        fail()


def through_a_decorating_helper(told: Told) -> None:
    agent_task("work", tracer_provider=told.under_test.provider)(fail)()


def through_a_generator_with_a_helper(told: Told) -> None:
    @agent_task("work", tracer_provider=told.under_test.provider)
    def work() -> Iterator[int]:
        yield 1
        fail()

    list(work())


def through_an_async_generator_with_a_helper(told: Told) -> None:
    @agent_task("work", tracer_provider=told.under_test.provider)
    async def work() -> AsyncIterator[int]:
        yield 1
        fail()

    async def run() -> None:
        async for _ in work():
            pass

    asyncio.run(run())


def through_a_context_manager_of_the_application(told: Told) -> None:
    @contextmanager
    def traced() -> Iterator[None]:
        span = told.tracer.start_span("work")
        try:
            yield
        except ValueError as error:
            span.record_exception(error)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()

    with traced():
        fail()


def through_a_class_of_the_application(told: Told) -> None:
    class Traced:
        def __enter__(self) -> None:
            self.span = told.tracer.start_span("work")

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:
            if error is not None:
                self.span.record_exception(error)
                self.span.set_status(StatusCode.ERROR)
            self.span.end()

    with Traced():
        fail()


@pytest.mark.parametrize(
    "leave",
    [
        through_a_with_block,
        through_the_span_itself,
        through_a_stack,
        through_a_decorator,
        through_an_async_decorator,
        through_a_helper,
        through_a_decorating_helper,
        through_a_generator_with_a_helper,
        through_an_async_generator_with_a_helper,
        through_a_context_manager_of_the_application,
        through_a_class_of_the_application,
    ],
)
def test_an_exception_that_leaves_a_root_is_unhandled_whatever_ends_the_span(
    told: Told, leave: Callable[[Told], None]
) -> None:
    with pytest.raises(ValueError, match="on its way out"):
        leave(told)

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["exceptions"][0]["frames"][-1]["function"] == "fail"
