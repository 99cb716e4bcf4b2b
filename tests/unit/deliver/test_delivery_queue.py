from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.queue import DeliveryQueue, QueuedEnvelope
from spanbridge.model.outcome import Signal


def entry(priority: Priority, arrival: int = 0, size: int = 10, spans: int = 1) -> QueuedEnvelope:
    return QueuedEnvelope(
        OutgoingEnvelope(b"x" * size, priority, (("span", spans),), ((Signal.SPAN, spans),)),
        arrival,
        spans,
    )


def test_the_most_urgent_leaves_first_and_the_oldest_of_it() -> None:
    queue = DeliveryQueue(100, 10_000)
    for arrival, priority in enumerate([Priority.TRACE, Priority.ERROR, Priority.TRACE]):
        queue.put(entry(priority, arrival))
    assert [left.arrival for left in queue.take_all()] == [1, 0, 2]


def test_a_full_queue_gives_up_the_oldest_of_the_least_urgent() -> None:
    queue = DeliveryQueue(3, 10_000)
    queue.put(entry(Priority.TRACE, 0))
    queue.put(entry(Priority.TRACE, 1))
    queue.put(entry(Priority.ERROR, 2))
    assert [gone.arrival for gone in queue.put(entry(Priority.ERROR, 3))] == [0]
    assert [gone.arrival for gone in queue.put(entry(Priority.METRIC, 4))] == [4]


def test_an_envelope_larger_than_the_whole_bound_pushes_nobody_out() -> None:
    queue = DeliveryQueue(100, 100)
    queue.put(entry(Priority.TRACE, 0))
    giant = entry(Priority.ERROR, 1, size=101)
    assert queue.put(giant) == [giant]
    assert len(queue) == 1


def test_what_is_put_back_is_next_in_its_lane() -> None:
    queue = DeliveryQueue(100, 10_000)
    queue.put(entry(Priority.TRACE, 0))
    queue.put(entry(Priority.TRACE, 1))
    first = queue.take()
    assert first is not None
    queue.put_back(first)
    assert [left.arrival for left in queue.take_all()] == [0, 1]


def test_held_priorities_stay_while_more_urgent_ones_leave() -> None:
    queue = DeliveryQueue(100, 10_000)
    queue.put(entry(Priority.TRACE, 0))
    queue.put(entry(Priority.ERROR, 1))
    taken = queue.take(more_urgent_than=Priority.TRACE)
    assert taken is not None
    assert taken.arrival == 1
    assert queue.take(more_urgent_than=Priority.TRACE) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(Priority), st.integers(0, 60), st.integers(1, 7)), max_size=60
    )
)
def test_bounds_hold_and_nothing_is_lost_without_being_returned(
    offers: list[tuple[Priority, int, int]],
) -> None:
    queue = DeliveryQueue(20, 200)
    gone: list[int] = []
    for arrival, (priority, size, spans) in enumerate(offers):
        evicted = queue.put(entry(priority, arrival, size, spans))
        gone += [one.arrival for one in evicted]
        assert queue.items <= 20
        assert queue.size_bytes <= 200
    left = [one.arrival for one in queue.take_all()]
    assert sorted(gone + left) == list(range(len(offers)))
    assert (queue.items, queue.size_bytes) == (0, 0)
