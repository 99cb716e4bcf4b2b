from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.model.span import SpanRecord
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.split import MAX_CHILDREN, has_equal_ids, split_segment
from tests.support.spans import record


def segment(*children: SpanRecord) -> Segment:
    return Segment(record(1), children)


def ids(*parts: Segment) -> list[str]:
    return sorted(span.span_id for part in parts for span in (part.root, *part.children))


def test_a_segment_within_the_limits_stays_as_it_is() -> None:
    whole = segment(*(record(n, 1) for n in range(2, 50)))

    assert split_segment(whole) == [whole]


def test_a_wide_tree_is_split_into_parts_whose_roots_are_real_spans() -> None:
    whole = segment(*(record(n, 1) for n in range(2, 3_500)))

    first, *others = split_segment(whole)

    assert first.root is whole.root
    assert not first.is_follow_up
    assert len(others) == 3
    assert all(part.is_follow_up for part in others)
    assert all(len(part.children) <= MAX_CHILDREN for part in (first, *others))
    assert all(part.root.parent_span_id == whole.root.span_id for part in others)
    assert ids(first, *others) == ids(whole)


def test_subtrees_stay_together() -> None:
    branches = []
    for branch in range(4):
        head = 10_000 * (branch + 1)
        branches.append(record(head, 1))
        branches += [record(head + n, head) for n in range(1, 500)]
    whole = segment(*sorted(branches, key=lambda span: span.start_ns))

    parts = split_segment(whole)

    assert len(parts) == 2
    for head in (10_000, 20_000, 30_000, 40_000):
        members = {f"{head + n:016x}" for n in range(500)}
        assert sum(not members.isdisjoint(ids(part)) for part in parts) == 1


def test_a_follow_up_segment_stays_one_when_it_is_split() -> None:
    whole = Segment(record(1), tuple(record(n, 1) for n in range(2, 1_500)), is_follow_up=True)

    assert all(part.is_follow_up for part in split_segment(whole))


def test_large_attributes_split_a_segment_by_size() -> None:
    whole = segment(*(record(n, 1, attributes={"k": "v" * 30_000}) for n in range(2, 60)))

    parts = split_segment(whole)

    assert len(parts) == 3
    assert ids(*parts) == ids(whole)


@settings(max_examples=60, deadline=None)
@given(
    parents=st.lists(st.integers(0, 40), max_size=40),
    size=st.sampled_from([10, 20_000, 60_000]),
)
def test_every_span_is_in_exactly_one_part_whatever_the_tree(parents: list[int], size: int) -> None:
    """Also with parents that are elsewhere, and with circles of parents."""
    children = tuple(
        record(n, parent, attributes={"k": "v" * size}, is_local_root=False)
        for n, parent in enumerate(parents, 2)
    )
    whole = segment(*children)

    parts = split_segment(whole)

    assert ids(*parts) == ids(whole)
    assert parts[0].root is whole.root
    for part in parts:
        starts = [span.start_ns for span in part.children]
        assert starts == sorted(starts)


def test_spans_with_equal_ids_are_never_in_one_part() -> None:
    children = tuple(record(2 + n % 3, 1, name=str(n)) for n in range(9))
    whole = segment(*children, record(1, 2, name="as the root"))
    assert has_equal_ids(whole)

    parts = split_segment(whole)

    for part in parts:
        ids = [part.root.span_id, *(child.span_id for child in part.children)]
        assert len(ids) == len(set(ids))
    spans = [span for part in parts for span in (part.root, *part.children)]
    assert len(spans) == 11
    assert {span.name for span in spans} == {span.name for span in (whole.root, *whole.children)}


def test_ids_that_differ_need_no_split() -> None:
    assert not has_equal_ids(segment(record(2, 1), record(3, 1)))
