"""Work that was cut short looks neither like success nor like a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import Tracer

from tests.support.told import Told, telling


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told:
        yield told


def outcomes(told: Told) -> dict[str, str | None]:
    return {span["name"]: span["attributes"].get("spanbridge.outcome") for span in told.spans}


async def cancelled_task(tracer: Tracer) -> None:
    async def work() -> None:
        with tracer.start_as_current_span("run"), tracer.start_as_current_span("step"):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_task_says_so_and_is_no_issue(told: Told) -> None:
    asyncio.run(cancelled_task(told.tracer))

    assert outcomes(told) == {"run": "cancelled", "step": "cancelled"}
    assert {span["status"] for span in told.spans} == {"unset"}
    assert told.issues == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt, "interrupted"),
        (SystemExit, "interrupted"),
        (GeneratorExit, "cancelled"),
        (asyncio.CancelledError, "cancelled"),
    ],
)
def test_what_leaves_a_span_gives_it_its_outcome_and_goes_on(
    told: Told, error: type[BaseException], outcome: str
) -> None:
    with pytest.raises(error), told.tracer.start_as_current_span("run"):
        raise error

    assert outcomes(told) == {"run": outcome}
    assert told.issues == []


def test_a_timeout_is_an_error_with_an_outcome(told: Told) -> None:
    async def work() -> None:
        with told.tracer.start_as_current_span("run"):
            async with asyncio.timeout(0.001):
                with told.tracer.start_as_current_span("step"):
                    await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(work())

    assert outcomes(told) == {"run": "timeout", "step": "cancelled"}
    [issue] = told.issues
    assert issue["exceptions"][0]["type"] == "TimeoutError"


def test_a_span_that_ends_well_while_a_cancellation_is_handled_has_none(told: Told) -> None:
    with told.tracer.start_as_current_span("run"):
        try:
            raise asyncio.CancelledError
        except asyncio.CancelledError:
            with told.tracer.start_as_current_span("cleanup"):
                pass

    assert outcomes(told) == {"cleanup": None, "run": None}


def test_a_generator_that_is_closed_ends_its_span_as_cancelled(told: Told) -> None:
    def stream() -> Generator[int, None, None]:
        with told.tracer.start_as_current_span("run"):
            yield 1
            yield 2

    source = stream()
    assert next(source) == 1
    source.close()

    assert outcomes(told) == {"run": "cancelled"}
    assert told.issues == []


class Gone(Exception):
    """A client that went away, by the name its framework gives it."""


Gone.__module__, Gone.__qualname__ = "starlette.websockets", "WebSocketDisconnect"


@pytest.mark.parametrize(("other", "issues"), [(Gone(), 0), (ValueError("broken"), 1)])
def test_a_group_of_nothing_but_such_ends_is_no_issue(
    told: Told, other: Exception, issues: int
) -> None:
    nested = ExceptionGroup("inner", [Gone()])
    with pytest.raises(ExceptionGroup), told.tracer.start_as_current_span("run"):
        raise ExceptionGroup("outer", [nested, other])

    assert len(told.issues) == issues
