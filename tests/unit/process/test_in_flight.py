from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from spanbridge.model.failure import CapturedException
from spanbridge.process.in_flight import (
    InFlight,
    Sighting,
    chain_marks,
    in_flight,
    is_recorded_by,
    mark,
    mark_of,
    take,
)


class ApplicationError(Exception):
    """An exception class of the application's own."""


class Watcher(SpanProcessor):
    """Notes what is in flight whenever a span ends."""

    def __init__(self) -> None:
        self.seen: dict[str, InFlight | None] = {}

    def on_end(self, span: ReadableSpan) -> None:
        error = sys.exc_info()[1]
        self.seen[span.name] = error and in_flight(error, span, includes_locals=False)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def tracer(watcher: Watcher) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(watcher)
    return provider.get_tracer("test")


def caught(call: Callable[..., Any], *args: object) -> BaseException:
    try:
        call(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def event_of(error: BaseException) -> dict[str, str]:
    """What ``Span.record_exception`` writes."""
    cls = type(error)
    prefix = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return {
        "exception.type": f"{prefix}{cls.__qualname__}",
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


def functions(exception: CapturedException) -> list[str]:
    return [frame.code.co_name for frame in exception.frames]


def fail(message: str = "broken") -> None:
    raise ValueError(message)


def recurse(depth: int) -> None:
    if depth == 0:
        fail()
    recurse(depth - 1)


def fail_with_cause() -> None:
    try:
        fail("inner")
    except ValueError as error:
        raise ApplicationError("outer") from error


def fail_while_handling() -> None:
    try:
        fail("inner")
    except ValueError:
        raise ApplicationError("outer")  # noqa: B904


# What a snapshot holds


def test_a_snapshot_names_type_message_and_frames_down_to_the_raising_line() -> None:
    [taken] = take(caught(recurse, 2), False)
    assert (taken.type, taken.module, taken.message) == ("ValueError", None, "broken")
    assert functions(taken) == ["caught", "recurse", "recurse", "recurse", "fail"]
    assert taken.frames[-1].module == __name__
    assert taken.frames[-1].lineno == fail.__code__.co_firstlineno + 1
    assert taken.frames[-1].local_variables is None


def test_a_cause_names_its_wrapper_as_parent() -> None:
    outer, inner = take(caught(fail_with_cause), False)
    assert (outer.type, outer.module, outer.parent) == ("ApplicationError", __name__, None)
    assert (inner.message, inner.relation, inner.parent) == ("inner", "__cause__", 0)


def test_an_implicit_context_is_kept_unless_it_is_suppressed() -> None:
    _, inner = take(caught(fail_while_handling), False)
    assert inner.relation == "__context__"

    error = caught(fail_while_handling)
    error.__suppress_context__ = True
    assert len(take(error, False)) == 1


def test_members_of_nested_groups_keep_their_own_frames_and_places() -> None:
    inner = ExceptionGroup("inner", [caught(fail, "c"), caught(fail_with_cause)])  # type: ignore[list-item]
    group = ExceptionGroup("outer", [ValueError("a"), inner])
    taken = take(group, False)
    assert [(e.message.partition(" ")[0], e.parent, e.group_index, e.is_group) for e in taken] == [
        ("outer", None, None, True),
        ("a", 0, 0, False),
        ("inner", 0, 1, True),
        ("c", 2, 0, False),
        ("outer", 2, 1, False),
        ("inner", 4, None, False),
    ]
    assert functions(taken[3])[-1] == "fail"


def test_notes_are_kept_if_they_are_texts() -> None:
    error = ValueError("x")
    error.add_note("first")
    error.__notes__.append(7)  # type: ignore[arg-type]
    assert take(error, False)[0].notes == ("first",)


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert [e.message for e in take(first, False)] == ["1", "2"]


def test_a_long_chain_is_cut_and_counted() -> None:
    error = BaseExceptionGroup("many", [ValueError(n) for n in range(200)])
    taken = take(error, False)
    assert len(taken) == 50
    assert taken[0].omitted_exceptions == 151


def test_a_deep_traceback_keeps_its_first_50_and_last_200_frames() -> None:
    [taken] = take(caught(recurse, 700), False)
    assert len(taken.frames) == 250
    assert taken.omitted_frames == 703 - 250
    assert functions(taken)[0] == "caught"
    assert functions(taken)[-1] == "fail"


@pytest.mark.parametrize(
    "members",
    [
        {"__str__": lambda self: 1 / 0},
        {"__str__": lambda self: None},
        {"__getattr__": lambda self, name: 1 / 0},
        {"__module__": None},
        {"__eq__": lambda self, other: 1 / 0, "__hash__": None},
        {"__setattr__": lambda self, name, value: 1 / 0},
    ],
    ids=["str raises", "str returns none", "getattr raises", "no module", "eq raises", "frozen"],
)
def test_a_broken_exception_class_is_survived(members: dict[str, Any]) -> None:
    broken: type[Exception] = type("BrokenError", (Exception,), members)
    error = broken("x")
    [taken] = take(error, True)
    assert taken.type == "BrokenError"
    assert mark(error, "a" * 32, "b" * 16) is mark_of(error)
    assert is_recorded_by(error, {"exception.type": "x"}) is False


def test_nothing_of_the_exception_or_its_frames_is_kept_alive() -> None:
    class Held:
        pass

    def fail_holding() -> weakref.ref[Held]:
        held = Held()
        references.append(weakref.ref(held))
        raise ApplicationError(held)

    references: list[weakref.ref[Any]] = []
    error = caught(fail_holding)
    references.append(weakref.ref(error))
    taken = take(error, True)
    sighting = mark(error, "a" * 32, "b" * 16)
    del error
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    assert taken
    assert sighting


def test_a_text_subclass_as_message_leaves_nothing_of_itself() -> None:
    class Tainted(str):
        payload = object()

    class TaintedError(Exception):
        def __str__(self) -> str:
            return Tainted("text")

    assert type(take(TaintedError(), False)[0].message) is str


# Local variables


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError


def test_locals_are_short_texts_and_survive_a_broken_repr() -> None:
    def fail_with_locals() -> None:
        small, broken, large = [1, "two"], BrokenRepr(), "x" * 100_000
        surrogate = "\udc80"
        fail(f"{small}{broken is None}{len(large)}{len(surrogate)}")

    [taken] = take(caught(fail_with_locals), True)
    variables = taken.frames[1].local_variables
    assert variables is not None
    assert variables["small"] == "[1, 'two']"
    assert "BrokenRepr" in variables["broken"]
    assert len(variables["large"]) <= 200
    assert variables["surrogate"].isprintable()


@given(st.dictionaries(st.text(min_size=1, max_size=40), st.text(max_size=400), max_size=40))
def test_all_locals_of_a_frame_stay_within_two_kilobytes(variables: dict[str, str]) -> None:
    namespace: dict[str, Any] = dict(variables)
    try:
        exec("1/0", {"__builtins__": {}}, namespace)
    except ZeroDivisionError as error:
        kept = take(error, True)[0].frames[-1].local_variables
    assert kept is not None
    assert sum(len(name) + len(text.encode()) for name, text in kept.items()) <= 2_000


# Wrapper frames


def test_frames_of_opentelemetry_are_removed_in_every_way_to_make_a_span(
    tracer: Tracer, watcher: Watcher
) -> None:
    @tracer.start_as_current_span("decorated")
    def decorated() -> None:
        with tracer.start_as_current_span("inner"):
            fail()

    @tracer.start_as_current_span("async")
    async def decorated_async() -> None:
        decorated()

    async def program() -> None:
        with tracer.start_as_current_span("root"):
            await decorated_async()

    caught(asyncio.run, program())
    frames = {name: functions(seen.exceptions[0]) for name, seen in watcher.seen.items() if seen}
    assert frames == {
        "inner": ["decorated", "fail"],
        "decorated": ["decorated", "fail"],
        "async": ["decorated_async", "decorated", "fail"],
        "root": ["program", "decorated_async", "decorated", "fail"],
    }


def test_an_error_raised_by_opentelemetry_itself_keeps_the_frame_that_raised(
    tracer: Tracer,
) -> None:
    error = caught(tracer.start_span, "x", "no context")
    assert take(error, False)[0].frames[-1].module.startswith("opentelemetry")  # type: ignore[union-attr]


def test_a_decorator_of_the_application_keeps_its_frame() -> None:
    from contextlib import contextmanager

    @contextmanager
    def scope() -> Iterator[None]:
        yield

    @scope()
    def decorated() -> None:
        fail()

    assert "inner" in functions(take(caught(decorated), False)[0])


# Is it the recorded one?


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
    cut = {name: text[:190] for name, text in event_of(error).items()}
    assert "in fail" not in cut["exception.stacktrace"]
    assert is_recorded_by(error, cut)
    try:
        fail()
    except ValueError as elsewhere:
        assert not is_recorded_by(elsewhere, cut)


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


# Marks


@pytest.mark.parametrize("make", [ValueError, ApplicationError, KeyboardInterrupt])
def test_an_exception_that_crosses_spans_and_threads_is_one_sighting(
    make: type[BaseException],
) -> None:
    def work() -> None:
        error = make("x")
        mark(error, "a" * 32, "1" * 16)
        raise error

    with ThreadPoolExecutor(1) as pool:
        error = caught(pool.submit(work).result)
    sighting = mark(error, "c" * 32, "2" * 16)
    assert (sighting.trace_id, sighting.span_id) == ("a" * 32, "1" * 16)
    assert mark_of(error) is sighting


def test_an_unseen_exception_has_no_mark() -> None:
    assert mark_of(ValueError()) is None
    assert mark_of(ApplicationError()) is None
    assert chain_marks(ValueError()) == ()


def test_a_wrapper_shares_the_sighting_of_what_it_wraps() -> None:
    error = caught(fail_with_cause)
    cause = error.__cause__
    assert cause is not None
    inner = mark(cause, "a" * 32, "1" * 16)
    assert chain_marks(error) == (inner,)
    assert mark(error, "a" * 32, "2" * 16) is inner


def test_a_group_gives_the_sightings_of_its_members() -> None:
    members = [ApplicationError(str(n)) for n in range(3)]
    sightings = [mark(member, "a" * 32, f"{n:016x}") for n, member in enumerate(members)]
    assert chain_marks(ExceptionGroup("all", members)) == tuple(sightings)


def test_the_sightings_inside_a_circle_of_contexts_are_found() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    sighting = mark(second, "a" * 32, "b" * 16)
    assert chain_marks(first) == (sighting,)


def test_an_application_that_prints_the_fields_of_its_error_sees_no_mark() -> None:
    error = ApplicationError("x")
    mark(error, "a" * 32, "b" * 16)
    assert vars(error) == {}


@pytest.mark.parametrize("error", [ValueError("x"), ApplicationError("x")], ids=repr)
def test_a_mark_does_not_travel_with_a_pickled_exception(error: Exception) -> None:
    mark(error, "a" * 32, "b" * 16)
    payload = pickle.dumps(error)
    assert b"spanbridge.process" not in payload
    assert mark_of(pickle.loads(payload)) is None
    assert mark_of(copy.deepcopy(error)) is None


def test_a_mark_is_forgotten_with_its_exception() -> None:
    for n in range(1000):
        error = ApplicationError()
        assert mark_of(error) is None
        assert mark(error, "a" * 32, f"{n:016x}").span_id == f"{n:016x}"


def test_a_sighting_may_learn_a_better_span() -> None:
    error = ValueError()
    mark(error, "a" * 32, "1" * 16).span_id = "2" * 16
    found = mark_of(error)
    assert isinstance(found, Sighting)
    assert found.span_id == "2" * 16
