"""Which exceptions become issues, row by row, from real spans to the issue that leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode, use_span

from tests.support.bridged import bridged
from tests.support.program import wait_until
from tests.support.told import Told, telling


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told:
        yield told


def test_an_exception_that_leaves_its_local_root_is_an_unhandled_issue(told: Told) -> None:
    with pytest.raises(KeyError), told.tracer.start_as_current_span("task"):
        with told.tracer.start_as_current_span("step"):
            raise KeyError("lost")

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span"]["name"] == "step"
    assert issue["span_path"] == ["task", "step"]
    [exception] = issue["exceptions"]
    assert (exception["type"], exception["value"]) == ("KeyError", "'lost'")
    assert exception["frames"][-1]["context_line"].strip() == 'raise KeyError("lost")'
    assert told.errors == {"delivered": 1, "merged": 1}


def test_a_recovered_retry_is_no_issue_but_a_breadcrumb_of_the_one_that_comes(told: Told) -> None:
    with pytest.raises(TimeoutError), told.tracer.start_as_current_span("task"):
        for attempt in range(3):
            try:
                with told.tracer.start_as_current_span("tool"):
                    raise TimeoutError(f"attempt {attempt}")
            except TimeoutError:
                if attempt == 2:
                    raise

    [issue] = told.issues
    assert issue["exceptions"][0]["value"] == "attempt 2"


def test_an_exception_caught_by_a_span_that_ends_well_is_recovered(told: Told) -> None:
    with told.tracer.start_as_current_span("task"):
        try:
            with told.tracer.start_as_current_span("tool"):
                raise TimeoutError
        except TimeoutError:
            pass

    assert told.issues == []
    assert told.errors == {"filtered": 1}


def test_a_caught_exception_is_a_handled_issue_if_the_root_ends_as_error(told: Told) -> None:
    with told.tracer.start_as_current_span("task") as task:
        try:
            with told.tracer.start_as_current_span("agent"), told.tracer.start_as_current_span("t"):
                raise TimeoutError("late")
        except TimeoutError:
            task.set_status(Status(StatusCode.ERROR, "gave up"))

    [issue] = told.issues
    assert issue["is_handled"]
    assert issue["span"]["name"] == "t"
    assert issue["exceptions"][0]["frames"][-1]["function"].startswith("test_a_caught")


def test_an_error_of_an_agent_that_its_caller_makes_up_for_is_recovered(told: Told) -> None:
    with told.tracer.start_as_current_span("request"):
        with told.tracer.start_as_current_span("agent") as agent:
            try:
                with told.tracer.start_as_current_span("tool"):
                    raise TimeoutError
            except TimeoutError:
                agent.set_status(StatusCode.ERROR)

    assert told.issues == []


def test_an_exception_recorded_by_hand_counts_if_its_span_ends_as_error(told: Told) -> None:
    with told.tracer.start_as_current_span("task"):
        with told.tracer.start_as_current_span("good") as good:
            good.record_exception(ValueError("harmless"))
        with told.tracer.start_as_current_span("bad") as bad:
            try:
                raise ValueError("harmful")
            except ValueError as error:
                bad.record_exception(error)
            bad.set_status(StatusCode.ERROR)

    [issue] = told.issues
    assert issue["is_handled"]
    assert issue["exceptions"][0]["value"] == "harmful"
    assert issue["exceptions"][0]["frames"][-1]["context_line"].strip() == (
        'raise ValueError("harmful")'
    )


def test_recorded_by_hand_and_raised_on_is_still_one_issue(told: Told) -> None:
    with pytest.raises(ValueError, match="once"), told.tracer.start_as_current_span("task"):
        with told.tracer.start_as_current_span("step") as step:
            try:
                raise ValueError("once")
            except ValueError as error:
                step.record_exception(error)
                step.set_status(StatusCode.ERROR)
                raise

    [issue] = told.issues
    assert not issue["is_handled"]
    assert told.errors == {"delivered": 1, "merged": 2}


def test_an_exception_raised_from_another_is_the_same_failure(told: Told) -> None:
    with pytest.raises(RuntimeError), told.tracer.start_as_current_span("task"):
        try:
            with told.tracer.start_as_current_span("step"):
                raise KeyError("cause")
        except KeyError as error:
            raise RuntimeError("wrapped") from error

    [issue] = told.issues
    assert [e["type"] for e in issue["exceptions"]] == ["RuntimeError", "KeyError"]
    assert issue["span"]["name"] == "step"
    assert told.errors == {"delivered": 1, "merged": 1}


def test_a_group_of_failed_tasks_is_one_issue(told: Told) -> None:
    async def fail(number: int) -> None:
        with told.tracer.start_as_current_span(f"agent {number}"):
            raise ValueError(str(number))

    async def run() -> None:
        with told.tracer.start_as_current_span("council"):
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(fail(number))

    with pytest.raises(ExceptionGroup):
        asyncio.run(run())

    [issue] = told.issues
    assert sorted(e["value"] for e in issue["exceptions"][1:]) == ["0", "1", "2"]
    assert told.errors == {"delivered": 1, "merged": 3}


def test_what_a_framework_turned_into_a_5xx_is_a_handled_issue(told: Told) -> None:
    server = told.tracer.start_span("GET /boom", kind=SpanKind.SERVER)
    try:
        raise LookupError("handled by the framework")
    except LookupError:
        server.set_status(StatusCode.ERROR)
        server.end()

    [issue] = told.issues
    assert issue["is_handled"]
    assert issue["exceptions"][0]["type"] == "LookupError"


def test_a_healthy_span_that_ends_inside_an_except_block_tells_of_nothing(told: Told) -> None:
    try:
        raise LookupError("unrelated")
    except LookupError:
        with told.tracer.start_as_current_span("clean-up"):
            pass

    assert told.issues == []


def test_cancellation_is_an_outcome_and_no_error(told: Told) -> None:
    async def run() -> None:
        with told.tracer.start_span("agent"):
            await asyncio.sleep(10)

    async def cancel() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert told.issues == []


def test_an_exception_leaving_a_task_that_outlived_its_parent_is_unhandled(told: Told) -> None:
    async def late() -> None:
        await asyncio.sleep(0.02)
        with told.tracer.start_as_current_span("late"):
            raise ValueError("nobody waits")

    async def run() -> None:
        with told.tracer.start_as_current_span("request"):
            task = asyncio.create_task(late())
        with pytest.raises(ValueError, match="nobody"):
            await task

    asyncio.run(run())
    told.under_test.flush()

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span"]["name"] == "late"


def test_an_error_in_a_trace_that_nobody_keeps_is_an_issue_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    with bridged(destinations={"file": {"path": str(path), "sample_rate": 0.0}}) as under_test:
        told = Told(under_test, path)
        for _ in range(10):
            with pytest.raises(ValueError, match="x"), told.tracer.start_as_current_span("a"):
                with told.tracer.start_as_current_span("b"):
                    raise ValueError("x")
        assert len(told.issues) == 10
        assert under_test.ledger("file").outcomes["span"] == {"sampled_out": 20}


@pytest.mark.parametrize(("mode", "count"), [("all", 2), ("unhandled", 1), ("none", 0)])
def test_the_policy_is_a_setting(tmp_path: Path, mode: str, count: int) -> None:
    path = tmp_path / "told.jsonl"
    with bridged(destinations={"file": {"path": str(path)}}, issues=mode) as under_test:
        told = Told(under_test, path)
        with pytest.raises(KeyError), told.tracer.start_as_current_span("task"):
            try:
                with told.tracer.start_as_current_span("tool"):
                    raise TimeoutError
            except TimeoutError:
                pass
            raise KeyError("x")
        assert len(told.issues) == count


def test_a_failure_whose_catcher_stays_open_is_reported_after_the_decision_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / "told.jsonl"
    settings = {"destinations": {"file": {"path": str(path)}}, "issue_decision_s": 0.05}
    with bridged(**settings) as under_test:
        told = Told(under_test, path)
        with told.tracer.start_as_current_span("hour-long"):
            try:
                with told.tracer.start_as_current_span("tool"):
                    raise TimeoutError("early")
            except TimeoutError:
                pass
            [issue] = wait_until(lambda: told.issues, 30)
            assert issue["is_handled"]


def test_what_is_undecided_when_the_process_ends_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    with telling(path) as told:
        told.under_test.bridge.flush(5)
        for number in range(50):
            root = told.tracer.start_span("never ends")
            with use_span(root), contextlib.suppress(TimeoutError):
                with told.tracer.start_as_current_span("tool"):
                    raise TimeoutError(f"attempt {number}")
        told.under_test.bridge.close(5)
        snapshot = told.under_test.ledger("file")
    assert snapshot.is_closed
    assert snapshot.outcomes["error"] == {"delivered": 50}
    assert path.read_text().count('"type":"issue"') == 50
