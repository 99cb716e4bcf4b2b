"""Threads, executors and asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from tests.contract.parity.programs.failing import ApplicationError, divide, fail
from tests.contract.parity.programs.program import Spans, program, self_reporting_program


def run_in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@program
def a_coroutine(spans: Spans) -> None:
    async def work(count: int) -> None:
        with spans.span("work"):
            await asyncio.sleep(0)
            fail(f"count {count}")

    asyncio.run(work(2))


@program
def a_decorated_coroutine(spans: Spans) -> None:
    @spans.span("work")
    async def work(name: str) -> None:
        await asyncio.sleep(0)
        fail(name)

    asyncio.run(work("async"))


@program
def nested_coroutines(spans: Spans) -> None:
    async def outer() -> None:
        with spans.span("outer"):
            await middle({"a": 1})

    async def middle(options: dict[str, int]) -> None:
        await inner(**options)

    async def inner(a: int) -> None:
        with spans.span("inner"):
            await asyncio.sleep(0)
            divide(a, 0)

    asyncio.run(outer())


@program
def an_async_generator(spans: Spans) -> None:
    async def stream(limit: int) -> AsyncIterator[int]:
        with spans.span("stream"):
            for number in range(limit):
                yield number
            fail("end of stream")

    async def consume() -> None:
        received = []
        async for number in stream(3):
            received.append(number)  # noqa: PERF401

    asyncio.run(consume())


@program
def an_async_context_manager(spans: Spans) -> None:
    @asynccontextmanager
    async def session(name: str) -> AsyncIterator[str]:
        with spans.span(name):
            yield name

    async def work() -> None:
        async with session("session") as opened:
            fail(opened)

    asyncio.run(work())


@program
def a_task(spans: Spans) -> None:
    async def tool(name: str) -> None:
        with spans.span(name):
            fail(name)

    async def agent() -> None:
        with spans.span("agent"):
            await asyncio.create_task(tool("search"))

    asyncio.run(agent())


@program
def gathered_coroutines(spans: Spans) -> None:
    async def tool(name: str, parts: int) -> float:
        with spans.span(name):
            await asyncio.sleep(0)
            return divide(1, parts)

    async def agent() -> None:
        with spans.span("agent"):
            await asyncio.gather(tool("good", 1), tool("bad", 0))

    asyncio.run(agent())


@program
def a_task_group(spans: Spans) -> None:
    async def tool(name: str) -> None:
        with spans.span(name):
            fail(name)

    async def agent() -> None:
        with spans.span("agent"):
            async with asyncio.TaskGroup() as group:
                for name in ("a", "b", "c"):
                    group.create_task(tool(name))

    asyncio.run(agent())


@program
def nested_task_groups(spans: Spans) -> None:
    async def tool(name: str) -> None:
        with spans.span(name):
            divide(len(name), 0)

    async def part(names: tuple[str, ...]) -> None:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(tool(name))

    async def agent() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(part(("a", "b")))
            group.create_task(part(("c",)))

    asyncio.run(agent())


@program
def a_timeout(spans: Spans) -> None:
    async def slow() -> None:
        with spans.span("slow"):
            await asyncio.sleep(60)

    async def work() -> None:
        async with asyncio.timeout(0.001):
            await slow()

    asyncio.run(work())


@program
def waited_for_too_long(spans: Spans) -> None:
    async def work(limit_s: float) -> None:
        with spans.span("work"):
            await asyncio.wait_for(asyncio.sleep(60), limit_s)

    asyncio.run(work(0.001))


@program
def an_executor(spans: Spans) -> None:
    def work(number: int) -> None:
        with spans.span("work"):
            fail(f"number {number}")

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(contextvars.copy_context().run, work, 5)
    future.result()


@program
def an_executor_that_maps(spans: Spans) -> None:
    def reciprocal(number: int) -> float:
        with spans.span("reciprocal"):
            return divide(1, number)

    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        shares = pool.map(lambda number: context.run(reciprocal, number), [2, 1, 0])
    list(shares)


@program
def a_thread_of_asyncio(spans: Spans) -> None:
    def blocking(path: str) -> None:
        with spans.span("blocking"):
            fail(path)

    async def work() -> None:
        await asyncio.to_thread(blocking, "/nowhere")

    asyncio.run(work())


@program
def raised_again_in_another_thread(spans: Spans) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with spans.span("work"):
                fail("in the thread")
        except ApplicationError as error:
            failures.append(error)

    run_in_a_thread(functools.partial(contextvars.copy_context().run, work))
    raise failures.pop()


@self_reporting_program
def a_thread_that_dies(spans: Spans) -> None:
    def work(count: int) -> None:
        with spans.span("a_thread_that_dies"):
            fail(f"count {count}")

    run_in_a_thread(functools.partial(work, 4))
