from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from spanbridge.instrument import agent_task, stream
from tests.unit.instrument.conftest import Recorder


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def current_name() -> str | None:
    return getattr(trace.get_current_span(), "name", None)


def test_a_decorated_generator_says_how_many_chunks_it_gave_and_when(recorder: Recorder) -> None:
    @stream("llm.stream", attributes={"app.number": 7}, tracer_provider=recorder.provider)
    def answer() -> Iterator[str | None]:
        yield current_name()
        yield current_name()
        yield current_name()

    names = []
    for name in answer():
        names.append(name)
        assert current_name() is None

    span = recorder.only("llm.stream")
    attributes = attributes_of(span)
    assert names == ["llm.stream"] * 3
    assert span.start_time is not None
    assert span.end_time is not None
    lasted_s = (span.end_time - span.start_time) / 1e9
    first_s = attributes["spanbridge.stream.time_to_first_chunk"]
    last_s = attributes["spanbridge.stream.time_to_last_chunk"]
    assert 0 < first_s < last_s <= lasted_s + 0.001
    assert {k for k in attributes if not k.startswith("spanbridge.stream.time")} == {
        "app.number",
        "spanbridge.stream.chunk.count",
    }
    assert attributes["spanbridge.stream.chunk.count"] == 3
    assert span.status.is_unset


def test_a_stream_without_an_item_has_no_times(recorder: Recorder) -> None:
    assert list(stream("rows", tracer_provider=recorder.provider).over([])) == []

    assert dict(attributes_of(recorder.only())) == {"spanbridge.stream.chunk.count": 0}


def test_an_inference_has_upstreams_time_to_the_first_chunk_too(recorder: Recorder) -> None:
    attributes = {"gen_ai.operation.name": "chat"}
    chat = stream("chat m", attributes=attributes, tracer_provider=recorder.provider)

    assert list(chat.over("ab")) == ["a", "b"]
    assert list(chat.over([])) == []

    full, empty = map(attributes_of, recorder.spans)
    assert (
        full["gen_ai.response.time_to_first_chunk"]
        == (full["spanbridge.stream.time_to_first_chunk"])
    )
    assert "gen_ai.response.time_to_first_chunk" not in empty


def test_the_items_of_other_helpers_are_counted_too(recorder: Recorder) -> None:
    @agent_task("writer", tracer_provider=recorder.provider)
    def write() -> Iterator[str]:
        yield "first"
        yield "second"

    assert list(write()) == ["first", "second"]

    assert attributes_of(recorder.only())["spanbridge.stream.chunk.count"] == 2


@runtime_checkable
class Closable(Protocol):
    async def aclose(self) -> None: ...


class Response:
    """What a client library streams an answer with: the iterator is not the connection."""

    def __init__(self) -> None:
        self.closed, self.left = asyncio.Event(), asyncio.Event()

    def __aiter__(self) -> AsyncIterator[int]:
        async def parts() -> AsyncIterator[int]:
            try:
                for number in range(5):
                    await asyncio.sleep(0)
                    yield number
            finally:
                self.left.set()

        return parts()

    async def close(self) -> None:
        self.closed.set()


def test_any_async_iterator_can_be_taken_in_a_span(recorder: Recorder) -> None:
    response = Response()

    async def main() -> list[int]:
        taken = stream("llm.stream", tracer_provider=recorder.provider).over(response)
        return [number async for number in taken]

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    assert attributes_of(recorder.only())["spanbridge.stream.chunk.count"] == 5
    assert not response.closed.is_set()


@pytest.mark.parametrize("is_explicit", [False, True])
def test_a_consumer_that_leaves_closes_the_iterator_and_the_span_says_so(
    recorder: Recorder, is_explicit: bool
) -> None:
    response = Response()

    async def main() -> None:
        taken = stream("llm.stream", tracer_provider=recorder.provider).over(response)
        async for number in taken:
            if number == 2:
                break
        if is_explicit:
            assert isinstance(taken, Closable)
            await taken.aclose()
        del taken
        gc.collect()
        await response.left.wait()  # the loop closes it, in a task of its own
        assert response.closed.is_set() == is_explicit

    asyncio.run(main())

    span = recorder.only()
    assert attributes_of(span)["spanbridge.outcome"] == "cancelled"
    assert attributes_of(span)["spanbridge.stream.chunk.count"] == 3
    assert span.status.is_unset
    assert span.events == ()


def test_what_the_application_goes_on_using_stays_open_until_it_is_closed(
    recorder: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text("a\nb\nc\n")
    rows = stream("rows", tracer_provider=recorder.provider)
    cursor = sqlite3.connect(":memory:").execute("select 1 union select 2")
    with open(tmp_path / "lines") as file:
        for taken in (rows.over(file), rows.over(cursor)):
            for _ in taken:
                break
            del taken
        gc.collect()
        assert file.readline() == "b\n"
        assert cursor.fetchone() == (2,)

        never_started: Any = rows.over(file)
        never_started.close()
        assert file.closed
        assert list(never_started) == []
    assert [attributes_of(span)["spanbridge.outcome"] for span in recorder.spans] == [
        "cancelled",
        "cancelled",
    ]


def test_what_can_be_taken_both_ways_is_taken_as_it_is_asked_for(recorder: Recorder) -> None:
    class Both:
        def __iter__(self) -> Iterator[int]:
            return iter([1, 2])

        async def __aiter__(self) -> AsyncIterator[int]:
            yield 3

    rows = stream("rows", tracer_provider=recorder.provider)

    async def later() -> list[int]:
        return [number async for number in rows.over(Both())]

    assert list(rows.over(Both())) == [1, 2]
    assert asyncio.run(later()) == [3]
    assert [attributes_of(span)["spanbridge.stream.chunk.count"] for span in recorder.spans] == [
        *(2, 1)
    ]


def test_a_failing_source_fails_the_span(recorder: Recorder) -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise ConnectionError("the source is gone")

    taken = stream("rows", tracer_provider=recorder.provider).over(rows())
    with pytest.raises(ConnectionError):
        list(taken)

    span = recorder.only()
    assert attributes_of(span)["error.type"] == "ConnectionError"
    assert "spanbridge.outcome" not in attributes_of(span)
    assert len(span.events) == 1


def test_a_function_that_returns_once_is_refused_with_what_to_do(recorder: Recorder) -> None:
    async def fetch() -> list[int]:
        return []

    def rows() -> Iterator[int]:
        return iter([1])

    for function in (fetch, rows):
        with pytest.raises(TypeError, match=r"put stream\(…\)\.over\(\) around"):
            stream("rows", tracer_provider=recorder.provider)(function)


def test_methods_of_every_kind_can_be_decorated(recorder: Recorder) -> None:
    class Model:
        @stream("own", tracer_provider=recorder.provider)
        def own(self) -> Iterator[int]:
            yield 1

        @stream("static", tracer_provider=recorder.provider)
        @staticmethod
        def static() -> Iterator[int]:
            yield 2

    assert [*Model().own(), *Model.static()] == [1, 2]
    assert [span.name for span in recorder.spans] == ["own", "static"]


def test_children_made_by_a_task_of_the_framework_can_be_given_the_stream_as_parent(
    recorder: Recorder,
) -> None:
    """A framework that calls back in a task it has had for long, which knows no request."""
    calls: asyncio.Queue[Any] = asyncio.Queue()

    async def framework() -> None:
        while (call := await calls.get()) is not None:
            call()

    @stream("agent", tracer_provider=recorder.provider)
    async def answer() -> AsyncIterator[int]:
        span = trace.get_current_span()

        def tool() -> None:
            with trace.use_span(span), recorder.tracer.start_as_current_span("tool"):
                pass

        yield 1
        await calls.put(tool)
        yield 2

    async def main() -> None:
        worker = asyncio.create_task(framework())
        with recorder.tracer.start_as_current_span("request"):
            async for _ in answer():
                pass
        await calls.put(None)
        await worker

    asyncio.run(main())
    agent = recorder.only("agent")
    assert recorder.only("tool").parent == agent.context
    assert agent.parent == recorder.only("request").context
