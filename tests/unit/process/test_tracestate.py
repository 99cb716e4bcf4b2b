from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState

from spanbridge.process.tracestate import (
    RANGE,
    random_value,
    threshold,
    threshold_of,
    with_random_value,
    with_threshold,
)

HALF = RANGE // 2


@pytest.mark.parametrize(
    ("rate", "written"),
    [(1.0, "th:0"), (0.5, "th:8"), (0.25, "th:c"), (0.125, "th:e")],
)
def test_a_rate_is_written_as_the_specification_has_it(rate: float, written: str) -> None:
    assert with_threshold(TraceState(), threshold_of(rate)).get("ot") == written


@pytest.mark.parametrize(
    ("before", "told", "after"),
    [
        ([], None, None),
        ([("ot", "th:8;rv:00000000000001")], None, "rv:00000000000001"),
        ([("ot", "th:8")], None, None),
        ([("ot", "p:1;th:8")], HALF + HALF // 2, "p:1;th:c"),
        ([("ot", "rv:00000000000001")], HALF, "rv:00000000000001;th:8"),
    ],
)
def test_only_what_is_ours_changes(
    before: list[tuple[str, str]], told: int | None, after: str | None
) -> None:
    state = TraceState([*before, ("vendor", "x")])

    changed = with_threshold(state, told)

    assert (changed.get("ot"), changed.get("vendor")) == (after, "x")
    assert with_threshold(changed, told) is changed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], "rv:000000000000ff"),
        ([("ot", "p:1;th:8")], "p:1;th:8;rv:000000000000ff"),
        ([("ot", "rv:1;th:8")], "th:8;rv:000000000000ff"),  # not a number
        ([("ot", "rv:00000000000001;th:8")], "rv:00000000000001;th:8"),
    ],
)
def test_a_number_that_is_told_is_never_changed(
    before: list[tuple[str, str]], after: str | None
) -> None:
    state = TraceState([*before, ("vendor", "x")])

    changed = with_random_value(state, 255)

    assert (changed.get("ot"), changed.get("vendor")) == (after, "x")
    assert with_random_value(changed, 256) is changed


@given(st.integers(0, RANGE - 1), st.integers(0, RANGE - 1))
def test_what_is_written_can_be_read(th: int, rv: int) -> None:
    state = with_random_value(with_threshold(TraceState(), th), rv)

    assert (threshold(state), random_value(state)) == (th, rv)


@pytest.mark.parametrize("member", ["th:", "th:xyz", "th:000000000000001", "rv:1", "", ";;"])
def test_what_is_not_valid_is_not_read(member: str) -> None:
    state = TraceState([("ot", member or "a:b")])

    assert (threshold(state), random_value(state)) == (None, None)


def test_a_full_tracestate_makes_room_at_its_end() -> None:
    full = TraceState([(f"vendor{number}", "x") for number in range(32)])

    changed = with_threshold(full, HALF)

    assert next(iter(changed.items())) == ("ot", "th:8")
    assert list(changed)[1:] == [f"vendor{number}" for number in range(31)]


def test_a_member_that_others_filled_up_keeps_what_we_have_to_tell() -> None:
    state = TraceState([("ot", "th:4;" + ";".join(f"k{n}:value" for n in range(28))), ("v", "x")])

    changed = with_random_value(with_threshold(state, HALF), 255)

    assert changed.get("ot") == "th:8;rv:000000000000ff"
    assert changed.get("v") == "x"
