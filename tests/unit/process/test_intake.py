"""The hand-over to the worker: bounded, lock-free, and nothing is stranded by an exchange."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from spanbridge.model.log import SEVERITY_ERROR, SEVERITY_WARN, LogRecord
from spanbridge.model.span import Attributes
from spanbridge.process.in_flight import InFlight
from spanbridge.process.intake import (
    MAX_EXCEPTIONS_WAITING,
    RESERVED_FOR_ERRORS,
    WAKE_AT,
    Ended,
    Intake,
    Logged,
)
from spanbridge.process.local_trace import LocalTrace
from spanbridge.process.sighting import Sighting

LONG_S = 30.0
FAILING = InFlight((), Sighting("0" * 32, "0" * 16))


def ended(number: int, in_flight: object = None) -> Ended:
    return cast(Ended, (number, None, in_flight))


def taken(intake: Intake, limit: int = 10) -> list[object]:
    return [item[0] for item in intake.take(limit)]


@contextmanager
def sleeping_worker(intake: Intake) -> Iterator[threading.Thread]:
    """A worker that sleeps until something wakes it."""
    worker = threading.Thread(target=intake.wait, args=(LONG_S, lambda: False), daemon=True)
    worker.start()
    while intake._is_signalled and worker.is_alive():
        pass
    try:
        yield worker
    finally:
        intake.wake()
        worker.join(LONG_S)


def test_items_come_out_in_order_and_at_most_as_many_as_asked() -> None:
    intake = Intake(10)
    for number in range(5):
        intake.put(ended(number), wakes=False)

    assert taken(intake, 3) == [0, 1, 2]
    assert taken(intake, 3) == [3, 4]
    assert taken(intake, 3) == []


def test_what_does_not_fit_is_refused_and_counted_once() -> None:
    intake = Intake(2)
    for number in range(5):
        intake.put(ended(number), wakes=False)

    assert taken(intake) == [0, 1]
    assert (intake.take_refused(), intake.take_refused()) == ((3, 0), (0, 0))


def test_a_few_places_are_for_errors_alone_and_refused_errors_are_told_apart() -> None:
    intake = Intake(1)
    for number in range(RESERVED_FOR_ERRORS + 3):
        intake.put(ended(number, in_flight=FAILING), wakes=False)
    intake.put(ended(-1), wakes=False)

    assert len(intake) == 1 + RESERVED_FOR_ERRORS
    assert intake.take_refused() == (3, 2)


def test_an_item_that_wakes_ends_the_workers_sleep() -> None:
    intake = Intake(10)
    with sleeping_worker(intake) as worker:
        intake.put(ended(1), wakes=True)
        worker.join(5)
        assert not worker.is_alive()


def test_other_items_wake_the_worker_only_when_many_wait() -> None:
    intake = Intake(10_000)
    with sleeping_worker(intake) as worker:
        for number in range(WAKE_AT):
            intake.put(ended(number), wakes=False)
        worker.join(0.1)
        assert worker.is_alive()
        intake.put(ended(0), wakes=False)
        worker.join(5)
        assert not worker.is_alive()


def test_the_worker_does_not_sleep_while_something_waits() -> None:
    intake = Intake(10)
    intake.put(ended(1), wakes=False)

    intake.wait(LONG_S, lambda: False)
    taken(intake)
    intake.wait(LONG_S, lambda: True)  # returns at once, or the test takes half a minute


def test_an_heir_gets_what_is_left_and_what_still_comes() -> None:
    old, new, newest = Intake(10), Intake(10), Intake(10)
    old.put(ended(1), wakes=False)
    old.bequeath(new)
    old.put(ended(2), wakes=False)  # by a thread that looked the old one up before the exchange

    assert taken(new) == [1, 2]

    new.bequeath(newest)
    with sleeping_worker(newest) as worker:
        old.put(ended(3), wakes=False)
        worker.join(5)
        assert not worker.is_alive()
    assert taken(newest) == [3]
    assert (len(old), len(new)) == (0, 0)


def test_a_child_starts_empty() -> None:
    intake = Intake(1)
    for number in range(3):
        intake.put(ended(number), wakes=True)
    intake.reset()

    assert (taken(intake), intake.take_refused()) == ([], (0, 0))


def test_in_a_storm_of_errors_spans_wait_without_their_frames() -> None:
    intake = Intake(10 * MAX_EXCEPTIONS_WAITING)
    for number in range(MAX_EXCEPTIONS_WAITING + 5):
        assert intake.put(ended(number, in_flight=FAILING), wakes=False)
    told = [item[2] for item in intake.take(2 * MAX_EXCEPTIONS_WAITING)]
    assert told == [FAILING] * MAX_EXCEPTIONS_WAITING + [None] * 5
    assert intake.put(ended(1, in_flight=FAILING), wakes=False)
    assert [item[2] for item in intake.take(1)] == [FAILING]


def test_what_comes_after_the_end_is_refused() -> None:
    intake = Intake(10)
    intake.close()
    assert not intake.put(ended(1), wakes=False)
    assert not intake.put(ended(2, in_flight=FAILING), wakes=False)


def test_an_error_that_is_known_in_words_only_is_counted_where_it_finds_no_place() -> None:
    said: Attributes = {"exception.type": "ValueError"}
    error = LogRecord(1, SEVERITY_ERROR, "failed", "app", said)
    warning = LogRecord(1, SEVERITY_WARN, "again", "app", said)
    intake = Intake(0)
    for record in (error, warning):
        assert not intake.put(Logged(record, LocalTrace(1, 2), None, None), wakes=False)
    assert intake.take_refused() == (0, 1)
