"""Wherever a program fails and whoever tells of it: one failure is one issue."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import Tracer

from spanbridge.process.stdlib_logging import LEVELS
from tests.support.bridged import bridged
from tests.support.failing import caught
from tests.support.heard import exporter_of
from tests.support.told import Told, telling

logger = logging.getLogger("shop")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told, told.under_test.chained():
        yield told


def fail() -> None:
    raise ConnectionError("the bank did not answer")


def charge(tracer: Tracer) -> None:
    with tracer.start_as_current_span("charge"):
        fail()


async def charge_async(tracer: Tracer) -> None:
    with tracer.start_as_current_span("charge"):
        await asyncio.sleep(0)
        fail()


def in_thread(tracer: Tracer) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            charge(tracer)
        except ConnectionError as error:
            caught.append(error)
            raise

    thread = threading.Thread(target=copy_context().run, args=(work,))
    thread.start()
    thread.join()
    raise caught.pop()


def in_executor(tracer: Tracer) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, charge, tracer).result()


def in_generator(tracer: Tracer) -> None:
    def parts() -> Iterator[int]:
        with tracer.start_as_current_span("charge"):
            yield 1
            fail()

    list(parts())


def in_coroutine(tracer: Tracer) -> None:
    asyncio.run(charge_async(tracer))


def in_thread_of_loop(tracer: Tracer) -> None:
    asyncio.run(asyncio.to_thread(charge, tracer))


def in_async_generator(tracer: Tracer) -> None:
    async def parts() -> AsyncIterator[int]:
        with tracer.start_as_current_span("charge"):
            yield 1
            fail()

    async def read() -> None:
        async for _ in parts():
            pass

    asyncio.run(read())


def in_task_group(tracer: Tracer) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(charge_async(tracer))

    asyncio.run(run())


def wrapped(tracer: Tracer) -> None:
    try:
        charge(tracer)
    except ConnectionError as error:
        raise RuntimeError("not paid") from error


SHAPES = [
    charge,
    in_thread,
    in_executor,
    in_generator,
    in_coroutine,
    in_thread_of_loop,
    in_async_generator,
    in_task_group,
    wrapped,
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_what_spans_a_logger_and_a_hook_see_is_one_issue(
    told: Told, shape: Callable[[Tracer], None]
) -> None:
    handler = LoggingHandler(logger_provider=told.under_test.logger_provider)
    logger.addHandler(handler)
    try:
        with told.tracer.start_as_current_span("order"):
            shape(told.tracer)
    except Exception as error:
        logger.exception("order failed")
        told.under_test.logger_provider.get_logger("api").emit(
            severity_number=SeverityNumber.ERROR, body="order failed", exception=error
        )
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        logger.removeHandler(handler)

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span"]["name"] == "charge"
    innermost = issue["exceptions"][-1]
    assert (innermost["type"], innermost["value"]) == ("ConnectionError", "the bank did not answer")
    assert innermost["frames"][-1]["function"] == "fail"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_failure_that_no_span_saw_is_told_by_the_logger(
    told: Told, shape: Callable[[Any], None]
) -> None:
    class Untraced:
        @staticmethod
        def start_as_current_span(_name: str) -> Any:
            return nullcontext()

    told.under_test.bridge.hooks.is_on = False
    try:
        shape(Untraced())
    except Exception:
        logger.exception("order failed")

    [issue] = told.issues
    assert issue["is_handled"]
    assert (issue["message"], issue["logger"], issue["span"]) == ("order failed", "shop", None)
    assert issue["exceptions"][-1]["frames"][-1]["function"] == "fail"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_end_of_a_thread_is_one_unhandled_issue_though_it_was_logged(told: Told) -> None:
    def work() -> None:
        try:
            fail()
        except ConnectionError:
            logger.exception("going down")
            raise

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["exceptions"][0]["type"] == "ConnectionError"


def test_a_task_nobody_awaited_is_an_unhandled_issue(told: Told) -> None:
    async def main() -> None:
        task = asyncio.create_task(charge_async(told.tracer))
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(main())

    [issue] = told.issues
    assert not issue["is_handled"]
    assert issue["span"]["name"] == "charge"


def test_an_issue_takes_the_mechanism_of_whoever_saw_it(told: Told) -> None:
    try:
        fail()
    except ConnectionError as error:
        sys.excepthook(type(error), error, error.__traceback__)

    [issue] = told.issues
    assert (issue["mechanism"], issue["is_handled"]) == ("auto.excepthook", False)


def test_warnings_and_errors_without_an_exception_are_no_issues(told: Told) -> None:
    logger.warning("low stock")
    logger.error("no stock")
    try:
        fail()
    except ConnectionError:
        logger.warning("again", exc_info=True)

    assert told.issues == []


def test_the_event_id_on_the_exported_log_is_that_of_the_issue(told: Told) -> None:
    provider = told.under_test.logger_provider
    exporter = exporter_of(provider)
    handler = LoggingHandler(logger_provider=provider)
    logger.addHandler(handler)
    try:
        fail()
    except ConnectionError:
        logger.exception("order failed")
    finally:
        logger.removeHandler(handler)

    [issue] = told.issues
    [exported] = [
        finished.log_record
        for finished in exporter.get_finished_logs()
        if finished.log_record.body == "order failed"
    ]
    assert exported.attributes is not None
    assert exported.attributes["sentry.event_id"] == issue["event_id"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "error", [StopIteration(), anyio.ClosedResourceError(), anyio.BrokenResourceError()]
)
def test_what_ends_a_loop_elsewhere_is_an_issue_when_it_ends_a_thread(
    told: Told, error: Exception
) -> None:
    def work() -> None:
        raise error

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    [issue] = told.issues
    assert (issue["mechanism"], issue["is_handled"]) == ("auto.threading", False)


def test_an_error_is_an_issue_although_instrumentation_is_suppressed(told: Told) -> None:
    with suppress_instrumentation():
        try:
            fail()
        except ConnectionError:
            logger.exception("order failed")

    [issue] = told.issues
    assert issue["message"] == "order failed"


def test_ignoring_every_logger_leaves_hooks_and_nameless_loggers(tmp_path: Path) -> None:
    with telling(tmp_path / "told.jsonl", ignored_loggers="*") as told, told.under_test.chained():
        error = caught(fail)
        logger.error("by a logger", exc_info=ValueError("ignored"))
        told.under_test.logger_provider.get_logger("").emit(
            severity_number=SeverityNumber.ERROR, body="by nobody", exception=ValueError("nameless")
        )
        sys.excepthook(type(error), error, error.__traceback__)

        assert [issue["exceptions"][0]["type"] for issue in told.issues] == [
            "ValueError",
            "ConnectionError",
        ]


LOG_RULE = {"on": "log", "match": {"logger": "shop"}, "issue": True}


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({}, "info"),
        ({"issues": "none"}, "off"),
        ({"issues": "none", "rules": [LOG_RULE]}, "info"),
        ({"destinations": {"otlp": {"endpoint": "http://127.0.0.1:9"}}}, "off"),
    ],
)
def test_log_records_are_read_only_where_they_can_lead_to_an_issue(
    tmp_path: Path, settings: dict[str, object], level: str
) -> None:
    with bridged(**{"destinations": {"file": {"path": str(tmp_path / "x")}}, **settings}) as it:
        assert it.bridge.stdlib_logging.least_level == LEVELS[level]
