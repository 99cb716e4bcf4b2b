from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.process.ceiling import LEAST_BURST, Ceiling


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

    seconds = [kept_in_a_second(ceiling, clock, 1000) for _ in range(20)]

    assert all(40 <= kept <= 60 for kept in seconds), seconds
    assert 49 <= sum(seconds[10:]) / 10 <= 51
    assert ceiling.rate(1.0) == pytest.approx(0.05, abs=0.005)
    assert ceiling.rate(0.01) == 0.01  # what keeps less already goes on doing so


@pytest.mark.parametrize("load", [1.5, 10])
@pytest.mark.parametrize("per_s", [0.1, 1, 5, 20, 100])
def test_the_sum_of_weights_is_the_number_of_traces(per_s: float, load: float) -> None:
    """Traces that start at random, so many more than allowed, over a time that levels chance."""
    random, ceiling = Random(1), Ceiling(per_s, clock := Clock())
    counted_from = clock.now_s + 30 * max(1, 1 / per_s)
    traces, kept, weights = 0, 0, 0.0
    while kept < 12_000:
        clock.now_s += random.expovariate(per_s * load)
        rate = ceiling.rate(1.0)
        is_kept = random.random() < rate and ceiling.admits()
        if clock.now_s > counted_from:
            traces += 1
            kept += is_kept
            weights += is_kept / rate

    assert weights / traces == pytest.approx(1, abs=0.03)
    lasting_s = clock.now_s - counted_from
    assert 0.9 <= kept / lasting_s / per_s <= 1.02


def test_the_rate_comes_back_when_the_load_goes() -> None:
    ceiling = Ceiling(50, clock := Clock())
    kept_in_a_second(ceiling, clock, 1000)

    clock.now_s += 3

    assert ceiling.rate(1.0) == 1.0


@given(
    per_s=st.sampled_from([0.1, 1, 7, 50, 200]),
    gaps_s=st.lists(st.sampled_from([0.0, 0.001, 0.1, 3.0]), min_size=1, max_size=200),
    together=st.integers(1, 20),
)
def test_no_time_has_more_than_the_ceiling_and_one_burst(
    per_s: float, gaps_s: list[float], together: int
) -> None:
    ceiling = Ceiling(per_s, clock := Clock())
    kept_at: list[float] = []
    for gap_s in gaps_s:
        clock.now_s += gap_s
        for _ in range(together):
            ceiling.rate(1.0)
            if ceiling.admits():
                kept_at.append(clock.now_s)

    burst = max(per_s, LEAST_BURST)
    for number, since_s in enumerate(kept_at):
        kept, lasting_s = len(kept_at) - number, clock.now_s - since_s
        assert kept <= lasting_s * per_s + burst + 1e-6


def test_a_sudden_burst_is_held_back() -> None:
    random, ceiling = Random(1), Ceiling(20, clock := Clock())
    assert kept_in_a_second(ceiling, clock, 5) == 5

    kept = sum(ceiling.rate(1.0) > random.random() and ceiling.admits() for _ in range(10_000))

    assert 18 <= kept <= 20


def test_what_passes_by_its_rate_is_cut_off_where_there_is_no_room() -> None:
    ceiling = Ceiling(20, Clock())

    # On many threads at once, so that all ask for the rate before any takes room.
    passing = [ceiling.rate(1.0) == 1.0 for _ in range(40)]

    assert passing == [True] * 40
    assert sum(ceiling.admits() for _ in passing) == 20


def test_a_ceiling_below_one_a_second_is_kept_over_minutes() -> None:
    ceiling = Ceiling(0.1, clock := Clock())

    kept = []
    for _ in range(1000):
        clock.now_s += 1
        ceiling.rate(1.0)
        kept.append(ceiling.admits())

    assert 19 <= sum(kept[:100]) <= 20  # ten at once, and ten in a hundred seconds
    assert 89 <= sum(kept[100:]) <= 91


def test_what_is_below_such_a_ceiling_is_not_touched() -> None:
    ceiling = Ceiling(0.5, clock := Clock())

    rates = []
    for _ in range(20):
        clock.now_s += 10
        rates.append(ceiling.rate(1.0))
        assert ceiling.admits()

    assert rates == [1.0] * 20
