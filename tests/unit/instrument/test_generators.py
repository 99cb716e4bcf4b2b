from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Generator, Iterator

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
    def count() -> Iterator[str | None]:
        yield current_name()
        yield current_name()

    assert inspect.isgeneratorfunction(count)
    stream = count()
    assert next(stream) == "invoke_agent a"
    assert current_name() is None
    assert recorder.spans == ()
    assert list(stream) == ["invoke_agent a"]
    assert outcome_of(recorder.only()) == "ok"


def test_a_stream_that_is_never_started_has_no_span(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def count() -> Iterator[int]:
        yield 1

    count().close()  # type: ignore[attr-defined]
    assert recorder.spans == ()


def test_values_sent_thrown_and_returned_pass_through(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def talk() -> Generator[object, object, str]:
        heard = yield "ready"
        try:
            yield heard
        except KeyError as error:
            yield error
        return "done"

    stream = talk()
    error = KeyError("k")
    assert next(stream) == "ready"
    assert stream.send("hello") == "hello"
    assert stream.throw(error) is error
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == "done"
    assert outcome_of(recorder.only()) == "ok"


def test_an_exception_thrown_in_and_not_caught_is_an_error(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def count() -> Generator[int, None, None]:
        yield 1

    stream = count()
    next(stream)
    error = ValueError("thrown")
    with pytest.raises(ValueError, match="thrown") as raised:
        stream.throw(error)
    assert raised.value is error
    assert outcome_of(recorder.only()) == "error"


def test_a_stream_closed_early_is_cancelled_and_cleans_up_inside_its_span(
    recorder: Recorder,
) -> None:
    seen: list[str | None] = []

    @agent_task("a", tracer_provider=recorder.provider)
    def count() -> Generator[int, None, None]:
        try:
            yield 1
            yield 2
        finally:
            seen.append(current_name())

    stream = count()
    next(stream)
    stream.close()

    assert seen == ["invoke_agent a"]
    assert current_name() is None
    span = recorder.only()
    assert outcome_of(span) == "cancelled"
    assert span.events == ()


def test_a_stream_that_will_not_close_raises_as_without_the_helper(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def stubborn() -> Generator[int, None, None]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    stream = stubborn()
    next(stream)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        stream.close()
    assert outcome_of(recorder.only()) == "error"


def test_a_stream_dropped_half_way_ends_its_span(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def count() -> Iterator[int]:
        yield 1
        yield 2

    for _ in count():
        break
    gc.collect()

    assert outcome_of(recorder.only()) == "cancelled"
    assert current_name() is None


def test_a_stream_collected_as_part_of_a_cycle_ends_its_span(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def count(holder: list[object]) -> Iterator[int]:
        yield 1

    holder: list[object] = []
    stream = count(holder)
    holder.append(stream)
    next(stream)
    del stream, holder
    with recorder.tracer.start_as_current_span("innocent"):
        gc.collect()
        assert current_name() == "innocent"

    assert outcome_of(recorder.only("invoke_agent a")) == "cancelled"


def test_interleaved_streams_keep_their_own_context(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def count(name: str) -> Iterator[trace.SpanContext]:
        for _ in range(3):
            with recorder.tracer.start_as_current_span(name) as step:
                yield step.get_span_context()

    for _ in zip(count("left"), count("right"), strict=False):
        assert current_name() is None
    gc.collect()

    agents = [span_id(span.context) for span in recorder.spans if span.name == "invoke_agent a"]
    assert len(agents) == 2
    owners = [
        {span_id(span.parent) for span in recorder.spans if span.name == name}
        for name in ("left", "right")
    ]
    assert sorted(owners, key=min) == [{agent} for agent in sorted(agents)]


def test_a_span_open_inside_the_stream_is_still_current_there_after_a_yield(
    recorder: Recorder,
) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def nested() -> Iterator[str | None]:
        with recorder.tracer.start_as_current_span("chat"):
            yield current_name()
            with recorder.tracer.start_as_current_span("tool"):
                pass
            yield current_name()

    stream = nested()
    assert next(stream) == "chat"
    with recorder.tracer.start_as_current_span("consumer"):
        assert next(stream) == "chat"
        assert current_name() == "consumer"
    assert list(stream) == []

    assert recorder.only("tool").parent == recorder.only("chat").context
    assert recorder.only("chat").parent == recorder.only("invoke_agent a").context


def test_each_item_may_be_taken_by_another_thread(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def count() -> Iterator[str | None]:
        for _ in range(3):
            yield current_name()

    stream = count()
    taken: list[str | None] = []

    def take() -> None:
        taken.extend([next(stream), current_name()])

    for _ in range(3):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(5)
    closer = threading.Thread(target=stream.close)  # type: ignore[attr-defined]
    closer.start()
    closer.join(5)

    assert taken == ["invoke_agent a", None] * 3
    assert outcome_of(recorder.only()) == "cancelled"
