"""The ledger always balances, whoever writes to it."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.ledger import Ledger

SIGNALS = st.sampled_from(list(Signal))
OUTCOMES = st.sampled_from(list(Outcome))


def test_an_empty_ledger_is_closed() -> None:
    snapshot = Ledger().snapshot()

    assert snapshot.is_closed
    assert (snapshot.accepted, snapshot.outcomes, snapshot.reasons) == ({}, {}, {})


def test_what_is_accepted_is_pending_until_it_met_its_fate() -> None:
    ledger = Ledger()
    ledger.accept(Signal.SPAN, 3)
    ledger.settle(Signal.SPAN, Outcome.DELIVERED, 2)

    assert ledger.snapshot().pending == {"span": 1}
    assert not ledger.snapshot().is_closed

    ledger.settle(Signal.SPAN, Outcome.FAILED, 1, "http 503")

    assert ledger.snapshot().is_closed
    assert ledger.snapshot().outcomes == {"span": {"delivered": 2, "failed": 1}}
    assert ledger.snapshot().reasons == {"failed: http 503": 1}


def test_something_settled_that_was_never_accepted_shows() -> None:
    ledger = Ledger()
    ledger.settle(Signal.ERROR, Outcome.DELIVERED)

    assert not ledger.snapshot().is_closed
    assert ledger.snapshot().pending == {"error": -1}


def test_a_snapshot_does_not_change_afterwards() -> None:
    ledger = Ledger()
    ledger.accept(Signal.SPAN)
    before = ledger.snapshot()
    ledger.settle(Signal.SPAN, Outcome.DELIVERED)

    assert before.pending == {"span": 1}


@given(st.lists(st.tuples(SIGNALS, OUTCOMES, st.integers(1, 9), st.sampled_from(["", "x"]))))
def test_accepted_is_the_sum_of_fates_and_pending(
    fates: list[tuple[Signal, Outcome, int, str]],
) -> None:
    ledger = Ledger()
    for signal, outcome, count, reason in fates:
        ledger.accept(signal, count + 1)
        ledger.settle(signal, outcome, count, reason)

    snapshot = ledger.snapshot()
    for name, accepted in snapshot.accepted.items():
        assert accepted == sum(snapshot.outcomes[name].values()) + snapshot.pending[name]
    assert sum(snapshot.pending.values()) == len(fates)
    assert sum(snapshot.reasons.values()) == sum(count for _, _, count, reason in fates if reason)


def test_threads_do_not_lose_counts() -> None:
    ledger = Ledger()

    def work() -> None:
        for _ in range(2_000):
            ledger.accept(Signal.SPAN)
            ledger.settle(Signal.SPAN, Outcome.DELIVERED)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.snapshot().outcomes == {"span": {"delivered": 8_000}}
    assert ledger.snapshot().is_closed
