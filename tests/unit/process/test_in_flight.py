from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from spanbridge.process.in_flight import InFlight, in_flight, is_recorded_by
from tests.support.failing import (
    caught,
    fail,
    fail_while_handling,
    fail_with_cause,
    recurse,
)


class Watcher(SpanProcessor):
    """Notes what is in flight whenever a span ends."""

    def __init__(self) -> None:
        self.seen: dict[str, InFlight | None] = {}

    def on_end(self, span: ReadableSpan) -> None:
        error = sys.exc_info()[1]
        self.seen[span.name] = (
            None if error is None else in_flight(error, span, includes_locals=False)
        )


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def tracer(watcher: Watcher) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(watcher)
    return provider.get_tracer("test")


def event_of(error: BaseException) -> dict[str, str]:
    """What ``Span.record_exception`` writes."""
    cls = type(error)
    prefix = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return {
        "exception.type": f"{prefix}{cls.__qualname__}",
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


def test_the_recorded_exception_is_recognised() -> None:
    for call in (fail, fail_with_cause, fail_while_handling):
        error = caught(call)
        assert is_recorded_by(error, event_of(error))


@pytest.mark.parametrize(
    "other",
    [
        lambda: fail("other message"),
        lambda: (_ for _ in ()).throw(TypeError("broken")),
        lambda: (_ for _ in ()).throw(ValueError("broken")),
    ],
    ids=["other message", "other type", "other line"],
)
def test_an_unrelated_exception_is_not_taken_for_the_recorded_one(
    other: Callable[[], None],
) -> None:
    assert not is_recorded_by(caught(other), event_of(caught(fail)))


def test_an_exception_is_recognised_although_attribute_lengths_are_limited() -> None:
    error = caught(recurse, 2)
    recorded = event_of(error)
    limit = recorded["exception.stacktrace"].rindex("File ")
    cut = {name: text[:limit] for name, text in recorded.items()}
    assert "in fail" not in cut["exception.stacktrace"]
    assert is_recorded_by(error, cut)
    with pytest.raises(ValueError, match="broken") as elsewhere:
        fail()
    assert not is_recorded_by(elsewhere.value, cut)


def test_an_event_without_texts_speaks_of_nothing() -> None:
    error = caught(fail)
    assert not is_recorded_by(error, {})
    assert not is_recorded_by(error, {**event_of(error), "exception.stacktrace": 7})
    assert not is_recorded_by(ValueError("never raised"), event_of(ValueError("never raised")))


def test_a_healthy_span_inside_an_except_block_sees_no_failure_of_its_own(
    tracer: Tracer, watcher: Watcher
) -> None:
    try:
        fail()
    except ValueError:
        with tracer.start_as_current_span("fallback"):
            pass
    assert watcher.seen["fallback"] is None


def test_a_server_span_sees_the_exception_its_framework_is_handling(
    tracer: Tracer, watcher: Watcher
) -> None:
    try:
        fail()
    except ValueError:
        span = tracer.start_span("request", kind=SpanKind.SERVER)
        span.set_status(Status(StatusCode.ERROR))
        span.end()
    seen = watcher.seen["request"]
    assert seen is not None
    assert seen.exceptions[0].message == "broken"


@pytest.mark.parametrize("text", ["broken", ""])
def test_an_exception_recorded_with_a_message_of_its_own_is_recognised(text: str) -> None:
    error = caught(fail, text)
    event = {**event_of(error), "exception.message": "custom"}
    assert is_recorded_by(error, event)
    assert not is_recorded_by(caught(fail, "other"), event)


def test_only_an_exception_that_was_seen_to_leave_is_leaving(
    tracer: Tracer, watcher: Watcher
) -> None:
    with pytest.raises(ValueError, match="broken"), tracer.start_as_current_span("left"):
        fail()
    span = tracer.start_span("ended by hand")
    try:
        fail()
    except ValueError as error:
        span.record_exception(error)
        span.set_status(StatusCode.ERROR)
        span.end()
    left, by_hand = watcher.seen["left"], watcher.seen["ended by hand"]
    assert left is not None
    assert left.is_leaving
    assert by_hand is not None
    assert not by_hand.is_leaving
    assert by_hand.exceptions[0].message == "broken"


def test_a_span_that_ends_well_tells_of_no_exception(tracer: Tracer, watcher: Watcher) -> None:
    span = tracer.start_span("fine")
    try:
        fail()
    except ValueError as error:
        span.record_exception(error)
        span.end()
    assert watcher.seen["fine"] is None


def test_work_that_outlived_its_parent_knows_it(tracer: Tracer, watcher: Watcher) -> None:
    with tracer.start_as_current_span("open"):
        with pytest.raises(ValueError, match="broken"), tracer.start_as_current_span("in time"):
            fail()
    with tracer.start_as_current_span("short") as short:
        short.end()
        with pytest.raises(ValueError, match="broken"), tracer.start_as_current_span("late"):
            fail()
    in_time, late = watcher.seen["in time"], watcher.seen["late"]
    assert in_time is not None
    assert not in_time.has_ended_parent
    assert late is not None
    assert late.has_ended_parent
