"""The frames of an error are those Sentry's own SDK would have sent, without OpenTelemetry's."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sysconfig
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer
from sentry_sdk.utils import event_from_exception, handle_in_app

from spanbridge.process.snapshot import take
from spanbridge.record.exception import read_exceptions
from spanbridge.record.source import InAppRules, SourceReader
from spanbridge.sentry.convert.exception_values import convert_exceptions

ROOT = str(Path(__file__).parents[2])
RULES = InAppRules(exclude=("json",), project_root=ROOT)
SOURCE = SourceReader()
COMPARED = ("function", "lineno", "module", "context_line", "in_app", "abs_path", "filename")


class ApplicationError(Exception):
    """An exception class of the application's own."""


def fail(text: str = "broken") -> None:
    raise ApplicationError(text)


def in_one_span(tracer: Tracer) -> None:
    with tracer.start_as_current_span("span"):
        fail()


def in_nested_spans(tracer: Tracer) -> None:
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
        in_one_span(tracer)


def in_decorated_functions(tracer: Tracer) -> None:
    @tracer.start_as_current_span("outer")
    def outer() -> None:
        inner()

    @tracer.start_as_current_span("inner")
    def inner() -> None:
        fail()

    outer()


def in_a_decorated_coroutine(tracer: Tracer) -> None:
    @tracer.start_as_current_span("async")
    async def work() -> None:
        await asyncio.sleep(0)
        fail()

    asyncio.run(work())


def in_an_async_generator(tracer: Tracer) -> None:
    async def stream() -> AsyncIterator[int]:
        with tracer.start_as_current_span("stream"):
            yield 1
            fail()

    async def consume() -> None:
        async for _ in stream():
            pass

    asyncio.run(consume())


def in_a_thread(tracer: Tracer) -> None:
    with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("pool"):
        pool.submit(in_one_span, tracer).result()


def with_a_cause(tracer: Tracer) -> None:
    try:
        in_one_span(tracer)
    except ApplicationError as error:
        raise ValueError("wrapped") from error


def with_a_context(tracer: Tracer) -> None:
    try:
        in_one_span(tracer)
    except ApplicationError:
        json.loads("{")


def with_a_suppressed_context(tracer: Tracer) -> None:
    try:
        in_one_span(tracer)
    except ApplicationError:
        raise ValueError("only this") from None


def in_a_task_group(tracer: Tracer) -> None:
    async def tool(name: str) -> None:
        with tracer.start_as_current_span(name):
            fail(name)

    async def agent() -> None:
        with tracer.start_as_current_span("agent"):
            async with asyncio.TaskGroup() as tasks:
                for name in ("a", "b", "c"):
                    tasks.create_task(tool(name))

    asyncio.run(agent())


def with_a_note(tracer: Tracer) -> None:
    try:
        in_one_span(tracer)
    except ApplicationError as error:
        error.add_note("seen by the caller")
        raise


def in_generated_code(tracer: Tracer) -> None:
    with tracer.start_as_current_span("generated"):
        exec("def f():\n    raise ValueError('x')\nf()", {"__name__": "generated"})


def in_deep_recursion(tracer: Tracer) -> None:
    def recurse(depth: int) -> None:
        if depth:
            recurse(depth - 1)
        fail()

    with tracer.start_as_current_span("deep"):
        recurse(100)


def inside_wrappers_of_the_application(tracer: Tracer) -> None:
    @contextlib.contextmanager
    def transaction() -> Iterator[None]:
        yield

    def traced(function: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(function)
        def wrapper() -> None:
            with tracer.start_as_current_span(function.__name__):
                return function()

        return wrapper

    @traced
    @transaction()
    def work() -> None:
        fail()

    work()


PROGRAMS = [
    in_one_span,
    in_nested_spans,
    in_decorated_functions,
    in_a_decorated_coroutine,
    in_an_async_generator,
    in_a_thread,
    with_a_cause,
    with_a_context,
    with_a_suppressed_context,
    in_a_task_group,
    with_a_note,
    in_generated_code,
    in_deep_recursion,
    inside_wrappers_of_the_application,
]


def failure_of(program: Callable[[Tracer], None]) -> BaseException:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    try:
        program(tracer)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def sentrys(error: BaseException) -> list[dict[str, Any]]:
    event, _ = event_from_exception(error)
    handle_in_app(event, in_app_exclude=["json"], in_app_include=[], project_root=ROOT)
    values: list[dict[str, Any]] = event["exception"]["values"]
    return values


def ours(error: BaseException) -> list[dict[str, Any]]:
    records = read_exceptions(take(error, include_locals=True), SOURCE, RULES)
    values, _ = convert_exceptions(records, mechanism="generic", is_handled=True)
    return cast("list[dict[str, Any]]", msgspec.to_builtins(values)["values"])


def frames_of(value: dict[str, Any]) -> list[dict[str, Any]]:
    frames = cast("list[dict[str, Any]]", value.get("stacktrace", {}).get("frames", []))
    return [
        frame
        for position, frame in enumerate(frames)
        if not frame["module"].startswith("opentelemetry") and not _wraps_a_span(frames, position)
    ]


def _is_of_a_library(path: str) -> bool:
    return "site-packages" in path or path.startswith(sysconfig.get_paths()["stdlib"])


def _wraps_a_span(frames: list[dict[str, Any]], position: int) -> bool:
    """A ``contextlib`` frame around a function that is decorated with a span."""
    frame = frames[position]
    decorator = (frame.get("vars") or {}).get("self", "")
    return frame["module"] == "contextlib" and "_AgnosticContextManager" in str(decorator)


@pytest.mark.parametrize("program", PROGRAMS)
def test_frames_are_equal_to_those_of_sentrys_sdk(program: Callable[[Tracer], None]) -> None:
    error = failure_of(program)
    expected, made = sentrys(error), ours(error)
    assert [(value["type"], value["module"]) for value in made if "module" in value] == [
        (value["type"], value["module"]) for value in expected if value["module"]
    ]
    assert [value["type"] for value in made] == [value["type"] for value in expected]
    # Of a group Sentry's SDK leaves out how many members it has.
    assert [value["value"].replace(" (3 sub-exceptions)", "") for value in made] == [
        value["value"] for value in expected
    ]
    for own, other in zip(made, expected, strict=True):
        own_frames, other_frames = frames_of(own), frames_of(other)
        assert own_frames == own.get("stacktrace", {}).get("frames", [])
        assert [{key: frame.get(key) for key in COMPARED} for frame in own_frames] == [
            {key: frame.get(key) for key in COMPARED} for frame in other_frames
        ]
        for own_frame, other_frame in zip(own_frames, other_frames, strict=True):
            assert (own_frame.get("pre_context") or []) == other_frame["pre_context"]
            assert (own_frame.get("post_context") or []) == other_frame["post_context"]
            if "vars" in own_frame:
                assert set(own_frame["vars"]) == set(other_frame["vars"])
        # The application's own, on 25 frames at each end, as the server keeps them; Sentry's SDK
        # sends those of libraries too.
        near_an_end = {*range(25), *range(len(own_frames) - 25, len(own_frames))}
        assert ["vars" in frame for frame in own_frames] == [
            position in near_an_end and not _is_of_a_library(frame["abs_path"])
            for position, frame in enumerate(own_frames)
        ]


def test_groups_are_linked_as_sentrys_sdk_links_them() -> None:
    error = failure_of(in_a_task_group)
    keys = ("exception_id", "parent_id", "source", "is_exception_group")
    assert [{key: value["mechanism"].get(key) for key in keys} for value in ours(error)] == [
        {key: value["mechanism"].get(key) for key in keys} for value in sentrys(error)
    ]
