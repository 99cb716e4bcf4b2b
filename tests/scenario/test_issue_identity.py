"""One failure is one issue, and another failure is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

from tests.support.program import wait_until
from tests.support.told import Told, fail, telling


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told:
        yield told


@pytest.mark.parametrize("ends_well", [True, False])
def test_the_root_decides_if_the_parent_is_a_span_of_another_provider(
    told: Told, ends_well: bool
) -> None:
    foreign = TracerProvider(shutdown_on_exit=False).get_tracer("foreign")
    with told.tracer.start_as_current_span("root") as root:
        with (
            suppress(ValueError),
            foreign.start_as_current_span("foreign"),
            told.tracer.start_as_current_span("child"),
        ):
            fail()
        assert told.issues == []
        told.under_test.flush()
        assert told.issues == []
        if not ends_well:
            root.set_status(StatusCode.ERROR)
    told.under_test.flush()

    assert [issue["is_handled"] for issue in told.issues] == ([] if ends_well else [True])


def test_a_task_that_outlives_its_span_fails_unhandled_though_the_root_is_open(
    told: Told,
) -> None:
    async def late() -> None:
        await asyncio.sleep(0.01)
        with told.tracer.start_as_current_span("late"):
            fail()

    async def run() -> None:
        with told.tracer.start_as_current_span("root"):
            with told.tracer.start_as_current_span("request"):
                task = asyncio.create_task(late())
            await asyncio.wait([task])
            assert task.exception() is not None

    asyncio.run(run())

    [issue] = told.issues
    assert not issue["is_handled"]


def test_an_exception_that_leaves_two_local_roots_is_one_issue(told: Told) -> None:
    with pytest.raises(ValueError, match="out"), told.tracer.start_as_current_span("consumer loop"):
        with told.tracer.start_as_current_span("process", context=Context()):
            fail()

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span"]["name"] == "process"
    assert told.errors == {"delivered": 1, "merged": 1}


def test_an_exception_undecided_in_one_trace_and_reported_in_another_is_one_issue(
    told: Told,
) -> None:
    with told.tracer.start_as_current_span("request") as request:
        try:
            with told.tracer.start_as_current_span("step"):
                fail()
        except ValueError as error:
            with suppress(ValueError), told.tracer.start_as_current_span("job", context=Context()):
                raise error
        request.set_status(StatusCode.ERROR)

    [issue] = told.issues
    assert issue["span"]["name"] == "job"
    assert told.errors == {"delivered": 1, "merged": 1}


@pytest.mark.parametrize("records_again", [True, False])
def test_recorded_with_a_message_of_its_own_and_raised_on_is_one_issue(
    told: Told, records_again: bool
) -> None:
    with pytest.raises(ValueError, match="secret"), told.tracer.start_as_current_span("root"):
        with told.tracer.start_as_current_span("child", record_exception=records_again) as child:
            try:
                raise ValueError("user 42 secret")
            except ValueError as error:
                child.record_exception(error, attributes={"exception.message": "a user"})
                child.set_status(StatusCode.ERROR)
                raise

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span_path"] == ["root", "child"]


@pytest.mark.parametrize("second", [KeyError, ConnectionError])
def test_what_fails_while_a_reported_failure_is_handled_is_an_issue_of_its_own(
    tmp_path: Path, second: type[Exception]
) -> None:
    with telling(tmp_path / "told.jsonl", issue_decision_s=0.05) as told:
        with suppress(second), told.tracer.start_as_current_span("root"):
            try:
                with told.tracer.start_as_current_span("primary"):
                    raise ConnectionError("down")
            except ConnectionError:
                wait_until(lambda: len(told.issues) == 1, 30)
                with told.tracer.start_as_current_span("fallback"):
                    raise second("bug")  # noqa: B904 - implicit context is what is tested
        issues = told.issues

    assert [issue["is_handled"] for issue in issues] == [True, False]
    assert issues[1]["span"]["name"] == "fallback"


def test_what_fails_while_an_undecided_failure_is_handled_is_the_same_issue(told: Told) -> None:
    with suppress(KeyError), told.tracer.start_as_current_span("root"):
        try:
            with told.tracer.start_as_current_span("primary"):
                raise ConnectionError("down")
        except ConnectionError:
            raise KeyError("bug")  # noqa: B904 - implicit context is what is tested

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span_path"] == ["root", "primary"]
    assert [e["type"] for e in issue["exceptions"]] == ["KeyError", "ConnectionError"]


def test_local_variables_are_read_once_however_many_spans_an_exception_leaves(
    tmp_path: Path,
) -> None:
    reads: list[str] = []

    class Watched:
        def __repr__(self) -> str:
            reads.append("read")
            return "rows"

    with telling(tmp_path / "told.jsonl", include_locals=True) as told:

        def work() -> None:
            rows = Watched()
            raise ValueError(str(rows is None))

        with suppress(ValueError), ExitStack() as stack:
            for depth in range(8):
                stack.enter_context(told.tracer.start_as_current_span(f"span {depth}"))
            work()
        [issue] = told.issues

    assert issue["exceptions"][0]["frames"][-1]["vars"]["rows"] == "rows"
    assert reads == ["read"]


def test_an_exception_that_is_raised_again_elsewhere_is_one_issue(told: Told) -> None:
    """With another traceback, in another thread, out of another span."""

    def fail() -> None:
        with told.tracer.start_as_current_span("tool"):
            raise TimeoutError("late")

    with ThreadPoolExecutor(1) as pool, told.tracer.start_as_current_span("request"):
        here = otel_context.get_current()

        def in_context() -> None:
            otel_context.attach(here)
            fail()

        future = pool.submit(in_context)
        with pytest.raises(TimeoutError), told.tracer.start_as_current_span("wait"):
            try:
                future.result()
            except TimeoutError as error:
                raise error.with_traceback(None) from error.__cause__
        with pytest.raises(TimeoutError), told.tracer.start_as_current_span("again"):
            raise future.exception() or AssertionError
        trace.get_current_span().set_status(StatusCode.ERROR)

    [issue] = told.issues
    assert issue["span"]["name"] == "tool"
    assert issue["exceptions"][0]["value"] == "late"
    assert sum(told.errors.values()) == 3


def test_an_exception_that_is_kept_shows_the_variables_of_the_request_that_fails(
    told: Told,
) -> None:
    kept = LookupError("no connection")

    def handle(customer: str) -> None:
        with told.tracer.start_as_current_span("query"):
            raise kept.with_traceback(None)

    with told.tracer.start_as_current_span("first request"):
        with suppress(LookupError):
            handle("ALICE")
    with suppress(LookupError), told.tracer.start_as_current_span("second request"):
        handle("BOB")

    [issue] = told.issues
    shown = {
        frame["vars"]["customer"]
        for frame in issue["exceptions"][0]["frames"]
        if "customer" in (frame.get("vars") or {})
    }
    assert shown == {"'BOB'"}
