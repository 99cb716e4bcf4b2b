"""Exceptions that nothing caught: what of them reaches the worker, and that nobody is replaced."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from spanbridge.process.intake import Logged
from spanbridge.process.reporter import ignoring
from spanbridge.runtime.guard import GUARD
from tests.support.bridged import process_as_it_was
from tests.support.failing import ApplicationError, caught, fail
from tests.support.heard import Heard, hearing


class Former:
    """The hooks that the application had set before."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        sys.excepthook = lambda *_: self.calls.append("excepthook")
        threading.excepthook = lambda _: self.calls.append("threading")
        sys.unraisablehook = lambda _: self.calls.append("unraisable")


@pytest.fixture
def former() -> Iterator[Former]:
    with process_as_it_was():
        yield Former()


@pytest.fixture
def heard(former: Former) -> Iterator[Heard]:
    with hearing(hooks=True) as heard:
        yield heard


def mechanism_of(told: Logged) -> tuple[object, object]:
    attributes = told.record.attributes
    return attributes["sentry.mechanism.type"], attributes["sentry.mechanism.handled"]


def end_program(error: BaseException) -> None:
    sys.excepthook(type(error), error, error.__traceback__)


def end_thread(error: BaseException) -> None:
    def work() -> None:
        raise error

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def fail_in_finalizer(error: BaseException) -> None:
    class Fragile:
        def __del__(self) -> None:
            raise error

    Fragile()
    gc.collect()


WAYS = {"excepthook": end_program, "threading": end_thread, "unraisable": fail_in_finalizer}


@pytest.mark.parametrize("way", list(WAYS))
def test_an_exception_that_nothing_caught_is_unhandled_and_goes_on(
    heard: Heard, former: Former, way: str
) -> None:
    WAYS[way](ApplicationError("x"))

    told = heard.take_one()
    assert mechanism_of(told) == (f"auto.{way}", False)
    assert told.exception is not None
    assert told.exception.exceptions[0].message == "x"
    assert former.calls == [way]


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_the_end_of_a_program_is_no_error(
    heard: Heard, former: Former, way: str, error: BaseException
) -> None:
    WAYS[way](error)

    assert heard.take() == []
    assert former.calls == [way]


@pytest.mark.parametrize("way", list(WAYS))
def test_the_hook_before_ours_is_called_although_ours_fails(
    heard: Heard, former: Former, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(GUARD, "_reraise", False)
    monkeypatch.setattr(heard.reporter, "report", lambda *_, **__: 1 / 0)
    before = GUARD.counts.get("process.hooks: ZeroDivisionError", 0)
    WAYS[way](ApplicationError("x"))

    assert former.calls == [way]
    assert GUARD.counts["process.hooks: ZeroDivisionError"] == before + 1


@pytest.mark.parametrize("way", list(WAYS))
def test_hooks_that_are_off_only_pass_on(heard: Heard, former: Former, way: str) -> None:
    heard.hooks.is_on = False
    WAYS[way](ApplicationError("x"))

    assert heard.take() == []
    assert former.calls == [way]


def test_hooks_are_chained_once(heard: Heard, former: Former) -> None:
    heard.hooks.chain()
    end_program(caught(fail))

    heard.take_one()
    assert former.calls == ["excepthook"]


def test_nothing_happens_while_nothing_is_configured(heard: Heard, former: Former) -> None:
    heard.reporter.intake = None
    end_program(caught(fail))

    assert former.calls == ["excepthook"]


@pytest.mark.parametrize("message", [None, "Exception ignored in thread started by"])
def test_a_finalizer_is_named_without_touching_its_object(
    heard: Heard, message: str | None
) -> None:
    class HalfDead:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError("touched")

        __repr__ = __str__ = None  # type: ignore[assignment]

    arguments = SimpleNamespace(
        exc_value=caught(fail), err_msg=message, object=HalfDead(), exc_type=ValueError
    )
    sys.unraisablehook(arguments)

    body = heard.take_one().record.body
    assert body.startswith(message or "Exception ignored in: ")
    assert body.endswith(".HalfDead")


def test_the_method_that_failed_is_named(heard: Heard) -> None:
    fail_in_finalizer(ApplicationError("x"))

    assert heard.take_one().record.body.endswith("Fragile.__del__")


def test_an_unraisable_exception_without_an_object_is_passed_over(
    heard: Heard, former: Former
) -> None:
    sys.unraisablehook(
        SimpleNamespace(exc_type=ValueError, exc_value=None, err_msg=None, object=None)
    )

    assert heard.take() == []
    assert former.calls == ["unraisable"]


def test_no_exception_frame_or_object_is_kept(heard: Heard) -> None:
    class Local:
        pass

    references: list[weakref.ref[Any]] = []

    def work() -> None:
        local = Local()
        references.append(weakref.ref(local))
        raise ApplicationError("x")

    def run() -> None:
        try:
            work()
        except ApplicationError as error:
            references.append(weakref.ref(error))
            end_program(error)

    class Fragile:
        def __del__(self) -> None:
            references.append(weakref.ref(self))
            work()

    run()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    del thread
    Fragile()
    gc.collect()

    assert len(references) == 5
    assert [reference() for reference in references] == [None] * 5
    assert len(heard.take()) == 3


@pytest.mark.parametrize("way", list(WAYS))
def test_ignoring_every_logger_leaves_the_hooks_on(heard: Heard, way: str) -> None:
    heard.reporter.ignores = ignoring(("*",))
    WAYS[way](ApplicationError("x"))

    heard.take_one()


def test_a_thread_of_the_applications_that_suppresses_instrumentation_is_heard(
    heard: Heard,
) -> None:
    def work() -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        fail()

    for name in ("worker", "spanbridge-sentry"):
        thread = threading.Thread(target=work, name=name)
        thread.start()
        thread.join()

    assert heard.take_one().record.attributes["thread.name"] == "worker"


class NoCause(Exception):
    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]
        raise RuntimeError("no cause")


class NoClass(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("no class")


@pytest.mark.parametrize("kind", [NoCause, NoClass])
@pytest.mark.parametrize("reraises", [False, True])
def test_an_exception_that_cannot_be_read_is_told_of_by_its_class(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], reraises: bool
) -> None:
    monkeypatch.setattr(GUARD, "_reraise", reraises)
    end_program(kind("x"))

    told = heard.take_one()
    assert told.exception is not None
    [captured] = told.exception.exceptions
    assert (captured.type, captured.message) == (kind.__qualname__, "x")
