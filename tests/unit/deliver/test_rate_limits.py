from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.deliver.rate_limits import RateLimits, parse_retry_after

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RateLimits:
    return RateLimits(clock, lambda: NOON)


def test_a_limit_on_a_200_stops_its_categories_and_lets_errors_flow(limits: RateLimits) -> None:
    assert limits.update(200, "86400:transaction;span:organization", None) == {
        "transaction",
        "span",
    }
    assert limits.is_limited("transaction")
    assert not limits.is_limited("error")


def test_a_limit_ends_when_its_time_is_over(limits: RateLimits, clock: Clock) -> None:
    limits.update(429, "2.1:error:key", None)
    clock.now_s += 2.9
    assert limits.is_limited("error")  # fractions are rounded up
    clock.now_s += 0.2
    assert not limits.is_limited("error")
    assert limits.in_force() == {}


def test_an_empty_list_of_categories_means_everything(limits: RateLimits) -> None:
    limits.update(200, "60::organization", None)
    assert limits.is_limited("error")
    assert limits.is_limited("anything")
    assert limits.in_force() == {"all": 60.0}


def test_the_later_end_wins_whichever_header_came_last(limits: RateLimits, clock: Clock) -> None:
    limits.update(200, "60:error", None)
    assert limits.update(200, "10:error, 5:error", None) == set()
    clock.now_s += 30
    assert limits.is_limited("error")


@pytest.mark.parametrize(
    "header", ["60:metric_bucket:organization:quota:custom", "60:no_such_thing", "60:;", "60: ;x"]
)
def test_a_limit_on_unknown_categories_limits_nothing_known(
    limits: RateLimits, header: str
) -> None:
    limits.update(200, header, None)
    assert limits.in_force() == {}


def test_a_429_without_the_header_takes_retry_after(limits: RateLimits, clock: Clock) -> None:
    limits.update(429, None, "7")
    assert limits.in_force() == {"all": 7.0}
    clock.now_s += 7
    limits.update(429, None, "Sun, 22 Nov 2026 12:01:30 GMT")
    assert limits.in_force() == {"all": 90.0}


def test_a_bare_429_holds_everything_for_a_minute(limits: RateLimits) -> None:
    limits.update(429, None, "soon")
    assert limits.in_force() == {"all": 60.0}


def test_retry_after_counts_on_no_other_status(limits: RateLimits) -> None:
    assert limits.update(503, None, "60") == set()
    assert not limits.is_limited("error")


def test_the_header_on_a_429_wins_over_retry_after(limits: RateLimits) -> None:
    limits.update(429, "5:error", "600")
    assert limits.in_force() == {"error": 5.0}


def test_logs_stop_when_their_bytes_are_limited(limits: RateLimits) -> None:
    limits.update(200, "60:log_byte", None)
    assert limits.is_limited("log_item")
    assert not limits.is_limited("transaction")


@pytest.mark.parametrize("header", ["nan:error", "inf:error", "-5:error", "x:error", "60", ":", ""])
def test_an_unreadable_entry_is_passed_over(limits: RateLimits, header: str) -> None:
    limits.update(200, f"{header},60:transaction", None)
    assert limits.in_force() == {"transaction": 60.0}


@given(st.text(max_size=80), st.text(max_size=40), st.sampled_from([200, 429, 503]))
def test_no_header_however_broken_raises(header: str, retry_after: str, status: int) -> None:
    limits = RateLimits(Clock(), lambda: NOON)
    limits.update(status, header, retry_after)
    assert all(left > 0 for left in limits.in_force().values())


def test_a_date_in_the_past_means_now() -> None:
    assert parse_retry_after("Sun, 22 Nov 2020 12:01:30 GMT", NOON) == 0.0
