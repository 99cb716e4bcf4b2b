from __future__ import annotations

import pytest

from spanbridge.deliver.envelope import Priority
from spanbridge.deliver.retry import MAX_DELAY_S, Backoff, Verdict, judge


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (202, Verdict.DELIVERED),
        (301, Verdict.REFUSED),
        (400, Verdict.REFUSED),
        (401, Verdict.REFUSED),
        (408, Verdict.RETRY),
        (413, Verdict.REFUSED),
        (429, Verdict.RATE_LIMITED),
        (500, Verdict.RETRY),
        (501, Verdict.REFUSED),
        (503, Verdict.RETRY),
        (520, Verdict.RETRY),
    ],
)
def test_every_status_has_one_meaning(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


def test_pauses_grow_up_to_a_bound_and_are_spread(clock: Clock) -> None:
    pauses = []
    backoff = Backoff(clock, jitter=lambda: 1.0)
    for _ in range(12):
        backoff.failed(Priority.TRACE)
        release_s = backoff.next_release_s()
        assert release_s is not None
        pauses.append(release_s)
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == MAX_DELAY_S
    shortest = Backoff(clock, jitter=lambda: 0.0)
    shortest.failed(Priority.TRACE)
    assert shortest.next_release_s() == 0.25


def test_a_failed_trace_holds_traces_and_metrics_but_no_error(clock: Clock) -> None:
    backoff = Backoff(clock)
    backoff.failed(Priority.TRACE)
    assert backoff.held_from() is Priority.TRACE
    backoff.failed(Priority.ERROR)
    assert backoff.held_from() is Priority.ERROR
    clock.now_s = MAX_DELAY_S
    assert backoff.held_from() is None


def test_a_server_may_ask_for_more_time_within_the_bound(clock: Clock) -> None:
    backoff = Backoff(clock)
    backoff.failed(Priority.TRACE, at_least_s=12.0)
    assert backoff.next_release_s() == 12.0
    backoff.failed(Priority.TRACE, at_least_s=86_400.0)
    assert backoff.next_release_s() == MAX_DELAY_S


def test_success_forgets_and_a_release_only_pauses_less(clock: Clock) -> None:
    backoff = Backoff(clock)
    backoff.failed(Priority.TRACE)
    backoff.release()
    assert (backoff.held_from(), backoff.failures) == (None, 1)
    backoff.succeeded()
    assert backoff.failures == 0
