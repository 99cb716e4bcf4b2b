from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from spanbridge.instrument import agent_task
from tests.unit.instrument.conftest import Recorder, span_id


def outcome_of(span: ReadableSpan) -> object:
    return (span.attributes or {})["multi_agent.task.outcome"]


def current_name() -> str | None:
    return getattr(trace.get_current_span(), "name", None)


def test_the_span_lasts_from_the_first_item_to_the_last(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def count() -> AsyncIterator[str | None]:
        yield current_name()
        await asyncio.sleep(0)
        yield current_name()

    async def main() -> None:
        async for name in count():
            assert name == "invoke_agent a"
            assert current_name() is None
            assert recorder.spans == ()

    assert inspect.isasyncgenfunction(count)
    asyncio.run(main())
    assert outcome_of(recorder.only()) == "ok"


def test_values_sent_and_thrown_pass_through(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def talk() -> AsyncGenerator[object, object]:
        heard = yield "ready"
        try:
            yield heard
        except KeyError as error:
            yield error

    async def main() -> None:
        stream = talk()
        error = KeyError("k")
        assert await anext(stream) == "ready"
        assert await stream.asend("hello") == "hello"
        assert await stream.athrow(error) is error
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(main())
    assert outcome_of(recorder.only()) == "ok"


def test_an_exception_inside_passes_unchanged(recorder: Recorder) -> None:
    error = ValueError("inside")

    @agent_task("a", tracer_provider=recorder.provider)
    async def fail() -> AsyncIterator[int]:
        yield 1
        raise error

    async def main() -> None:
        with pytest.raises(ValueError, match="inside") as raised:
            async for _ in fail():
                pass
        assert raised.value is error

    asyncio.run(main())
    assert outcome_of(recorder.only()) == "error"


def test_children_of_a_streamed_agent_lie_below_it(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def stream() -> AsyncIterator[int]:
        with recorder.tracer.start_as_current_span("chat"):
            yield 1
            await asyncio.create_task(tool())
            yield 2

    async def tool() -> None:
        with recorder.tracer.start_as_current_span("execute_tool"):
            pass

    async def main() -> None:
        with recorder.tracer.start_as_current_span("request"):
            async for _ in stream():
                with recorder.tracer.start_as_current_span("send"):
                    pass

    asyncio.run(main())
    agent = recorder.only("invoke_agent a")
    assert agent.parent == recorder.only("request").context
    assert recorder.only("chat").parent == agent.context
    assert recorder.only("execute_tool").parent == recorder.only("chat").context
    sends = [span for span in recorder.spans if span.name == "send"]
    assert {span_id(span.parent) for span in sends} == {span_id(recorder.only("request").context)}


def test_a_stream_closed_by_its_consumer_is_cancelled(recorder: Recorder) -> None:
    seen: list[str | None] = []

    @agent_task("a", tracer_provider=recorder.provider)
    async def count() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen.append(current_name())

    async def main() -> None:
        stream = count()
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    assert seen == ["invoke_agent a"]
    assert outcome_of(recorder.only()) == "cancelled"


def test_a_stream_closed_by_another_task_is_cancelled(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def count() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    async def main() -> None:
        stream = count()
        with recorder.tracer.start_as_current_span("request"):
            await anext(stream)
            await asyncio.create_task(stream.aclose())
            assert current_name() == "request"

    asyncio.run(main())
    assert outcome_of(recorder.only("invoke_agent a")) == "cancelled"


@pytest.mark.parametrize("is_cyclic", [False, True])
def test_a_stream_left_to_the_garbage_collector_is_cancelled(
    recorder: Recorder, is_cyclic: bool
) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def count(holder: list[object]) -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    async def abandon() -> None:
        holder: list[object] = []
        stream = count(holder)
        if is_cyclic:
            holder.append(stream)
        async for _ in stream:
            break

    async def main() -> None:
        await asyncio.create_task(abandon())
        gc.collect()
        for _ in range(3):  # the loop's finalizer closes it in a task of its own
            await asyncio.sleep(0)
        assert outcome_of(recorder.only()) == "cancelled"

    asyncio.run(main())


def test_a_consumer_cancelled_while_it_waits_for_an_item_cancels_the_stream(
    recorder: Recorder,
) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def wait() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in wait():
            pass

    async def main() -> None:
        consumer = asyncio.create_task(consume())
        await asyncio.sleep(0)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer

    asyncio.run(main())
    assert outcome_of(recorder.only()) == "cancelled"


@pytest.mark.parametrize("kind", ["stream", "coroutine"])
def test_work_destroyed_while_it_waits_elsewhere_ends_its_span_quietly(
    recorder: Recorder, kind: str
) -> None:
    task = agent_task("a", tracer_provider=recorder.provider)

    @task
    async def stream() -> AsyncGenerator[int, None]:
        await Suspension()
        yield 1

    @task
    async def coroutine() -> None:
        await Suspension()

    with recorder.tracer.start_as_current_span("innocent"):
        work = coroutine() if kind == "coroutine" else anext(stream())
        contextvars.Context().run(work.__await__().__next__)
        del work
        gc.collect()
        assert current_name() == "innocent"

    assert outcome_of(recorder.only("invoke_agent a")) == "cancelled"


def test_a_stream_that_outlives_its_event_loop_ends_its_span(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def count() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    async def start(stream: AsyncGenerator[int, None]) -> None:
        await anext(stream)

    loop = asyncio.new_event_loop()
    stream = count()
    loop.run_until_complete(start(stream))
    loop.close()  # without shutdown_asyncgens
    del stream
    gc.collect()

    assert outcome_of(recorder.only()) == "cancelled"


class Suspension:
    """Awaiting it suspends once, with no event loop involved."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def test_many_interleaved_streams_of_which_half_are_abandoned_leave_no_open_span(
    recorder: Recorder,
) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def stream() -> AsyncIterator[str | None]:
        for _ in range(6):
            await asyncio.sleep(0)
            yield current_name()

    async def client(number: int) -> None:
        with recorder.tracer.start_as_current_span(f"request {number}"):
            taken = 0
            async for name in stream():
                assert name == "invoke_agent a"
                assert current_name() == f"request {number}"
                taken += 1
                if taken == 3 and number % 2:
                    break

    async def main() -> None:
        await asyncio.gather(*(client(number) for number in range(200)))

    asyncio.run(main())
    gc.collect()
    agents = [span for span in recorder.spans if span.name == "invoke_agent a"]
    requests = {span_id(s.context) for s in recorder.spans if s.name.startswith("request")}
    assert {span_id(span.parent) for span in agents} == requests
    outcomes = [outcome_of(span) for span in agents]
    assert (outcomes.count("ok"), outcomes.count("cancelled")) == (100, 100)
