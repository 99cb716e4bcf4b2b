from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.assemble.assembler import LATE_HOLD_S, Assembler
from spanbridge.assemble.tree import follow_up
from spanbridge.model.trace import Segment
from tests.support.spans import local_trace, record


def names(segment: Segment) -> tuple[str, ...]:
    return (segment.root.name, *(child.name for child in segment.children))


def test_children_leave_with_their_root_in_order_of_start() -> None:
    assembler, local = Assembler(300, 100), local_trace(1)
    assembler.add(local, record(3, 2), 0)
    assembler.add(local, record(2, 1), 0)
    assert assembler.ready(0) == []
    assembler.add(local, record(1), 0)

    [released] = assembler.ready(0)

    assert names(released.segment) == ("span 1", "span 2", "span 3")
    assert released.local is local
    assert not released.segment.is_follow_up
    assert assembler.held == 0


def test_a_child_that_ends_just_after_its_root_still_leaves_with_it() -> None:
    assembler, local = Assembler(300, 100), local_trace(1)
    assembler.add(local, record(1), 0)
    assembler.add(local, record(2, 1), 0)

    [released] = assembler.ready(0)

    assert names(released.segment) == ("span 1", "span 2")


def test_spans_that_end_later_leave_as_one_tree_when_nothing_is_open_any_more() -> None:
    assembler, local = Assembler(300, 100), local_trace(1, 2)
    assembler.add(local, record(1), 0)
    assert len(assembler.ready(0)) == 1

    assembler.add(local, record(3, 2), 0)
    assert assembler.ready(0) == []
    local.open.clear()
    assembler.add(local, record(2, 1), 0)

    [released] = assembler.ready(0)
    assert names(released.segment) == ("span 2", "span 3")
    assert released.segment.is_follow_up


def test_only_spans_that_stay_count_towards_the_byte_limit() -> None:
    large = {"text": "x" * 10_000}
    assembler = Assembler(300, 100, max_bytes=25_000)
    staying = local_trace(1, 1)
    assembler.add(staying, record(2, 1, attributes=large), 0)
    assembler.add(staying, record(3, 1, attributes=large), 0)
    assert assembler.ready(0) == []
    leaving = local_trace(11)
    for span in (record(12, 11, attributes=large), record(11, attributes=large)):
        assembler.add(leaving, span, 0)
    assert [released.local for released in assembler.ready(0)] == [leaving]

    assembler.add(staying, record(4, 1, attributes=large), 0)

    assert {released.local for released in assembler.ready(0)} == {staying}
    assembler.add(staying, record(5, 1, attributes=large), 0)
    assert assembler.ready(0) == []
    assert assembler.held == 1


def test_late_spans_do_not_wait_long_for_parents_that_stay_open() -> None:
    assembler, local = Assembler(300, 100), local_trace(1, 2)
    assembler.add(local, record(1), 10)
    assembler.ready(10)
    assembler.add(local, record(3, 2), 10)

    assert assembler.ready(10 + LATE_HOLD_S / 2) == []
    [released] = assembler.ready(11 + LATE_HOLD_S)
    assert names(released.segment) == ("span 3",)


def test_spans_leave_without_a_root_that_stays_open_too_long() -> None:
    assembler, local = Assembler(300, 100), local_trace(1, 1)
    assembler.add(local, record(2, 1), 0)
    assert assembler.ready(299) == []

    [released] = assembler.ready(301)

    assert names(released.segment) == ("span 2",)
    assembler.add(local, record(1), 400)
    [root] = assembler.ready(400)
    assert names(root.segment) == ("span 1",)


def test_the_oldest_trace_leaves_when_too_many_spans_are_held() -> None:
    assembler = Assembler(300, 3)
    old, young = local_trace(1, 1), local_trace(10, 10)
    for span_id in (2, 3):
        assembler.add(old, record(span_id, 1), 0)
    for span_id in (11, 12):
        assembler.add(young, record(span_id, 10), 0)

    released = assembler.ready(0)

    assert [names(item.segment) for item in released] == [("span 2", "span 3")]
    assert assembler.held == 2


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=40))
def test_every_span_is_in_the_follow_up_once_whatever_the_ids(ids: list[tuple[int, int]]) -> None:
    spans = [record(span_id, parent_id) for span_id, parent_id in ids]

    segment = follow_up(spans)

    assert sorted(map(id, (segment.root, *segment.children))) == sorted(map(id, spans))


def test_siblings_without_their_parent_leave_as_one_segment_with_their_true_parents() -> None:
    segment = follow_up([record(4, 3), record(3, 1), record(2, 1)])

    assert names(segment) == ("span 2", "span 3", "span 4")
    assert [child.parent_span_id for child in segment.children] == [f"{1:016x}", f"{3:016x}"]


@given(st.randoms(use_true_random=False))
def test_whatever_the_order_of_ends_each_span_leaves_once(random: object) -> None:
    from random import Random

    assert isinstance(random, Random)
    assembler = waiting(10) if random.random() < 0.5 else Assembler(300, 10)
    locals_ = [local_trace(100 * n + 1, *range(100 * n + 1, 100 * n + 8)) for n in range(4)]
    ends = [(local, local.root_id + k) for local in locals_ for k in range(7)]
    random.shuffle(ends)
    left: list[str] = []
    for now, (local, span_id) in enumerate(ends):
        local.open.pop(span_id, None)
        parent = None if span_id == local.root_id else random.randint(local.root_id, span_id - 1)
        assembler.add(local, record(span_id, parent), now)
        if random.random() < 0.5:
            left += [n for item in assembler.ready(now) for n in names(item.segment)]
    left += [n for item in assembler.release_all(1000) for n in names(item.segment)]
    assert sorted(left) == sorted(f"span {span_id}" for _, span_id in ends)
    assert assembler.held == 0


def test_what_starts_only_after_its_root_has_left_does_not_wait_for_it() -> None:
    assembler, local = Assembler(300, 100), local_trace(1)
    assembler.add(local, record(1), 0)
    assert len(assembler.ready(0)) == 1

    assembler.add(local, record(2, 1), 10)

    [released] = assembler.ready(10)
    assert names(released.segment) == ("span 2",)


def test_what_ends_after_its_root_was_lost_does_not_wait_for_it() -> None:
    assembler, local = Assembler(300, 100), local_trace(1)
    assert assembler.lose(local) == []

    assembler.add(local, record(2, 1), 10)

    [released] = assembler.ready(10)
    assert names(released.segment) == ("span 2",)


def test_one_trace_may_hold_only_so_many_spans_and_so_much_memory() -> None:
    assembler = Assembler(300, 100, max_trace_spans=3, max_trace_bytes=20_000)
    many, large = local_trace(1, 1), local_trace(11, 11)
    for span_id in (2, 3, 4):
        assembler.add(many, record(span_id, 1), 0)
    assembler.add(large, record(12, 11, attributes={"text": "x" * 30_000}), 0)

    released = assembler.ready(0)

    assert [(part.local, len(names(part.segment))) for part in released] == [(many, 3), (large, 1)]
    assert all(part.segment.is_follow_up for part in released)
    assert assembler.held == 0


def waiting(max_spans: int = 100, max_bytes: int = 1 << 20) -> Assembler:
    """One that waits with a root for what is open, 30 seconds at most."""
    return Assembler(300, max_spans, max_bytes, waits=lambda one: bool(one.open), max_wait_s=30)


def test_a_root_waits_for_what_is_open() -> None:
    assembler, local = waiting(), local_trace(1, 2)
    assembler.add(local, record(3, 1), 0)
    assembler.add(local, record(1), 10)
    assert assembler.ready(10) == []
    assembler.add_attribute(local, f"{1:016x}", "name", "value")
    assert assembler.ready(39) == []
    assert assembler.held == 2
    local.open.clear()
    assembler.add(local, record(2, 1), 39)

    [released] = assembler.ready(39)

    assert names(released.segment) == ("span 1", "span 2", "span 3")
    assert released.segment.root.attributes == {"name": "value"}
    assert not released.segment.is_follow_up
    assert assembler.held == 0


def test_a_root_waits_only_so_long_and_for_nothing_that_is_gone() -> None:
    assembler, endless, lost = waiting(), local_trace(1, 2), local_trace(11, 12)
    for local in (endless, lost):
        assembler.add(local, record(local.root_id), 10)
    assert assembler.ready(10) == []
    lost.open.clear()

    assert [released.local for released in assembler.overdue(11)] == [lost]
    assert assembler.ready(39) == []
    [released] = assembler.ready(40)
    assert (released.local, released.segment.is_follow_up) == (endless, False)


def test_roots_that_wait_take_room() -> None:
    large = {"text": "x" * 10_000}
    by_count, by_size = waiting(max_spans=2), waiting(max_bytes=25_000)
    for assembler in (by_count, by_size):
        locals_ = [local_trace(10 * number, 2) for number in range(1, 4)]
        for local in locals_:
            assembler.add(local, record(local.root_id, attributes=large), 0)

        [released] = assembler.ready(0)

        assert (released.local, released.segment.is_follow_up) == (locals_[0], False)
        assert assembler.held == 2
