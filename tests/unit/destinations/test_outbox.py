"""The outbox: bounded, never blocking, and every item settled exactly once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

from spanbridge.destinations import outbox as outbox_module
from spanbridge.destinations.outbox import MAX_BATCH, NotDeliveredError, Outbox
from spanbridge.model.outcome import Outcome
from spanbridge.runtime import threads as threads_module
from spanbridge.runtime.guard import Guard


@dataclass(frozen=True)
class Item:
    """Something to send."""

    number: int
    size_bytes: int = 10


def items(*numbers: int) -> list[Item]:
    return [Item(number) for number in numbers]


class Peer:
    """Takes batches as told, and keeps the books."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fates: Counter[tuple[Outcome, str]] = Counter()
        self.settled: Counter[int] = Counter()
        self.behaves: Callable[[], None] = lambda: None
        self.is_open = threading.Event()
        self.is_open.set()
        self.is_asked = threading.Event()

    def send(self, items: Sequence[Item]) -> None:
        self.is_asked.set()
        self.is_open.wait(60)
        self.behaves()
        self.batches.append([item.number for item in items])

    def settle(self, items: Sequence[Item], outcome: Outcome, reason: str, _: str) -> None:
        self.fates[outcome, reason] += len(items)
        self.settled.update(item.number for item in items)

    def outbox(self, max_items: int = 10_000, max_bytes: int = 10_000_000) -> Outbox[Item]:
        return Outbox("tested", self.send, self.settle, max_items, max_bytes)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.is_open.set()


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    replaced = Guard(reraise=False)
    monkeypatch.setattr(outbox_module, "GUARD", replaced)
    monkeypatch.setattr(threads_module, "GUARD", replaced)
    return replaced


def close(outbox: Outbox[Item], timeout_s: float = 5.0) -> bool:
    return outbox.close(timeout_s, lambda: None)


def test_without_an_item_there_is_no_thread(peer: Peer) -> None:
    before = set(threading.enumerate())
    outbox = peer.outbox()
    outbox.put([])

    assert outbox.flush(1)
    assert set(threading.enumerate()) <= before
    assert close(outbox)


def test_everything_arrives_in_order_in_bounded_batches(peer: Peer) -> None:
    outbox = peer.outbox()
    peer.is_open.clear()
    for number in range(0, 3_000, 100):
        outbox.put(items(*range(number, number + 100)))
    peer.is_open.set()

    assert outbox.flush(5)
    assert [item for batch in peer.batches for item in batch] == list(range(3_000))
    assert max(map(len, peer.batches)) == MAX_BATCH
    assert peer.fates == {(Outcome.DELIVERED, ""): 3_000}
    assert close(outbox)


def test_putting_never_waits_and_what_is_too_much_is_evicted(peer: Peer) -> None:
    outbox = peer.outbox(max_items=10)
    peer.is_open.clear()
    began = time.monotonic()
    for number in range(1_000):
        outbox.put(items(number))
    took_s = time.monotonic() - began

    assert took_s < 1.0
    assert len(outbox) == 10
    assert peer.fates == {(Outcome.EVICTED, "queue full"): 990}
    peer.is_open.set()
    assert close(outbox)
    assert peer.fates[Outcome.DELIVERED, ""] == 10
    assert set(peer.settled.values()) == {1}


@pytest.mark.parametrize("max_items", [10, 1])
def test_a_full_queue_is_told_until_it_has_caught_up(peer: Peer, max_items: int) -> None:
    outbox = peer.outbox(max_items)
    peer.is_open.clear()
    outbox.put(items(0))
    assert peer.is_asked.wait(30)
    told = [outbox.trouble]
    outbox.put(items(*range(1, 20)))
    told.append(outbox.trouble)
    peer.is_open.set()
    assert outbox.flush(5)
    outbox.put(items(20))
    assert outbox.flush(5)
    told.append(outbox.trouble)

    assert told == [None, "queue full", None]
    assert close(outbox)


def test_room_for_a_moment_does_not_make_a_full_queue_well(peer: Peer) -> None:
    outbox = peer.outbox(max_items=5)
    peer.behaves = lambda: outbox.put(items(9))
    for number in range(3):  # all of the queue is under way each time
        outbox.put(items(*range(10 * number, 10 * number + 5)))
        assert outbox.flush(5)
        assert outbox.trouble == "queue full"
    peer.behaves = lambda: None
    outbox.put(items(100))
    assert outbox.flush(5)

    assert peer.fates == {(Outcome.DELIVERED, ""): 16, (Outcome.EVICTED, "queue full"): 3}
    assert outbox.trouble is None
    assert close(outbox)


def test_what_would_take_too_much_memory_is_evicted_until_there_is_room_again(peer: Peer) -> None:
    outbox = peer.outbox(max_bytes=100)
    peer.is_open.clear()
    outbox.put(items(0))
    peer.is_asked.wait(5)  # no longer waiting
    outbox.put([Item(1, 60), Item(2, 40), Item(3, 1)])

    assert peer.fates == {(Outcome.EVICTED, "queue full"): 1}
    peer.is_open.set()
    assert outbox.flush(5)
    outbox.put([Item(4, 100)])
    assert close(outbox)
    assert peer.batches == [[0], [1, 2], [4]]


def test_a_refused_batch_has_failed_with_its_reason_and_the_next_is_tried(
    peer: Peer, guard: Guard
) -> None:
    def refuse() -> None:
        raise NotDeliveredError("http 400", "the whole story")

    outbox = peer.outbox()
    peer.behaves = refuse
    outbox.put(items(1, 2))
    assert outbox.flush(5)
    peer.behaves = lambda: None
    outbox.put(items(3))

    assert close(outbox)
    assert peer.fates == {(Outcome.FAILED, "http 400"): 2, (Outcome.DELIVERED, ""): 1}
    assert guard.counts == {"tested: http 400": 1}


def test_a_bug_of_the_exporter_costs_its_batch_and_nothing_else(peer: Peer, guard: Guard) -> None:
    outbox = peer.outbox()
    peer.behaves = lambda: [][0]
    outbox.put(items(1))
    assert outbox.flush(5)
    peer.behaves = lambda: None
    outbox.put(items(2))

    assert close(outbox)
    assert peer.fates == {(Outcome.FAILED, "IndexError"): 1, (Outcome.DELIVERED, ""): 1}
    assert guard.counts == {"tested: IndexError": 1}


def test_who_asks_for_the_end_of_the_program_ends_neither_it_nor_the_thread(
    peer: Peer, guard: Guard
) -> None:
    def leave() -> None:
        raise SystemExit(1)

    outbox = peer.outbox()
    peer.behaves = leave
    outbox.put(items(1, 2))
    assert outbox.flush(5)
    peer.behaves = lambda: None
    outbox.put(items(3))

    assert outbox.flush(5)
    assert close(outbox)
    assert peer.fates == {(Outcome.FAILED, "SystemExit"): 2, (Outcome.DELIVERED, ""): 1}
    assert guard.counts == {"tested: SystemExit": 1}


def test_a_flush_that_runs_out_of_time_says_so(peer: Peer) -> None:
    outbox = peer.outbox()
    peer.is_open.clear()
    outbox.put(items(1))

    assert not outbox.flush(0.05)
    peer.is_open.set()
    assert close(outbox)


def test_a_flush_under_a_load_that_never_ends_waits_for_what_came_before(peer: Peer) -> None:
    outbox = peer.outbox()
    peer.behaves = lambda: time.sleep(0.02)
    is_over = threading.Event()

    def load() -> None:
        while not is_over.wait(0.001):
            outbox.put(items(2))

    loading = threading.Thread(target=load)
    loading.start()
    try:
        time.sleep(0.1)
        outbox.put(items(1))
        began = time.monotonic()
        assert outbox.flush(30)
        took_s = time.monotonic() - began
        settled = peer.settled[1]
    finally:
        is_over.set()
        loading.join()

    assert settled == 1
    assert took_s < 10
    assert close(outbox)
    assert peer.fates.total() == peer.fates[Outcome.DELIVERED, ""]


def test_a_send_that_hangs_is_given_up_at_the_deadline_and_settled_once(
    peer: Peer, guard: Guard
) -> None:
    outbox = peer.outbox()
    peer.is_open.clear()
    outbox.put(items(1, 2))
    assert peer.is_asked.wait(30)
    outbox.put(items(3))
    began = time.monotonic()

    assert not close(outbox, 0.2)
    assert time.monotonic() - began < 10
    assert peer.fates == {(Outcome.FAILED, "shutdown deadline"): 3}
    peer.is_open.set()  # now it comes to its end after all
    time.sleep(0.05)
    assert peer.fates == {(Outcome.FAILED, "shutdown deadline"): 3}
    assert guard.counts == {"tested: shutdown deadline": 1}


def test_a_send_that_can_be_interrupted_tells_its_own_reason(peer: Peer, guard: Guard) -> None:
    def fail() -> None:
        raise NotDeliveredError("connection refused")

    outbox = peer.outbox()
    peer.is_open.clear()
    peer.behaves = fail
    outbox.put(items(1))
    assert peer.is_asked.wait(30)

    assert not outbox.close(2.0, peer.is_open.set)  # a tenth of it is left for the reason
    assert peer.fates == {(Outcome.FAILED, "connection refused"): 1}


def test_after_closing_items_have_failed_and_the_thread_is_gone(peer: Peer) -> None:
    outbox = peer.outbox()
    outbox.put(items(1))
    assert close(outbox)
    outbox.put(items(2, 3))

    assert peer.fates == {(Outcome.DELIVERED, ""): 1, (Outcome.FAILED, "closed"): 2}
    assert "spanbridge-tested" not in {thread.name for thread in threading.enumerate()}


def test_our_own_requests_are_hidden_from_instrumentations(peer: Peer) -> None:
    seen: list[bool] = []
    peer.behaves = lambda: seen.append(is_http_instrumentation_enabled())
    outbox = peer.outbox()
    outbox.put(items(1))

    assert close(outbox)
    assert seen == [False]


def test_without_a_thread_to_be_had_items_wait_for_one_and_have_failed_at_the_end(
    peer: Peer, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    outbox = peer.outbox()
    with monkeypatch.context() as starving:
        starving.setattr(threading.Thread, "start", refuse)
        outbox.put(items(1, 2))
        began = time.monotonic()
        assert not outbox.flush(30)
        assert time.monotonic() - began < 10
    outbox.put(items(3))
    assert outbox.flush(5)
    assert peer.fates == {(Outcome.DELIVERED, ""): 3}

    other = peer.outbox()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    other.put(items(4))
    began = time.monotonic()
    assert not close(other, 30)
    assert time.monotonic() - began < 10
    assert peer.fates[Outcome.FAILED, "shutdown deadline"] == 1
    assert guard.counts["tested: no thread"] == 2


def test_threads_that_put_at_once_lose_nothing(peer: Peer) -> None:
    outbox = peer.outbox()

    def work(start: int) -> None:
        for number in range(start, start + 1_000):
            outbox.put(items(number))

    threads = [threading.Thread(target=work, args=(n * 1_000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert close(outbox)
    assert peer.fates == {(Outcome.DELIVERED, ""): 4_000}
    assert set(peer.settled.values()) == {1}
