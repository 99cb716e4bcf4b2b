from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.deliver.attempt import Attempt
from spanbridge.deliver.client_reports import ALONE_AFTER_S, PIGGYBACK_AFTER_S
from spanbridge.deliver.dispatch import Dispatch
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.rate_limits import RateLimits
from spanbridge.deliver.retry import MAX_ATTEMPTS, MAX_DELAY_S, RETRY_TOTAL_S, Verdict
from spanbridge.model.outcome import Signal
from spanbridge.runtime.ledger import Ledger

DELIVERED = Attempt(Verdict.DELIVERED)
REFUSED = Attempt(Verdict.REFUSED, "http 413", discard_reason="send_error")
UNREACHABLE = Attempt(Verdict.RETRY, "connection refused", discard_reason="network_error")
LIMITED = Attempt(Verdict.RATE_LIMITED, "http 429", discard_reason="send_error")


class Desk:
    """A dispatch with its clock and ledger, and the words the tests speak."""

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
        )

    def add_trace(self, spans: int = 9) -> None:
        self.ledger.accept(Signal.SPAN, spans)
        self.dispatch.add(
            OutgoingEnvelope(
                b"trace",
                Priority.TRACE,
                (("transaction", 1), ("span", spans)),
                ((Signal.SPAN, spans),),
            )
        )

    def add_error(self) -> None:
        self.ledger.accept(Signal.ERROR)
        self.dispatch.add(
            OutgoingEnvelope(b"error", Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))
        )

    def send(self, attempt: Attempt) -> bytes | None:
        """Take one piece of work, end it as ``attempt`` says, return its body."""
        work = self.dispatch.take()
        assert work is not None
        self.dispatch.conclude(work, attempt)
        return work.body

    def outcomes(self, signal: Signal) -> dict[str, int]:
        return self.ledger.snapshot().outcomes.get(signal.value, {})


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_error_is_told_until_an_envelope_is_delivered(desk: Desk) -> None:
    desk.add_trace()
    desk.send(UNREACHABLE)
    assert desk.dispatch.status().last_error == "connection refused"
    desk.now_s += 1000
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error is None

    desk.add_error()
    desk.send(REFUSED)
    desk.dispatch.hurry()
    assert desk.send(DELIVERED) is None  # the report of what was refused
    assert desk.dispatch.status().last_error == "http 413"
    desk.add_error()
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error is None


def test_what_arrives_heals_only_what_is_of_its_kind(desk: Desk) -> None:
    desk.add_trace()
    desk.send(REFUSED)
    desk.add_error()
    desk.send(UNREACHABLE)
    assert desk.dispatch.status().last_error == "connection refused"
    desk.now_s += 1000
    desk.send(DELIVERED)  # the error: somebody answers, but traces were refused
    assert desk.dispatch.status().last_error == "http 413"
    desk.add_trace()
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error is None


def test_a_limit_is_told_while_other_things_arrive(desk: Desk) -> None:
    desk.limits.update(200, "3600:transaction:organization", None)
    assert desk.dispatch.status().last_error is None  # nothing is lost by it yet
    desk.add_trace()
    desk.add_error()
    desk.send(DELIVERED)
    assert desk.dispatch.take() is None
    desk.add_error()
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error == "rate limited: transaction"

    desk.now_s += 3601
    desk.add_trace()
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error is None


def test_a_full_queue_is_told_until_it_has_caught_up() -> None:
    desk = Desk(max_items=20)
    last_errors = []
    for before, meanwhile in ((3, 3), (1, 1), (0, 0)):  # 2 find room
        for _ in range(before):
            desk.add_trace(9)
        work = desk.dispatch.take()
        assert work is not None
        for _ in range(meanwhile):
            desk.add_trace(9)
        desk.dispatch.conclude(work, DELIVERED)
        last_errors.append(desk.dispatch.status().last_error)
    assert last_errors == ["queue full", "queue full", None]


def test_an_envelope_too_large_for_the_queue_is_told_until_the_next_arrives() -> None:
    desk = Desk(max_items=20)
    desk.add_trace(21)
    assert desk.dispatch.status().last_error == "queue full"
    desk.add_trace(15)
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error is None


def test_a_queue_is_full_because_of_a_server_in_trouble() -> None:
    desk = Desk(max_items=20)
    desk.add_trace(9)
    desk.send(UNREACHABLE)
    for _ in range(3):
        desk.add_trace(9)
    assert desk.dispatch.status().last_error == "connection refused"
    desk.now_s += 1000
    desk.send(DELIVERED)
    assert desk.dispatch.status().last_error is None


def test_a_delivered_envelope_settles_all_its_items(desk: Desk) -> None:
    desk.add_trace(9)
    desk.send(DELIVERED)
    assert desk.outcomes(Signal.SPAN) == {"delivered": 9}
    assert desk.ledger.snapshot().is_closed


def test_a_refused_envelope_is_reported_once_and_not_sent_again(desk: Desk) -> None:
    desk.add_trace(9)
    desk.send(REFUSED)
    assert desk.ledger.snapshot().reasons == {"failed: http 413": 9}
    assert desk.dispatch.take() is None
    assert desk.dispatch.reports.take() == {
        ("send_error", "transaction"): 1,
        ("send_error", "span"): 9,
    }


def test_what_the_server_limited_itself_is_counted_here_but_not_reported(desk: Desk) -> None:
    desk.add_trace(9)
    desk.send(LIMITED)
    assert desk.outcomes(Signal.SPAN) == {"rate_limited": 9}
    assert desk.dispatch.reports.take() == {}


def test_a_limited_category_is_dropped_and_reported_while_errors_are_sent(desk: Desk) -> None:
    desk.limits.update(200, "86400:transaction;span:organization", None)
    desk.add_trace(9)
    desk.add_error()
    assert desk.send(DELIVERED) == b"error"
    assert desk.dispatch.take() is None
    assert desk.outcomes(Signal.SPAN) == {"rate_limited": 9}
    assert desk.outcomes(Signal.ERROR) == {"delivered": 1}
    assert desk.dispatch.reports.take() == {
        ("ratelimit_backoff", "transaction"): 1,
        ("ratelimit_backoff", "span"): 9,
    }


def test_a_limit_on_spans_alone_does_not_stop_transactions(desk: Desk) -> None:
    desk.limits.update(200, "60:span", None)
    desk.add_trace()
    assert desk.send(DELIVERED) == b"trace"


def test_an_error_does_not_wait_for_a_trace_that_is_being_retried(desk: Desk) -> None:
    desk.add_trace()
    desk.send(UNREACHABLE)
    assert desk.dispatch.take() is None
    desk.add_error()
    assert desk.send(DELIVERED) == b"error"


def test_retries_are_bounded_in_number_and_then_counted_and_reported_once(desk: Desk) -> None:
    desk.add_trace(9)
    for _ in range(MAX_ATTEMPTS):
        assert desk.send(UNREACHABLE) == b"trace"
        desk.now_s += MAX_DELAY_S
    assert desk.dispatch.status().retries == MAX_ATTEMPTS - 1
    assert desk.ledger.snapshot().reasons == {"failed: connection refused": 9}
    assert desk.dispatch.reports.take() == {
        ("network_error", "transaction"): 1,
        ("network_error", "span"): 9,
    }


def test_retries_are_bounded_in_time(desk: Desk) -> None:
    desk.add_trace()
    desk.send(UNREACHABLE)
    desk.now_s += RETRY_TOTAL_S
    desk.send(UNREACHABLE)
    assert desk.ledger.snapshot().is_closed


def test_an_idle_dispatch_needs_no_wake_up(desk: Desk) -> None:
    assert desk.dispatch.wake_in_s() is None
    desk.add_trace()
    desk.send(DELIVERED)
    assert desk.dispatch.wake_in_s() is None


def test_a_held_queue_is_looked_at_when_the_pause_ends(desk: Desk) -> None:
    desk.add_trace()
    desk.send(UNREACHABLE)
    wake_in_s = desk.dispatch.wake_in_s()
    assert wake_in_s is not None
    desk.now_s += wake_in_s
    assert desk.send(DELIVERED) == b"trace"


def test_discards_ride_on_the_next_envelope_once_they_are_old_enough(desk: Desk) -> None:
    desk.dispatch.reports.add("sample_rate", "span", 5)
    desk.add_trace()
    early = desk.dispatch.take()
    assert early is not None
    assert not early.discards
    desk.dispatch.conclude(early, DELIVERED)
    desk.now_s += PIGGYBACK_AFTER_S
    desk.add_trace()
    late = desk.dispatch.take()
    assert late is not None
    assert late.discards == Counter({("sample_rate", "span"): 5})
    assert late.body == b"trace"


def test_discards_travel_alone_after_half_a_minute(desk: Desk) -> None:
    desk.dispatch.reports.add("sample_rate", "span", 5)
    assert desk.dispatch.take() is None
    assert desk.dispatch.wake_in_s() == ALONE_AFTER_S
    desk.now_s += ALONE_AFTER_S
    assert desk.send(DELIVERED) is None
    assert desk.dispatch.take() is None


def test_a_report_that_did_not_arrive_is_kept_and_not_counted_twice(desk: Desk) -> None:
    desk.dispatch.reports.add("sample_rate", "span", 5)
    desk.now_s += ALONE_AFTER_S
    desk.send(UNREACHABLE)
    desk.now_s += ALONE_AFTER_S
    work = desk.dispatch.take()
    assert work is not None
    assert work.discards == {("sample_rate", "span"): 5}


def test_a_report_refused_with_an_envelope_endangers_no_second_one(desk: Desk) -> None:
    desk.dispatch.reports.add("sample_rate", "span", 5)
    for _ in range(2):
        desk.now_s += PIGGYBACK_AFTER_S
        desk.add_error()
    first, second = desk.dispatch.take(), None
    assert first is not None
    assert first.discards
    desk.dispatch.conclude(first, REFUSED)
    desk.now_s += PIGGYBACK_AFTER_S
    second = desk.dispatch.take()
    assert second is not None
    assert not second.discards
    desk.dispatch.conclude(second, DELIVERED)
    desk.now_s += ALONE_AFTER_S
    alone = desk.dispatch.take()
    assert alone is not None
    assert alone.body is None
    assert alone.discards == {("sample_rate", "span"): 5, ("send_error", "error"): 1}
    desk.dispatch.conclude(alone, REFUSED)
    assert desk.dispatch.reports.take() == {}  # refused for itself: not tried for ever


def test_a_report_on_a_rate_limited_envelope_has_arrived(desk: Desk) -> None:
    desk.dispatch.reports.add("sample_rate", "span", 5)
    desk.now_s += PIGGYBACK_AFTER_S
    desk.add_trace()
    desk.send(LIMITED)
    assert desk.dispatch.reports.take() == {}


def test_an_outcome_that_comes_after_abandonment_changes_nothing(desk: Desk) -> None:
    desk.add_error()
    work = desk.dispatch.take()
    assert work is not None
    assert desk.dispatch.abandon("shutdown") == 1
    desk.dispatch.conclude(work, DELIVERED)
    assert desk.outcomes(Signal.ERROR) == {"failed": 1}


def test_an_overflow_is_counted_and_reported() -> None:
    desk = Desk(max_items=20)
    for _ in range(3):
        desk.add_trace(9)
    assert desk.outcomes(Signal.SPAN) == {"evicted": 9}
    assert desk.dispatch.reports.take()["queue_overflow", "span"] == 9


def test_haste_ends_when_the_server_keeps_failing(desk: Desk) -> None:
    desk.add_error()
    desk.send(UNREACHABLE)
    desk.dispatch.hurry()
    assert not desk.dispatch.is_hopeless
    desk.send(UNREACHABLE)
    assert desk.dispatch.is_hopeless


def test_waiting_is_pointless_only_if_no_attempt_fits_before_the_deadline(desk: Desk) -> None:
    desk.add_error()
    assert not desk.dispatch.is_stuck_beyond(0.0)
    desk.send(UNREACHABLE)
    wake_in_s = desk.dispatch.wake_in_s()
    assert wake_in_s is not None
    assert desk.dispatch.is_stuck_beyond(wake_in_s / 2)
    assert not desk.dispatch.is_stuck_beyond(wake_in_s * 2)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("trace"), st.integers(1, 12)),
        st.tuples(st.just("error"), st.just(0)),
        st.tuples(st.just("send"), st.sampled_from([DELIVERED, REFUSED, UNREACHABLE, LIMITED])),
        st.tuples(st.just("wait"), st.floats(0.1, 60)),
        st.tuples(st.just("limit"), st.sampled_from(["5:error", "20:transaction", "3::org"])),
        st.tuples(st.just("hurry"), st.just(0)),
    ),
    max_size=80,
)


@given(steps, st.booleans())
def test_every_item_offered_meets_exactly_one_fate(
    script: list[tuple[str, object]], ends_while_sending: bool
) -> None:
    desk = Desk(max_items=30)
    for step, value in script:
        match step, value:
            case "trace", int(spans):
                desk.add_trace(spans)
            case "error", _:
                desk.add_error()
            case "send", Attempt() as attempt:
                work = desk.dispatch.take()
                if work is not None:
                    desk.dispatch.conclude(work, attempt)
            case "wait", float(pause_s):
                desk.now_s += pause_s
            case "limit", str(header):
                desk.limits.update(200, header, None)
            case _:
                desk.dispatch.hurry()
        pending = sum(desk.ledger.snapshot().pending.values())
        assert pending == desk.dispatch.status().queued_items
    late = desk.dispatch.take() if ends_while_sending else None
    desk.dispatch.abandon("shutdown")
    if late is not None:
        desk.dispatch.conclude(late, DELIVERED)
    assert desk.ledger.snapshot().is_closed


def test_at_the_end_a_report_survives_the_refusal_of_the_envelope_it_rode_on(desk: Desk) -> None:
    desk.dispatch.reports.add("sample_rate", "span", 7)
    desk.add_error()
    desk.add_error()
    desk.dispatch.hurry()
    desk.send(REFUSED)
    desk.send(DELIVERED)
    assert not desk.dispatch.is_settled(2)
    work = desk.dispatch.take()
    assert work is not None
    assert work.entry is None
    assert work.discards["sample_rate", "span"] == 7
    desk.dispatch.conclude(work, REFUSED)
    assert desk.dispatch.is_settled(2)
