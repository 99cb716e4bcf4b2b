"""Our own failures: never the application's, always counted, one log line per cause and minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from spanbridge.runtime.guard import LOG_INTERVAL_S, RERAISE_VARIABLE, Guard


class Clock:
    """Time that stands still unless told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> Guard:
    return Guard(clock, reraise=False)


def fail(guard: Guard, error: BaseException) -> None:
    try:
        raise error
    except BaseException as caught:
        guard.caught("stage", caught)


def test_a_failure_is_swallowed_counted_and_logged_with_its_traceback(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    fail(guard, ValueError("a bug"))

    assert guard.counts == {"stage: ValueError": 1}
    [record] = caplog.records
    assert (record.name, record.levelname) == ("spanbridge", "WARNING")
    assert record.getMessage() == "spanbridge: stage: ValueError"
    assert record.exc_text is None or "a bug" in record.exc_text
    assert record.exc_info


def test_each_cause_is_logged_once_a_minute_and_counted_each_time(
    guard: Guard, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        guard.report("http 503", "details that vary")
        guard.report("timeout")
    assert [r.getMessage() for r in caplog.records] == [
        "spanbridge: http 503: details that vary",
        "spanbridge: timeout",
    ]

    clock.now_s += LOG_INTERVAL_S - 0.01
    guard.report("timeout")
    assert len(caplog.records) == 2

    clock.now_s += 0.01
    guard.report("timeout")
    assert len(caplog.records) == 3
    assert guard.counts == {"http 503": 1000, "timeout": 1002}


def test_under_test_the_failure_itself_surfaces(clock: Clock) -> None:
    guard = Guard(clock, reraise=True)
    error = ValueError("a bug")

    with pytest.raises(ValueError, match="a bug") as caught:
        fail(guard, error)
    assert caught.value is error


@pytest.mark.parametrize(("value", "raises"), [("1", True), ("0", False), ("", False)])
def test_whether_it_is_a_test_is_a_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, raises: bool
) -> None:
    monkeypatch.setenv(RERAISE_VARIABLE, value)
    guard = Guard()

    if raises:
        with pytest.raises(KeyError):
            fail(guard, KeyError("x"))
    else:
        fail(guard, KeyError("x"))


def test_a_report_never_raises_even_under_test(clock: Clock) -> None:
    Guard(clock, reraise=True).report("outage")


class BrokenHandler(logging.Handler):
    """A handler of the application that fails without catching it."""

    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("broken handler")


@pytest.fixture
def broken_logging() -> Iterator[None]:
    handler = BrokenHandler()
    logger = logging.getLogger("spanbridge")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.usefixtures("broken_logging")
def test_a_broken_log_handler_of_the_application_is_no_failure_of_the_guard(guard: Guard) -> None:
    fail(guard, ValueError("a bug"))

    assert guard.counts == {"stage: ValueError": 1, "log handler": 1}


def test_an_exception_that_cannot_be_printed_is_counted_all_the_same(guard: Guard) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    fail(guard, Unprintable())

    assert guard.counts == {"stage: " + "Unprintable": 1}


def test_the_counts_handed_out_are_a_copy(guard: Guard) -> None:
    guard.report("x")
    guard.counts["x"] = 99

    assert guard.counts == {"x": 1}
