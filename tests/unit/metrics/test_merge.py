"""Points of one series become one, and nothing that was measured is lost or counted twice."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.metrics.merge import MAX_BUCKETS, MAX_SERIES, OVERFLOW, fold_overflow, merge_equal
from spanbridge.model.metric import Exemplar, ExponentialDistribution
from spanbridge.model.span import Scope
from tests.support.points import point, powers, spread

ONE = {"app.kind": "book"}
OTHER = {"app.kind": "game"}


def test_counters_and_sums_are_added_and_other_series_stay_apart() -> None:
    merged = merge_equal(
        [
            point(2, attributes=ONE, start_ns=5, time_ns=9),
            point(7, attributes=OTHER),
            point(0.5, attributes=ONE, start_ns=3, time_ns=11),
            point(-4, kind="sum"),
            point(1, kind="sum"),
        ]
    )

    assert [p.value for p in merged] == [2.5, 7, -3]
    assert (merged[0].start_ns, merged[0].time_ns) == (3, 11)


def test_of_a_gauge_the_last_value_stays() -> None:
    gauges = [point(v, kind="gauge", time_ns=t) for v, t in ((1, 20), (2, 10), (3, 20))]

    [merged] = merge_equal(gauges)

    assert merged.value == 3


def test_what_differs_in_anything_that_counts_is_another_series() -> None:
    points = [
        point(1),
        point(1, name="other"),
        point(1, unit="s"),
        point(1, kind="sum"),
        point(1, temporality="delta"),
        point(1, scope=Scope("another library")),
        point(1, attributes={"a": 1}),
        point(1, attributes={"a": True}),
        point(1, attributes={"a": 1.0}),
        point(1, attributes={"a": "1"}),
        point(spread(1, 0, 0), kind="histogram"),
        point(spread(1, 0, 0, bounds=(1.0, 20.0)), kind="histogram"),
    ]

    assert merge_equal(points) == points


def test_the_order_of_attributes_and_the_identity_of_a_scope_do_not_count() -> None:
    merged = merge_equal(
        [
            point(1, attributes={"a": 1, "b": [1, 2]}, scope=Scope("x")),
            point(1, attributes={"b": [1, 2], "a": 1}, scope=Scope("x")),
        ]
    )

    assert [p.value for p in merged] == [2]


def test_distributions_are_added_bucket_by_bucket() -> None:
    first = point(spread(1, 2, 3, min=0.1, max=None), kind="histogram")
    second = point(spread(10, 0, 1, min=0.05, max=99.0), kind="histogram")

    [merged] = merge_equal([first, second])

    assert merged.value == spread(11, 2, 4, sum=17.0, min=0.05, max=None)


def test_a_merged_point_keeps_a_few_exemplars() -> None:
    exemplars = tuple(Exemplar(n, n, f"{n:032x}", f"{n:016x}") for n in range(1, 9))

    [merged] = merge_equal([point(1, exemplars=exemplars), point(1, exemplars=exemplars)])

    assert len(merged.exemplars) == 10
    assert merged.exemplars[:8] == exemplars


def exponential(values: list[float], scale: int) -> ExponentialDistribution:
    """As the data model defines it, without any of the code under test."""
    base = 2 ** (2**-scale)
    indices = Counter(math.ceil(math.log(value, base)) - 1 for value in values)
    offset = min(indices)
    counts = [indices[index] for index in range(offset, max(indices) + 1)]
    return powers(scale, offset, *counts)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.integers(-3, 3),
    st.integers(-3, 3),
)
def test_exponential_distributions_of_any_scale_are_added(
    first: list[int], second: list[int], scale: int, other_scale: int
) -> None:
    # Values between the bounds of every scale, so that rounding decides nothing.
    near = [[2.0**n * 1.01 for n in values] for values in (first, second)]
    a, b = exponential(near[0], scale), exponential(near[1], other_scale)

    [merged] = merge_equal(
        [point(a, kind="exponential_histogram"), point(b, kind="exponential_histogram")]
    )

    value = merged.value
    assert isinstance(value, ExponentialDistribution)
    assert value.count == sum(value.positive.counts) == len(first) + len(second)
    assert value.scale <= min(scale, other_scale)
    assert len(value.positive.counts) <= MAX_BUCKETS
    expected = exponential(near[0] + near[1], value.scale)
    assert filled(value) == filled(expected)


def filled(value: ExponentialDistribution) -> dict[int, int]:
    buckets = enumerate(value.positive.counts, value.positive.offset)
    return {index: count for index, count in buckets if count}


def test_two_exponential_distributions_far_apart_share_coarser_buckets() -> None:
    low, high = powers(3, -400, 1), powers(3, 400, 2)

    [merged] = merge_equal([point(v, kind="exponential_histogram") for v in (low, high)])

    value = merged.value
    assert isinstance(value, ExponentialDistribution)
    assert sum(value.positive.counts) == 3
    assert len(value.positive.counts) <= MAX_BUCKETS
    assert value.scale < 3


def test_the_series_beyond_the_limit_become_one_that_says_so() -> None:
    points = [point(1, attributes={"n": n}) for n in range(MAX_SERIES + 500)]
    others = [point(1, name="other", attributes={"n": n}) for n in range(5)]

    folded = fold_overflow([*points, *others])

    told = [p for p in folded if p.name == "orders"]
    assert len(told) == MAX_SERIES
    assert told[: MAX_SERIES - 1] == points[: MAX_SERIES - 1]
    assert (told[-1].attributes, told[-1].value) == (OVERFLOW, 501)
    assert folded[MAX_SERIES:] == others


def test_at_the_limit_nothing_is_folded() -> None:
    points = [point(1, attributes={"n": n}) for n in range(MAX_SERIES)]

    assert fold_overflow(points) == points
    assert fold_overflow([*points, point(1, name="other")]) == [*points, point(1, name="other")]
