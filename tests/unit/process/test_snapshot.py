from __future__ import annotations

import asyncio
import gc
import json
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

from spanbridge.model.failure import CapturedException
from spanbridge.process.in_flight import InFlight, in_flight, is_recorded_by
from spanbridge.process.sighting import mark, mark_of
from spanbridge.process.snapshot import LocalsByFrame, take
from tests.support.failing import (
    ApplicationError,
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


def functions(exception: CapturedException) -> list[str]:
    return [frame.code.co_name for frame in exception.frames]


# What a snapshot holds


def test_a_snapshot_names_type_message_and_frames_down_to_the_raising_line() -> None:
    [taken] = take(caught(recurse, 2), False)
    assert (taken.type, taken.module, taken.message) == ("ValueError", None, "broken")
    assert functions(taken) == ["caught", "recurse", "recurse", "recurse", "fail"]
    assert taken.frames[-1].module == fail.__module__
    assert taken.frames[-1].lineno == fail.__code__.co_firstlineno + 1
    assert taken.frames[-1].local_variables is None


def test_a_cause_names_its_wrapper_as_parent() -> None:
    outer, inner = take(caught(fail_with_cause), False)
    assert (outer.type, outer.module, outer.parent) == (
        "ApplicationError",
        ApplicationError.__module__,
        None,
    )
    assert (inner.message, inner.relation, inner.parent) == ("inner", "__cause__", 0)


def test_an_implicit_context_is_kept_unless_it_is_suppressed() -> None:
    _, inner = take(caught(fail_while_handling), False)
    assert inner.relation == "__context__"

    error = caught(fail_while_handling)
    error.__suppress_context__ = True
    assert len(take(error, False)) == 1


def test_members_of_nested_groups_keep_their_own_frames_and_places() -> None:
    inner = BaseExceptionGroup("inner", [caught(fail, "c"), caught(fail_with_cause)])
    group = BaseExceptionGroup("outer", [ValueError("a"), inner])
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


class Undecided:
    """Like an array: neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"message": "said"}, "said"),
        ({"detail": "said"}, "said"),
        ({"message": "", "detail": "said"}, "said"),
        ({"message": ["no", "text"]}, "given"),
        ({"message": property(lambda self: 1 / 0)}, "given"),
        ({"message": Undecided()}, "given"),
        ({"__str__": lambda self: 1 / 0}, "OddError('given')"),
        ({"__str__": lambda self: 1 / 0, "__repr__": lambda self: 1 / 0}, "<broken repr>"),
    ],
)
def test_the_message_is_what_sentrys_sdk_would_take(members: dict[str, Any], message: str) -> None:
    odd: type[Exception] = type("OddError", (Exception,), members)
    assert take(odd("given"), False)[0].message == message


@pytest.mark.parametrize(
    ("error", "number"),
    [(FileNotFoundError(2, "no"), 2), (OSError("no number"), None), (ValueError("x"), None)],
)
def test_the_number_of_an_operating_system_error_is_kept(
    error: Exception, number: int | None
) -> None:
    assert take(error, False)[0].errno == number


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


def test_wrappers_do_not_take_the_place_of_frames_in_a_deep_traceback(tracer: Tracer) -> None:
    def program() -> None:
        with tracer.start_as_current_span("deep"):
            recurse(700)

    [taken] = take(caught(program), False)
    assert len(taken.frames) == 250
    assert taken.omitted_frames == 704 - 250
    assert functions(taken)[:2] == ["caught", "program"]


def test_a_frame_that_went_on_is_read_again_for_what_it_raised_there() -> None:
    known: LocalsByFrame = {}

    def program() -> None:
        state = "before"
        try:
            fail()
        except ValueError as error:
            take(error, True, known)
            state = "after"
            raise ApplicationError(state) from error

    outer, inner = take(caught(program), True, known)
    assert (outer.frames[-1].local_variables or {})["state"] == "'after'"
    assert (inner.frames[0].local_variables or {})["state"] == "'before'"


def test_locals_that_were_taken_are_not_read_again() -> None:
    error = caught(fail)
    known: LocalsByFrame = {}
    [first] = take(error, True, known)
    for key in known:
        known[key] = {"name": "kept"}
    [second] = take(error, True, known)
    assert first.frames[-1].local_variables != {"name": "kept"}
    assert second.frames[-1].local_variables == {"name": "kept"}


def test_locals_of_libraries_stay_where_they_are() -> None:
    def parse(text: str, secret: str = "hunter2") -> None:
        json.loads(text)

    with pytest.raises(json.JSONDecodeError) as caught:
        parse("{")

    [outermost] = take(caught.value, True)
    of_us = [f for f in outermost.frames if f.module == __name__]
    of_libraries = [f for f in outermost.frames if f.module != __name__]
    assert (of_us[-1].local_variables or {})["secret"] == "'hunter2'"
    assert of_libraries
    assert all(frame.local_variables is None for frame in of_libraries)


def test_variables_of_a_package_are_kept_only_where_it_counts_as_the_applications() -> None:
    error = caught(lambda: yaml.safe_load("{"))

    def modules_with_variables(*own: str) -> set[str]:
        [taken] = take(error, True, own_modules=own)
        return {
            str(frame.module).partition(".")[0]
            for frame in taken.frames
            if frame.local_variables is not None
        }

    assert "yaml" not in modules_with_variables()
    assert "yaml" not in modules_with_variables("yam")
    assert "yaml" in modules_with_variables("yaml")
