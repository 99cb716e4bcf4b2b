"""The hand-over to the worker: bounded, lock-free, and nothing is stranded by an exchange."""

from __future__ import annotations

from typing import cast

from spanbridge.process.intake import WAKE_AT, Ended, Intake


def ended(number: int) -> Ended:
    return cast(Ended, number)


def woken(intake: Intake) -> bool:
    return intake._is_signalled


def test_items_come_out_in_order_and_at_most_as_many_as_asked() -> None:
    intake = Intake(10)
    for number in range(5):
        intake.put(ended(number), wakes=False)

    assert intake.take(3) == [0, 1, 2]
    assert intake.take(3) == [3, 4]
    assert intake.take(3) == []


def test_what_does_not_fit_is_refused_and_counted_once() -> None:
    intake = Intake(2)
    for number in range(5):
        intake.put(ended(number), wakes=False)

    assert intake.take(10) == [0, 1]
    assert (intake.take_refused(), intake.take_refused()) == (3, 0)


def test_the_worker_is_woken_when_told_or_when_much_waits() -> None:
    intake = Intake(10_000)
    for number in range(WAKE_AT):
        intake.put(ended(number), wakes=False)
    assert not woken(intake)
    intake.put(ended(0), wakes=False)
    assert woken(intake)

    intake.wait(0)
    assert not woken(intake)
    intake.take(10_000)
    intake.put(ended(0), wakes=True)
    assert woken(intake)


def test_an_heir_gets_what_is_left_and_what_still_comes() -> None:
    old, new, newest = Intake(10), Intake(10), Intake(10)
    old.put(ended(1), wakes=False)
    old.bequeath(new)
    old.put(ended(2), wakes=False)  # by a thread that looked the old one up before the exchange

    assert new.take(10) == [1, 2]
    assert woken(new)

    new.bequeath(newest)
    old.put(ended(3), wakes=False)
    assert newest.take(10) == [3]
    assert (len(old), len(new)) == (0, 0)


def test_a_child_starts_empty() -> None:
    intake = Intake(1)
    for number in range(3):
        intake.put(ended(number), wakes=True)
    intake.reset()

    assert (intake.take(10), intake.take_refused()) == ([], 0)
    assert not woken(intake)
