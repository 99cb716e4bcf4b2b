from __future__ import annotations

import asyncio
import concurrent.futures
import decimal
import inspect
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import StatusCode

from spanbridge.conventions import SCHEMA_URL
from spanbridge.instrument import agent_task, current_agent_task, record_agent_task
from spanbridge.runtime.guard import GUARD
from tests.unit.instrument.conftest import Recorder


def attributes_of(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def test_a_block_becomes_an_invoke_agent_span(recorder: Recorder) -> None:
    with agent_task(
        "ethics",
        agent_type="reviewer",
        task_type="assess",
        timeout_s=30,
        data_sources=["press"],
        attributes={"proposal.id": 42},
        tracer_provider=recorder.provider,
    ) as task:
        task.set(model="small", input_tokens=10, output_tokens=3)
        task.set_attribute("proposal.budget", decimal.Decimal("2.5"))

    span = recorder.only()
    assert span.name == "invoke_agent ethics"
    assert attributes_of(span) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "ethics",
        "multi_agent.agent.type": "reviewer",
        "multi_agent.agent.data_sources": ("press",),
        "multi_agent.task.type": "assess",
        "multi_agent.task.timeout_s": 30,
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "proposal.id": 42,
        "proposal.budget": 2.5,
        "multi_agent.task.outcome": "ok",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.schema_url == SCHEMA_URL


def test_the_span_is_current_inside_the_block_and_not_after_it(recorder: Recorder) -> None:
    with agent_task("a", tracer_provider=recorder.provider) as task:
        assert trace.get_current_span() is task.span
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_function_keeps_its_signature_and_result(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    def double(number: int) -> int:
        """Twice."""
        return number * 2

    assert double(4) == 8
    assert double.__doc__ == "Twice."
    assert str(inspect.signature(double)) == "(number: 'int') -> 'int'"
    assert recorder.only().name == "invoke_agent a"


def test_a_coroutine_function_stays_one(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        current_agent_task().set(output_tokens=number)
        return number * 2

    assert inspect.iscoroutinefunction(double)
    assert asyncio.run(double(4)) == 8
    assert attributes_of(recorder.only())["gen_ai.usage.output_tokens"] == 4


def test_methods_of_every_kind_can_be_decorated(recorder: Recorder) -> None:
    task = agent_task("a", tracer_provider=recorder.provider)

    class Agent:
        @task
        def plain(self) -> str:
            return type(self).__name__

        @task
        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

        @task
        @staticmethod
        async def of_nobody() -> str:
            return "nobody"

    assert Agent().plain() == Agent.of_class() == "Agent"
    assert asyncio.run(Agent.of_nobody()) == "nobody"
    assert len(recorder.spans) == 3


@pytest.mark.parametrize(
    ("error", "outcome", "error_type", "status"),
    [
        (ValueError("no"), "error", "ValueError", StatusCode.ERROR),
        (TimeoutError("late"), "timeout", "TimeoutError", StatusCode.ERROR),
        (asyncio.CancelledError(), "cancelled", None, StatusCode.UNSET),
        (concurrent.futures.CancelledError(), "cancelled", None, StatusCode.UNSET),
        (GeneratorExit(), "cancelled", None, StatusCode.UNSET),
        (KeyboardInterrupt(), "cancelled", None, StatusCode.UNSET),
        (SystemExit(3), "cancelled", None, StatusCode.UNSET),
        (ExceptionGroup("g", [TimeoutError(), TimeoutError()]), "timeout", "ExceptionGroup",
         StatusCode.ERROR),
        (ExceptionGroup("g", [TimeoutError(), ValueError()]), "error", "ExceptionGroup",
         StatusCode.ERROR),
        (BaseExceptionGroup("g", [asyncio.CancelledError()]), "cancelled", None,
         StatusCode.UNSET),
    ],
    ids=repr,
)  # fmt: skip
def test_what_ends_the_work_decides_its_outcome_and_passes_unchanged(
    recorder: Recorder,
    error: BaseException,
    outcome: str,
    error_type: str | None,
    status: StatusCode,
) -> None:
    with (
        pytest.raises(type(error)) as raised,
        agent_task("a", tracer_provider=recorder.provider),
    ):
        raise error

    assert raised.value is error
    span = recorder.only()
    assert attributes_of(span)["multi_agent.task.outcome"] == outcome
    assert attributes_of(span).get("error.type") == error_type
    assert span.status.status_code is status
    assert [event.name for event in span.events] == (["exception"] if error_type else [])


def test_a_timeout_of_a_client_library_is_a_timeout(recorder: Recorder) -> None:
    class ReadTimeout(Exception):
        pass

    with pytest.raises(ReadTimeout), agent_task("a", tracer_provider=recorder.provider):
        raise ReadTimeout

    assert attributes_of(recorder.only())["multi_agent.task.outcome"] == "timeout"


def test_a_cancelled_task_ends_its_span_as_cancelled(recorder: Recorder) -> None:
    @agent_task("a", tracer_provider=recorder.provider)
    async def wait() -> None:
        await asyncio.Event().wait()

    async def cancel_it() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_it())
    assert attributes_of(recorder.only())["multi_agent.task.outcome"] == "cancelled"


def test_a_failure_without_exception_can_be_stated(recorder: Recorder) -> None:
    with agent_task("a", tracer_provider=recorder.provider) as task:
        task.set_outcome("error", "no_answer")

    span = recorder.only()
    assert attributes_of(span)["error.type"] == "no_answer"
    assert span.status.status_code is StatusCode.ERROR


def test_the_exception_is_in_flight_when_the_span_ends(recorder: Recorder) -> None:
    seen: list[BaseException | None] = []

    class Watcher(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(sys.exc_info()[1])

    recorder.provider.add_span_processor(Watcher())
    task = agent_task("a", tracer_provider=recorder.provider)
    error = ValueError("no")

    @task
    def plain() -> None:
        raise error

    @task
    async def coroutine() -> None:
        raise error

    with pytest.raises(ValueError, match="no"):
        plain()
    with pytest.raises(ValueError, match="no"):
        asyncio.run(coroutine())
    with pytest.raises(ValueError, match="no"), task:
        raise error

    assert seen == [error] * 3


def test_one_object_gives_each_nested_and_repeated_use_its_span(recorder: Recorder) -> None:
    task = agent_task("a", tracer_provider=recorder.provider)

    with task as outer:
        with task as inner:
            assert inner.span is not outer.span
        assert not outer.has_ended
    with task:
        pass

    first, second, third = recorder.spans
    assert first.parent == second.context
    assert third.parent is None


def test_one_object_may_be_entered_by_several_tasks_at_once(recorder: Recorder) -> None:
    task = agent_task("a", tracer_provider=recorder.provider)

    async def work(name: str, turns: int) -> None:
        async with task as run:
            run.set_attribute("name", name)
            for _ in range(turns):
                await asyncio.sleep(0)
            assert not run.has_ended
        assert run.has_ended

    async def main() -> None:
        await asyncio.gather(work("long", 5), work("short", 1), work("middle", 3))

    asyncio.run(main())
    assert [attributes_of(span)["name"] for span in recorder.spans] == ["short", "middle", "long"]


def test_one_object_may_be_entered_by_several_threads_at_once(recorder: Recorder) -> None:
    task = agent_task("a", tracer_provider=recorder.provider)
    all_are_inside = threading.Barrier(4)

    def work(name: str) -> None:
        with task as run:
            all_are_inside.wait(5)
            run.set_attribute("name", name)
            assert trace.get_current_span() is run.span

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))

    assert sorted(str(attributes_of(span)["name"]) for span in recorder.spans) == list("abcd")


def test_a_child_task_that_ends_the_block_for_its_parent_leaves_no_trace_of_it(
    recorder: Recorder,
) -> None:
    async def main() -> None:
        task = agent_task("a", tracer_provider=recorder.provider)
        task.__enter__()

        async def leave() -> trace.Span:
            task.__exit__(None, None, None)
            return trace.get_current_span()

        assert await asyncio.create_task(leave()) is trace.INVALID_SPAN

    asyncio.run(main())
    assert recorder.only().name == "invoke_agent a"


def test_finished_work_is_recorded_with_its_times(recorder: Recorder) -> None:
    record_agent_task(
        "legal",
        duration_s=1.5,
        end_time_ns=10_000_000_000,
        outcome="timeout",
        output_tokens=7,
        tracer_provider=recorder.provider,
    )

    span = recorder.only()
    assert (span.start_time, span.end_time) == (8_500_000_000, 10_000_000_000)
    assert attributes_of(span)["multi_agent.task.outcome"] == "timeout"
    assert attributes_of(span)["gen_ai.usage.output_tokens"] == 7
    assert span.status.status_code is StatusCode.ERROR


def test_finished_work_that_failed_is_recorded_with_its_exception(recorder: Recorder) -> None:
    record_agent_task(
        "legal", duration_s=1, error=ValueError("no"), tracer_provider=recorder.provider
    )

    span = recorder.only()
    [event] = span.events
    assert event.timestamp == span.end_time
    assert (event.attributes or {})["exception.message"] == "no"
    assert span.status.description == "ValueError: no"


def test_without_a_provider_nothing_is_made_current_and_all_setters_work() -> None:
    before = trace.get_current_span()

    with agent_task("a") as task:
        task.set(output_tokens=1)
        task.set_attributes({"any": object()})
        task.add_event("event")
        task.set_outcome("error")
        assert trace.get_current_span() is before
    current_agent_task().set(output_tokens=1)
    record_agent_task("a", duration_s=1)

    assert not task.span.is_recording()


@pytest.fixture
def tolerant_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GUARD, "_reraise", False)


@pytest.mark.usefixtures("tolerant_guard")
def test_a_failing_span_processor_neither_stops_nor_replaces_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            if span.name.endswith("start"):
                raise RuntimeError("processor")

        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("processor")

    provider = TracerProvider()
    provider.add_span_processor(Failing())

    for name in ("start", "end"):
        with (
            pytest.raises(ValueError, match="mine"),
            agent_task(name, tracer_provider=provider),
        ):
            raise ValueError("mine")
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.usefixtures("tolerant_guard")
def test_an_exception_without_text_is_still_an_error(recorder: Recorder) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(Mute), agent_task("a", tracer_provider=recorder.provider):
        raise Mute

    span = recorder.only()
    assert span.status.status_code is StatusCode.ERROR
    assert str(attributes_of(span)["error.type"]).endswith("Mute")


class Empty(Exception):
    def __len__(self) -> int:
        return 0


class Untrue(TimeoutError):
    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize(("error", "outcome"), [(Empty(), "error"), (Untrue(), "timeout")])
def test_an_exception_that_calls_itself_false_is_still_an_error(
    recorder: Recorder, error: Exception, outcome: str
) -> None:
    with pytest.raises(type(error)), agent_task("a", tracer_provider=recorder.provider):
        raise error
    record_agent_task("a", duration_s=1, error=error, tracer_provider=recorder.provider)

    for span in recorder.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert attributes_of(span)["multi_agent.task.outcome"] == outcome
        assert attributes_of(span)["error.type"] == f"{__name__}.{type(error).__name__}"
        assert [event.name for event in span.events] == ["exception"]
    assert len(recorder.spans) == 2


def test_an_unknown_value_is_reported_and_harms_nothing(recorder: Recorder) -> None:
    with agent_task("a", tracer_provider=recorder.provider) as task:
        task.set(colour="red")  # type: ignore[call-arg]

    assert GUARD.counts["instrument: unknown value"] >= 1
    assert recorder.only().name == "invoke_agent a"
