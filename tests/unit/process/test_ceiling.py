from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.process.ceiling import Ceiling


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def kept_in_a_second(ceiling: Ceiling, clock: Clock, traces: int, rate: float = 1.0) -> int:
    """Traces with evenly spread random numbers, evenly over a second."""
    kept = 0
    for number in range(traces):
        clock.now_s += 1 / traces
        lowered = ceiling.rate(rate)
        # The golden ratio's multiples are spread as evenly as numbers can be.
        if (number * 0.6180339887) % 1.0 >= 1 - lowered and ceiling.admits():
            kept += 1
    return kept


def test_a_few_traces_are_not_touched() -> None:
    ceiling = Ceiling(50, clock := Clock())

    assert [kept_in_a_second(ceiling, clock, 40) for _ in range(3)] == [40, 40, 40]


def test_a_lasting_load_is_kept_at_the_ceiling_by_a_rate() -> None:
    ceiling = Ceiling(50, clock := Clock())
    kept_in_a_second(ceiling, clock, 1000)

    seconds = [kept_in_a_second(ceiling, clock, 1000) for _ in range(5)]

    assert all(45 <= kept <= 50 for kept in seconds), seconds
    assert ceiling.rate(1.0) == pytest.approx(0.05, abs=0.001)
    assert ceiling.rate(0.01) == 0.01  # what keeps less already goes on doing so


def test_the_rate_comes_back_when_the_load_goes() -> None:
    ceiling = Ceiling(50, clock := Clock())
    kept_in_a_second(ceiling, clock, 1000)

    clock.now_s += 3

    assert ceiling.rate(1.0) == 1.0


@given(
    per_s=st.integers(1, 200),
    loads=st.lists(st.integers(0, 500), min_size=1, max_size=6),
    rate=st.sampled_from([1.0, 0.5]),
)
def test_no_second_has_more_than_the_ceiling(per_s: int, loads: list[int], rate: float) -> None:
    ceiling = Ceiling(per_s, clock := Clock())
    for load in loads:
        # Half a second apart, so that the windows are not in step with the loads.
        clock.now_s += 1.5
        assert kept_in_a_second(ceiling, clock, load, rate) <= 2 * per_s
        clock.now_s = float(int(clock.now_s) + 1)


def test_a_ceiling_below_one_a_second_is_kept_over_seconds() -> None:
    ceiling = Ceiling(0.1, clock := Clock())

    kept = 0
    for _ in range(100):
        clock.now_s += 1
        ceiling.rate(1.0)
        kept += ceiling.admits()

    assert 9 <= kept <= 11


def test_what_is_below_such_a_ceiling_is_not_touched() -> None:
    ceiling = Ceiling(0.5, clock := Clock())

    rates = []
    for _ in range(20):
        clock.now_s += 10
        rates.append(ceiling.rate(1.0))
        assert ceiling.admits()

    assert rates == [1.0] * 20
