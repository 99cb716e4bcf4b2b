"""The way to the disk and back, with a disk that is a dictionary."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.deliver.accounts import Fate
from spanbridge.deliver.attempt import Attempt
from spanbridge.deliver.dispatch import Dispatch, Work
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.errands import Adopt, Errand, Fetch, Hold, Remove, Save
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import MAX_ATTEMPTS, MAX_DELAY_S, Verdict
from spanbridge.deliver.spool_file import Spooled, encode_file
from spanbridge.deliver.spool_holds import HELD_MAX
from spanbridge.deliver.spool_plan import (
    ADOPT_EVERY_S,
    ADOPT_WITHIN_S,
    FAILURES_MAX,
    REPLAY_PAUSE_S,
)
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.ledger import Ledger

ATTEMPTS = {
    "delivered": Attempt(Verdict.DELIVERED),
    "refused": Attempt(Verdict.REFUSED, "http 413", discard_reason="send_error"),
    "away": Attempt(Verdict.RETRY, "connection refused", discard_reason="network_error"),
    "limited": Attempt(Verdict.RATE_LIMITED, "http 429"),
}


class Desk:
    """A dispatch with a spool in a dictionary, and the words the tests speak."""

    def __init__(self, max_items: int = 1000) -> None:
        self.now_s = 0.0
        self.ledger = Ledger()
        self.limits = RateLimits(lambda: self.now_s)
        self.dispatch = Dispatch(
            self.ledger,
            self.limits,
            max_items=max_items,
            max_bytes=10_000_000,
            clock=lambda: self.now_s,
            has_spool=True,
        )
        assert self.dispatch.spool is not None
        self.plan = self.dispatch.spool
        self.disk: dict[Spooled, OutgoingEnvelope] = {}
        self.left_by_the_dead: dict[Spooled, OutgoingEnvelope] = {}
        self.is_disk_full = False
        self.adoptions = 0
        self._numbers = itertools.count()

    def add_error(self, name: str = "error") -> None:
        self.ledger.accept(Signal.ERROR)
        self.dispatch.add(error(name))

    def add_trace(self, name: str = "trace") -> None:
        self.ledger.accept(Signal.SPAN, 9)
        self.dispatch.add(trace(name))

    def leave_behind(self, envelope: OutgoingEnvelope) -> None:
        """Let a dead process have left ``envelope``."""
        spooled, _ = encode_file(envelope, next(self._numbers), "0123456789ab")
        self.left_by_the_dead[spooled] = envelope

    def drop(self, spooled: Spooled) -> None:
        """Let the bounds of the spool demand that a file goes."""
        del self.disk[spooled]
        spooled.is_gone = True
        self.plan.dropped([(spooled, "spool: full")])

    def next_work(self) -> Work | None:
        """Do what is to be done on disk until there is something to send."""
        while (taken := self.dispatch.take_job()) is not None:
            if isinstance(taken, Work):
                return taken
            if (work := self.do(taken)) is not None:
                return work
        return None

    def do(self, errand: Errand) -> Work | None:
        match errand:
            case Adopt():
                self.adoptions += 1
                found, self.left_by_the_dead = self.left_by_the_dead, {}
                self.disk |= found
                self.plan.adopted(found)
            case Save(entry):
                self.plan.saved(errand, self._save(entry.envelope))
            case Remove(spooled):
                self.disk.pop(spooled, None)
                spooled.is_gone = True
            case Fetch(spooled):
                return self.dispatch.resume(errand, self.disk.get(spooled))
            case Hold(_, envelope):
                self.plan.holds.written(errand, self._save(envelope))
        return None

    def send(self, how: str) -> str | None:
        """Send the next envelope, end the attempt as ``how`` says, return what was sent."""
        work = self.next_work()
        if work is None:
            return None
        self.dispatch.conclude(work, ATTEMPTS[how])
        return work.body.decode() if work.body else ""

    def send_all(self, how: str = "delivered") -> list[str]:
        sent = []
        while (name := self.send(how)) is not None:
            sent.append(name)
            self.now_s += REPLAY_PAUSE_S
        return sent

    def end(self) -> None:
        for entry in self.dispatch.leave():
            fate = Fate(Outcome.FAILED, "shutdown", "")
            self.plan.saved(Save(entry, fate), self._save(entry.envelope))
        while (errand := self.plan.errand()) is not None:
            self.do(errand)
        self.plan.settle()

    def outcomes(self, signal: Signal = Signal.ERROR) -> dict[str, int]:
        return self.ledger.snapshot().outcomes.get(signal.value, {})

    @property
    def on_disk(self) -> list[str]:
        return sorted(envelope.body.decode() for envelope in self.disk.values())

    def _save(self, envelope: OutgoingEnvelope) -> Spooled | None:
        if self.is_disk_full:
            return None
        spooled, _ = encode_file(envelope, next(self._numbers), "0123456789ab")
        self.disk[spooled] = envelope
        return spooled


def error(name: str = "error") -> OutgoingEnvelope:
    return OutgoingEnvelope(name.encode(), Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))


def trace(name: str = "trace") -> OutgoingEnvelope:
    return OutgoingEnvelope(
        name.encode(), Priority.TRACE, (("transaction", 1), ("span", 9)), ((Signal.SPAN, 9),)
    )


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_nothing_is_written_while_nothing_fails(desk: Desk) -> None:
    desk.add_error()
    desk.add_trace()
    assert desk.send_all() == ["error", "trace"]
    assert desk.disk == {}


def test_a_failed_attempt_brings_all_errors_to_disk_but_no_traces(desk: Desk) -> None:
    desk.add_error("tried")
    desk.add_error("waits")
    desk.add_trace()
    desk.send("away")
    desk.add_error("comes later")
    assert desk.next_work() is None
    assert desk.on_disk == ["comes later", "tried", "waits"]


def test_a_failed_trace_brings_errors_to_disk_that_come_while_the_server_is_away(
    desk: Desk,
) -> None:
    desk.add_trace()
    desk.send("away")
    desk.add_error()
    assert desk.next_work() is not None
    assert desk.on_disk == ["error"]


@pytest.mark.parametrize("how", ["delivered", "refused"])
def test_a_copy_goes_with_its_fate(desk: Desk, how: str) -> None:
    desk.add_error()
    desk.send("away")
    assert desk.next_work() is None
    assert desk.on_disk == ["error"]
    desk.now_s += MAX_DELAY_S
    desk.send(how)
    assert desk.next_work() is None
    assert desk.disk == {}


def test_after_all_attempts_an_envelope_waits_on_disk_and_not_in_memory(desk: Desk) -> None:
    desk.add_error()
    desk.add_trace()
    for _ in range(4 * MAX_ATTEMPTS):
        desk.send("away")
        desk.now_s += MAX_DELAY_S
    assert desk.dispatch.status().queued_envelopes == 0
    assert desk.on_disk == ["error", "trace"]
    assert not desk.ledger.snapshot().is_closed
    desk.now_s += MAX_DELAY_S
    assert desk.send_all() == ["error", "trace"]
    assert desk.ledger.snapshot().is_closed
    assert desk.outcomes() == {"delivered": 1}
    assert desk.disk == {}


def test_without_room_on_disk_an_envelope_meets_the_fate_it_would_have_met(desk: Desk) -> None:
    desk.is_disk_full = True
    desk.add_error()
    for _ in range(MAX_ATTEMPTS):
        desk.send("away")
        desk.now_s += MAX_DELAY_S
    assert desk.send("away") is None
    assert desk.ledger.snapshot().reasons == {"failed: connection refused": 1}
    assert desk.dispatch.reports.take() == {("network_error", "error"): 1}


def test_a_flush_does_not_wait_for_what_waits_on_disk_but_for_its_writing(desk: Desk) -> None:
    desk.limits.update(429, "60:error:key", None)
    desk.add_error()
    errand = None
    while not isinstance(errand, Save):
        errand = desk.dispatch.take_job()
        assert errand is not None
        assert not desk.dispatch.is_settled(1)
        if not isinstance(errand, Save):
            assert isinstance(errand, Adopt)
            desk.do(errand)
    desk.do(errand)
    assert desk.dispatch.is_settled(1)
    assert desk.dispatch.wake_in_s() == 60


def test_a_replay_has_to_wait_for_the_limit_of_its_category(desk: Desk) -> None:
    desk.leave_behind(error())
    desk.leave_behind(trace())
    desk.limits.update(429, "60:error:key", None)
    assert desk.send_all() == ["trace"]
    desk.now_s = 60.0
    assert desk.send_all() == ["error"]


def test_replays_come_after_the_fresh_of_their_priority_and_before_lesser_ones(
    desk: Desk,
) -> None:
    for number in range(2):
        desk.leave_behind(error(f"old error {number}"))
        desk.leave_behind(trace(f"old trace {number}"))
    desk.do(Adopt())
    desk.add_trace("trace")
    desk.add_error("error")
    assert desk.send_all() == [
        "error",
        "old error 0",
        "old error 1",
        "trace",
        "old trace 0",
        "old trace 1",
    ]


def test_replays_pause_for_one_another(desk: Desk) -> None:
    for _ in range(3):
        desk.leave_behind(error())
    assert desk.send("delivered") == "error"
    assert desk.next_work() is None
    assert desk.dispatch.wake_in_s() == pytest.approx(REPLAY_PAUSE_S)


def test_a_replay_that_fails_lets_the_others_pass(desk: Desk) -> None:
    desk.leave_behind(error("poison"))
    desk.leave_behind(error("fine"))
    assert desk.send("away") == "poison"
    desk.now_s += MAX_DELAY_S
    assert desk.send("delivered") == "fine"
    desk.now_s += MAX_DELAY_S
    assert desk.send("away") == "poison"
    assert desk.outcomes() == {"delivered": 1}
    desk.end()
    assert desk.outcomes() == {"delivered": 1, "spooled": 1}


def test_an_envelope_the_server_fails_on_holds_up_nothing_fresh(desk: Desk) -> None:
    desk.leave_behind(error("poison"))
    poisoned = fresh = 0
    for _ in range(100):
        desk.add_trace()
        for _ in range(2):
            work = desk.next_work()
            if work is None:
                continue
            is_poison = work.body == b"poison"
            desk.dispatch.conclude(work, ATTEMPTS["away" if is_poison else "delivered"])
            poisoned += is_poison
            fresh += not is_poison
        desk.now_s += 0.1
    assert fresh == 100
    assert 3 <= poisoned <= 10


def test_what_the_dead_left_is_counted_only_by_who_sends_or_drops_it(desk: Desk) -> None:
    for number in range(3):
        desk.leave_behind(error(str(number)))
    desk.send("delivered")
    desk.next_work()
    desk.drop(next(iter(desk.disk)))
    desk.end()
    books = desk.ledger.snapshot()
    assert books.accepted == {"error": 2}
    assert books.outcomes == {"error": {"delivered": 1, "evicted": 1}}
    assert desk.dispatch.reports.take() == {("cache_overflow", "error"): 1}
    assert len(desk.disk) == 1


def test_a_dropped_copy_is_no_loss(desk: Desk) -> None:
    desk.add_error()
    desk.send("away")
    desk.next_work()
    desk.drop(next(iter(desk.disk)))
    desk.now_s += MAX_DELAY_S
    desk.send("delivered")
    assert desk.outcomes() == {"delivered": 1}


def test_others_that_died_are_looked_for_while_deliveries_succeed(desk: Desk) -> None:
    desk.add_error()
    desk.send_all()
    assert desk.adoptions == 1
    desk.now_s += ADOPT_EVERY_S - 1
    desk.add_error()
    desk.send_all()
    assert desk.adoptions == 1
    desk.leave_behind(error("of a dead neighbour"))
    desk.now_s += 1
    desk.add_error()
    assert desk.send_all() == ["error", "of a dead neighbour"]


def test_something_held_and_let_go_at_once_is_not_written(desk: Desk) -> None:
    assert desk.plan.holds.hold("key", error())
    desk.plan.holds.let_go("key")
    desk.next_work()
    assert desk.disk == {}


def test_the_last_word_on_a_key_counts(desk: Desk) -> None:
    desk.plan.holds.hold("key", error("first"))
    desk.next_work()
    desk.plan.holds.let_go("key")
    desk.plan.holds.hold("key", error("second"))
    desk.next_work()
    assert desk.on_disk == ["second"]
    desk.plan.holds.let_go("key")
    desk.plan.holds.hold("key", error("third"))
    desk.plan.holds.let_go("key")
    desk.next_work()
    assert desk.disk == {}


def test_what_is_held_is_bounded_in_memory(desk: Desk) -> None:
    big = OutgoingEnvelope(b"x" * 10_000_000, Priority.ERROR, (), ())
    assert desk.plan.holds.hold("big", big)
    assert not desk.plan.holds.hold("too big", big)
    assert all(desk.plan.holds.hold(str(number), error()) for number in range(HELD_MAX - 1))
    assert not desk.plan.holds.hold("one too many", error())


@pytest.mark.parametrize("is_written", [False, True])
def test_what_was_held_leaves_the_disk_with_the_fate_of_what_became_of_it(
    desk: Desk, is_written: bool
) -> None:
    desk.plan.holds.hold("key", error("undecided"))
    if is_written:
        desk.next_work()
    desk.ledger.accept(Signal.ERROR)
    desk.dispatch.add(error("decided"), held_as="key")
    work = desk.next_work()
    assert work is not None
    assert desk.on_disk == (["undecided"] if is_written else [])
    desk.dispatch.conclude(work, ATTEMPTS["delivered"])
    desk.next_work()
    assert desk.disk == {}


@pytest.mark.parametrize("fate", ["decided", "let go"])
def test_what_is_decided_while_it_is_written_is_removed_in_the_end(desk: Desk, fate: str) -> None:
    desk.do(Adopt())
    desk.next_work()
    desk.plan.holds.hold("key", error("undecided"))
    errand = desk.plan.errand()
    assert isinstance(errand, Hold)
    if fate == "decided":
        desk.ledger.accept(Signal.ERROR)
        desk.dispatch.add(error("decided"), held_as="key")
    else:
        desk.plan.holds.let_go("key")
    desk.do(errand)
    assert desk.on_disk == ["undecided"]
    desk.send_all()
    assert desk.disk == {}


def test_what_was_held_stands_in_for_what_leaves_a_full_queue() -> None:
    desk = Desk(max_items=1)
    desk.plan.holds.hold("key", error("undecided"))
    desk.next_work()
    desk.ledger.accept(Signal.ERROR)
    desk.dispatch.add(error("decided"), held_as="key")
    desk.add_error("another")
    assert desk.outcomes() == {}
    assert desk.send_all() == ["another", "undecided"]
    assert desk.outcomes() == {"delivered": 2}
    assert desk.disk == {}


def deliver_fresh_every_second(desk: Desk, seconds: int, how: str = "delivered") -> int:
    """Returns how often the poison was tried meanwhile."""
    tried = 0
    for _ in range(seconds):
        desk.add_trace()
        while (work := desk.next_work()) is not None:
            is_poison = work.body == b"poison"
            tried += is_poison
            desk.dispatch.conclude(work, ATTEMPTS["away" if is_poison else how])
        desk.now_s += 1.0
    return tried


def test_an_envelope_that_fails_while_others_succeed_is_tried_less_and_less(desk: Desk) -> None:
    desk.leave_behind(error("poison"))
    assert deliver_fresh_every_second(desk, 60) >= 4
    assert deliver_fresh_every_second(desk, 3600) <= 12


def test_an_envelope_that_always_fails_while_others_succeed_is_given_up(desk: Desk) -> None:
    desk.leave_behind(error("poison"))
    tried = deliver_fresh_every_second(desk, 4 * 3600)
    assert tried == FAILURES_MAX + 1
    assert desk.outcomes() == {"failed": 1}
    assert desk.disk == {}


def test_an_outage_is_not_held_against_what_fails_in_it(desk: Desk) -> None:
    for number in range(3):
        desk.leave_behind(error(str(number)))
    for _ in range(200):
        desk.send("away")
        desk.now_s += MAX_DELAY_S
    assert len(desk.disk) == 3
    desk.now_s += MAX_DELAY_S
    assert sorted(desk.send_all()) == ["0", "1", "2"]


def test_fresh_envelopes_are_sent_before_it_is_looked_for_old_ones(desk: Desk) -> None:
    desk.add_trace()
    assert isinstance(desk.dispatch.take_job(), Work)
    assert isinstance(desk.dispatch.take_job(), Adopt)


def test_a_queue_that_never_empties_does_not_keep_it_from_being_looked_for_old_ones(
    desk: Desk,
) -> None:
    for _ in range(3):
        desk.add_trace()
    desk.now_s += ADOPT_WITHIN_S
    assert isinstance(desk.dispatch.take_job(), Adopt)


def test_what_cannot_be_read_now_comes_after_the_others(desk: Desk) -> None:
    for name in ("unreadable", "two"):
        desk.leave_behind(error(name))
    desk.do(Adopt())
    fetch = desk.dispatch.take_job()
    assert isinstance(fetch, Fetch)
    desk.plan.postpone(fetch.spooled)
    desk.now_s += REPLAY_PAUSE_S
    assert desk.send_all() == ["two", "unreadable"]


events = st.sampled_from(
    ["error", "trace", "old error", "old trace", "pass", "full", "room", "drop", "limit"]
    + ["delivered", "refused", "away", "limited"] * 2
)


@settings(max_examples=300)
@given(st.lists(events, max_size=60), st.integers(1, 40))
def test_every_item_meets_exactly_one_fate(history: list[str], max_items: int) -> None:
    desk = Desk(max_items)
    names = itertools.count()
    left_behind = 0
    accepted = {"error": 0, "span": 0}
    arrived: list[str] = []
    for event in history:
        match event:
            case "error":
                desk.add_error(f"e{next(names)}")
                accepted["error"] += 1
            case "trace":
                desk.add_trace(f"t{next(names)}")
                accepted["span"] += 9
            case "old error" | "old trace":
                make = error if event == "old error" else trace
                desk.leave_behind(make(f"o{next(names)}"))
                left_behind += 1
            case "pass":
                desk.now_s += MAX_DELAY_S
            case "full" | "room":
                desk.is_disk_full = event == "full"
            case "drop":
                if desk.disk:
                    desk.drop(next(iter(desk.disk)))
            case "limit":
                desk.limits.update(200, "5:error:key", None)
            case _:
                sent = desk.send(event)
                if sent and event == "delivered":
                    arrived.append(sent)
        books = desk.ledger.snapshot()
        assert all(count >= 0 for count in books.pending.values())
    desk.end()

    books = desk.ledger.snapshot()
    assert books.is_closed
    assert len(arrived) == len(set(arrived))
    assert not set(arrived) & set(desk.on_disk)
    taken_over = {
        signal: books.accepted.get(signal, 0) - count for signal, count in accepted.items()
    }
    assert all(count >= 0 for count in taken_over.values())
    spooled = sum(fates.get("spooled", 0) for fates in books.outcomes.values())
    on_disk = sum(count for spooled in desk.disk for _, count in spooled.counts)
    assert spooled <= on_disk
    if not left_behind:
        assert spooled == on_disk
