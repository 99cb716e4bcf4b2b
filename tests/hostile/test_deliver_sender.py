"""The whole way of an envelope, from the offer to its fate, against servers that misbehave."""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    is_instrumentation_enabled,
)

from spanbridge.deliver import Endpoint, EnvelopeSender, OutgoingEnvelope, Priority
from spanbridge.deliver.answer import Answer
from spanbridge.model.outcome import Signal
from spanbridge.runtime.guard import Guard
from spanbridge.runtime.ledger import Ledger, LedgerSnapshot
from tests.hostile.deliver_peer import (
    Behaviour,
    Peer,
    Received,
    answer,
    hang,
    hang_up,
    raw,
    reset,
    reset_after,
    running,
)
from tests.support.program import wait_until


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 0.02)


class Sending:
    """A sender with its ledger, and the words the tests speak."""

    def __init__(self, endpoint: Endpoint, **options: object) -> None:
        self.ledger = Ledger()
        self.sender = EnvelopeSender(endpoint, self.ledger, **options)  # type: ignore[arg-type]

    def trace(self, name: str = "trace", spans: int = 9, size: int = 0) -> None:
        self.ledger.accept(Signal.SPAN, spans)
        self.sender.offer(
            OutgoingEnvelope(
                f"{{}}\n{name}".encode().ljust(size, b"."),
                Priority.TRACE,
                (("transaction", 1), ("span", spans)),
                ((Signal.SPAN, spans),),
            )
        )

    def error(self, name: str = "error") -> None:
        self.ledger.accept(Signal.ERROR)
        self.sender.offer(
            OutgoingEnvelope(
                f"{{}}\n{name}".encode(), Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),)
            )
        )

    @property
    def books(self) -> LedgerSnapshot:
        return self.ledger.snapshot()


@contextmanager
def sending(peer: Peer, **options: object) -> Iterator[Sending]:
    endpoint_options = options.pop("endpoint", {})
    assert isinstance(endpoint_options, dict)
    others = threads_of_ours()
    one = Sending(peer.endpoint(**endpoint_options), **options)
    with running(peer):
        try:
            yield one
        finally:
            one.sender.close(0.2)
        assert one.books.is_closed
        # Told to end at a deadline, a thread ends, though nobody waits for it any longer.
        wait_until(lambda: set(threads_of_ours()) <= set(others), 20.0)


def reports_in(requests: list[Received]) -> dict[tuple[str, str], int]:
    """What the client reports that arrived add up to."""
    total: dict[tuple[str, str], int] = {}
    for request in requests:
        for header, payload in pairwise(request.body.split(b"\n")):
            if b'"client_report"' in header:
                for discard in json.loads(payload)["discarded_events"]:
                    key = discard["reason"], discard["category"]
                    total[key] = total.get(key, 0) + discard["quantity"]
    return total


def threads_of_ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("spanbridge-")]


def test_what_is_offered_arrives_and_is_counted_as_delivered() -> None:
    peer = Peer()
    with sending(peer) as one:
        one.trace("first")
        one.error("second")
        one.trace("third", size=50_000)
        assert one.sender.flush(5)
        assert one.books.outcomes == {"span": {"delivered": 18}, "error": {"delivered": 1}}
        status = one.sender.status()
        assert (status.queued_items, status.queued_bytes, status.last_error) == (0, 0, None)
        assert status.last_success is not None
        assert 0 < status.sent_bytes < 2000  # the large one travelled compressed
    assert len(peer.bodies) == 3
    assert peer.connections == 1
    assert [request.headers.get("content-encoding") for request in peer.requests].count("gzip") == 1


def test_without_an_offer_there_is_no_thread_and_no_connection() -> None:
    peer = Peer()
    others = threads_of_ours()
    with sending(peer) as one:
        assert set(threads_of_ours()) <= set(others)
        assert one.sender.flush(1)
        assert one.sender.close(1)
    assert peer.connections == 0


def test_an_idle_sender_sleeps_without_waking_up(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Peer()
    waits: list[float | None] = []

    class Condition(threading.Condition().__class__):  # type: ignore[misc]
        def wait(self, timeout: float | None = None) -> bool:
            if threading.current_thread().name.startswith("spanbridge-"):
                waits.append(timeout)
            return bool(super().wait(timeout))

    monkeypatch.setattr("spanbridge.deliver.sender.threading.Condition", Condition)
    with sending(peer) as one:
        one.error()
        assert one.sender.flush(5)
        wait_until(lambda: waits, 30.0)
        assert waits == [None]


def test_closing_leaves_no_thread_behind() -> None:
    others = threads_of_ours()
    with sending(Peer()) as one:
        one.error()
        assert one.sender.close(30)
        assert set(threads_of_ours()) <= set(others)
        one.error("too late")
        assert one.books.reasons == {"failed: closed": 1}


def test_urgent_envelopes_overtake_those_that_wait() -> None:
    gate = threading.Event()

    def wait_for_gate(connection: object, request: object) -> bool:
        gate.wait(30)
        return answer()(connection, request)  # type: ignore[arg-type]

    peer = Peer([wait_for_gate])
    with sending(peer) as one:
        one.trace("under way")
        peer.await_requests(1)
        one.trace("waiting")
        one.error("urgent")
        gate.set()
        assert one.sender.flush(5)
    assert [body[3:] for body in peer.bodies] == [b"under way", b"urgent", b"waiting"]


@pytest.mark.parametrize(
    "trouble",
    [
        answer(503),
        answer(500),
        answer(502, Retry_After="0"),
        hang_up,
        reset,
        reset_after(b"HTTP/1.1 200 OK\r\n"),
        raw(b"garbage\r\n\r\n"),
        hang,
    ],
    ids=["503", "500", "502", "close", "reset", "reset in head", "garbage", "hang"],
)
def test_a_passing_trouble_loses_nothing(trouble: Behaviour) -> None:
    peer = Peer([trouble, trouble])
    with sending(peer, endpoint={"timeout_s": 0.2}) as one:
        one.trace()
        one.error()
        assert one.sender.flush(5)
        assert one.books.outcomes == {"span": {"delivered": 9}, "error": {"delivered": 1}}
        status = one.sender.status()
        assert (status.retries > 0, status.last_error) == (True, None)  # it is over
    assert reports_in(peer.requests) == {}


def test_a_server_that_comes_back_gets_everything() -> None:
    gone = Peer()
    gone.stop()
    one = Sending(gone.endpoint())
    one.trace()
    wait_until(lambda: one.sender.status().retries >= 2, 30.0)
    back = Peer(port=gone.port)
    with running(back):
        assert one.sender.flush(5)
        assert one.sender.close(5)
    assert one.books.outcomes == {"span": {"delivered": 9}}


@pytest.mark.parametrize("status", [400, 403, 413, 501, 301])
def test_a_refusal_is_final_counted_and_reported(status: int) -> None:
    peer = Peer([answer(status, b'{"detail":"no"}')])
    with sending(peer) as one:
        one.trace()
        assert one.sender.flush(5)
        assert one.books.reasons == {f"failed: http {status}": 9}
        assert one.sender.flush(5)
    assert reports_in(peer.requests) == {
        ("send_error", "transaction"): 1,
        ("send_error", "span"): 9,
    }
    assert len(peer.requests) == 2


def test_a_429_holds_back_what_it_names_and_is_not_reported_itself() -> None:
    peer = Peer([answer(429, X_Sentry_Rate_Limits="60:transaction:key")])
    with sending(peer) as one:
        one.trace("limited by the server")
        assert one.sender.flush(5)
        one.trace("held back here")
        one.error("not limited")
        assert one.sender.flush(5)
        assert one.books.outcomes == {"span": {"rate_limited": 18}, "error": {"delivered": 1}}
        assert one.sender.status().rate_limits.keys() == {"transaction"}
    assert [body[3:].split(b"\n")[0] for body in peer.bodies[:2]] == [
        b"limited by the server",
        b"not limited",
    ]
    assert reports_in(peer.requests) == {
        ("ratelimit_backoff", "transaction"): 1,
        ("ratelimit_backoff", "span"): 9,
    }


def test_errors_keep_flowing_where_every_200_limits_transactions() -> None:
    """Bugsink answers every envelope like this."""
    limiting = answer(200, X_Sentry_Rate_Limits="86400:transaction;span:organization")
    peer = Peer(otherwise=limiting)
    with sending(peer) as one:
        for number in range(5):
            one.error(str(number))
            assert one.sender.flush(5)
            one.trace()
            assert one.sender.flush(5)
        assert one.books.outcomes == {"span": {"rate_limited": 45}, "error": {"delivered": 5}}


def test_an_outage_is_one_log_line_and_every_loss_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer(otherwise=answer(503, b"down"))
    fresh = Guard()
    monkeypatch.setattr("spanbridge.deliver.attempt.GUARD", fresh)
    with sending(peer) as one, caplog.at_level(logging.WARNING):
        for _ in range(50):
            one.trace(spans=2)
        wait_until(lambda: fresh.counts.get("sentry: http 503", 0) > 1, 30.0)
        one.sender.close(1)
        lines = [record.getMessage() for record in caplog.records]
        assert lines == ["spanbridge: sentry: http 503: down"]
        assert one.books.outcomes == {"span": {"failed": 100}}


def test_overflow_evicts_the_oldest_traces_and_keeps_errors() -> None:
    peer = Peer([hang])
    with sending(peer, queue_max_items=30) as one:
        one.trace("under way")
        peer.await_requests(1)
        one.error()
        for number in range(10):
            one.trace(str(number))
        assert one.books.outcomes == {"span": {"evicted": 63}, "error": {}}
        assert one.sender.status().queued_items == 9 + 1 + 27


def test_a_single_giant_is_evicted_without_taking_others_along() -> None:
    peer = Peer([hang])
    with sending(peer, queue_max_bytes=10_000) as one:
        one.trace("under way")
        peer.await_requests(1)
        one.trace("small")
        one.trace("giant", spans=3, size=10_001)
        assert one.books.outcomes == {"span": {"evicted": 3}}


def test_offering_never_waits_for_the_network() -> None:
    peer = Peer(otherwise=hang)
    with sending(peer, endpoint={"timeout_s": 30.0}) as one:
        one.error()
        peer.await_requests(1)
        started_s = time.monotonic()
        for _ in range(1000):
            one.error()
        assert time.monotonic() - started_s < 5


@pytest.mark.parametrize("trouble", [hang, answer(503), hang_up], ids=["hang", "503", "close"])
def test_closing_keeps_its_deadline_whatever_the_server_does(trouble: Behaviour) -> None:
    peer = Peer(otherwise=trouble)
    with sending(peer, endpoint={"timeout_s": 120.0}) as one:
        for _ in range(20):
            one.trace()
        started_s = time.monotonic()
        assert not one.sender.close(0.5)
        assert time.monotonic() - started_s < 2
        assert one.books.outcomes == {"span": {"failed": 180}}


def test_closing_does_not_wait_for_a_server_that_is_gone() -> None:
    peer = Peer()
    peer.stop()
    one = Sending(peer.endpoint())
    one.trace()
    started_s = time.monotonic()
    assert not one.sender.close(30)
    assert time.monotonic() - started_s < 10
    assert one.books.outcomes == {"span": {"failed": 9}}


def test_nobody_waits_for_a_report_that_a_closed_sender_will_not_make() -> None:
    peer = Peer(otherwise=hang)
    with sending(peer, endpoint={"timeout_s": 120.0}) as one:
        one.error()
        early = threading.Thread(target=one.sender.flush, args=(60,), daemon=True)
        early.start()
        wait_until(lambda: peer.requests)
        one.sender.discarded("sample_rate", "span", 1)
        started_s = time.monotonic()
        one.sender.close(1)
        one.sender.flush(60)
        early.join(60)
        assert time.monotonic() - started_s < 20


def test_closing_retries_a_passing_trouble() -> None:
    peer = Peer([answer(503)])
    with sending(peer) as one:
        one.trace()
        assert one.sender.close(5)
        assert one.books.outcomes == {"span": {"delivered": 9}}


def test_a_flush_that_cannot_succeed_in_time_says_so_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 20.0)
    with sending(Peer(otherwise=answer(503))) as one:
        one.trace()
        started_s = time.monotonic()
        assert not one.sender.flush(9)
        assert time.monotonic() - started_s < 7


def test_a_flush_waits_only_for_what_was_there_before_it() -> None:
    peer = Peer(otherwise=raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", pause_s=0.01))
    is_over = threading.Event()
    with sending(peer) as one:

        def keep_offering() -> None:
            while not is_over.is_set():
                one.error()
                time.sleep(0.001)

        flood = threading.Thread(target=keep_offering, daemon=True)
        flood.start()
        time.sleep(0.05)
        assert one.sender.flush(30)
        is_over.set()
        flood.join()


def test_a_flush_ends_when_what_it_waits_for_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 20.0)
    peer = Peer([answer(503), answer(503)], otherwise=hang)
    with sending(peer, endpoint={"timeout_s": 60.0}, queue_max_items=10) as one:
        one.trace("evicted")
        while one.sender.status().retries == 0:
            time.sleep(0.001)
        flushed: list[bool] = []
        flush = threading.Thread(target=lambda: flushed.append(one.sender.flush(60)))
        flush.start()
        peer.await_requests(2)
        one.error("hangs")
        peer.await_requests(3)
        one.trace("evicts")
        flush.join(30)
        assert flushed == [True]
        assert one.books.outcomes["span"] == {"evicted": 9}


def test_losses_elsewhere_are_reported_when_flushing() -> None:
    peer = Peer()
    with sending(peer) as one:
        one.sender.discarded("sample_rate", "transaction", 3)
        one.sender.discarded("sample_rate", "transaction", 4)
        assert one.sender.flush(5)
        one.sender.discarded("event_processor", "error", 1)
        one.error()
        assert one.sender.close(5)
    assert reports_in(peer.requests) == {
        ("sample_rate", "transaction"): 7,
        ("event_processor", "error"): 1,
    }


def test_what_is_discarded_while_the_queue_empties_is_reported_before_the_end() -> None:
    peer = Peer(otherwise=answer(200, X_Sentry_Rate_Limits="60:transaction;span:organization"))
    with sending(peer) as one:
        one.error()
        one.trace("limited by the answer to the error")
        assert one.sender.close(5)
    assert one.books.outcomes["span"] == {"rate_limited": 9}
    assert reports_in(peer.requests) == {
        ("ratelimit_backoff", "transaction"): 1,
        ("ratelimit_backoff", "span"): 9,
    }


def test_a_report_survives_failed_attempts_and_arrives_once() -> None:
    peer = Peer([answer(503), hang_up, answer(503)])
    with sending(peer) as one:
        one.sender.discarded("sample_rate", "span", 5)
        one.error()
        wait_until(lambda: one.sender.flush(1), 30.0)
        assert one.sender.flush(5)
    assert reports_in(peer.requests[3:]) == {("sample_rate", "span"): 5}


def test_our_own_uploads_are_hidden_from_instrumentations() -> None:
    seen: list[tuple[bool, bool]] = []

    class Client:
        def post(self, body: bytes, *, is_gzip: bool) -> Answer:
            seen.append((is_instrumentation_enabled(), is_http_instrumentation_enabled()))
            return Answer(200)

        def interrupt(self) -> None: ...
        def close(self) -> None: ...

    peer = Peer()
    with sending(peer, client=Client()) as one:
        one.error()
        assert one.sender.flush(5)
    assert seen == [(False, False)]
    assert otel_context.get_current() == {}


def test_a_bug_of_ours_is_counted_and_does_not_stop_delivery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spanbridge.deliver.sender.GUARD", Guard(reraise=False))
    failures = iter([True])

    class Client:
        def post(self, body: bytes, *, is_gzip: bool) -> Answer:
            if next(failures, False):
                raise TypeError("a bug")
            return Answer(200)

        def interrupt(self) -> None: ...
        def close(self) -> None: ...

    with sending(Peer(), client=Client()) as one:
        one.error()
        one.error()
        assert one.sender.flush(5)
        assert one.books.outcomes == {"error": {"failed": 1, "delivered": 1}}


# Fork


def in_child(work: Callable[[], bool]) -> bool:
    """Run ``work`` in a forked child; whether it returned true there."""
    child = os.fork()
    if child == 0:
        is_good = False
        try:
            is_good = work()
        finally:
            os._exit(0 if is_good else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_fork_with_a_full_queue_sends_everything_once() -> None:
    gate = threading.Event()

    def wait_for_gate(connection: object, request: object) -> bool:
        gate.wait(30)
        return answer()(connection, request)  # type: ignore[arg-type]

    peer = Peer([wait_for_gate])
    with sending(peer) as one:
        for number in range(5):
            one.error(f"parent {number}")
        peer.await_requests(1)

        def child_works() -> bool:
            empty = one.sender.status().queued_items == 0
            one.error("child")
            return empty and one.sender.flush(5) and one.sender.close(5)

        assert in_child(child_works)
        gate.set()
        assert one.sender.flush(5)
        assert one.books.outcomes == {"error": {"delivered": 5}}
    arrived = sorted(body[3:].decode() for body in peer.bodies)
    assert arrived == ["child", *(f"parent {number}" for number in range(5))]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_forks_amid_traffic_never_deadlock() -> None:
    peer = Peer()
    with sending(peer) as one:
        is_over = threading.Event()

        def keep_offering() -> None:
            while not is_over.is_set():
                one.error()
                one.sender.discarded("sample_rate", "span", 1)
                time.sleep(0)

        flood = threading.Thread(target=keep_offering, daemon=True)
        flood.start()

        def child_works() -> bool:
            one.ledger = Ledger()
            one.sender._ledger = one.sender._dispatch._accounts._ledger = one.ledger
            one.error("child")
            return one.sender.flush(30)

        results = [in_child(child_works) for _ in range(10)]
        is_over.set()
        flood.join()
        assert all(results)
        assert one.sender.flush(20)


# All faults at once

FAULTS: dict[str, Behaviour] = {
    "200": answer(),
    "limits": answer(200, X_Sentry_Rate_Limits="0.05:transaction:key, 1:error:key"),
    "400": answer(400),
    "413": answer(413),
    "429": answer(429, Retry_After="0"),
    "503": answer(503),
    "close": hang_up,
    "reset": reset,
    "cut": reset_after(b"HTTP/1.1 200 OK\r\nContent-"),
    "hang": hang,
    "body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12", keeps=False),
}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(sorted(FAULTS)), max_size=25),
    st.lists(st.sampled_from(["trace", "error", "discard"]), max_size=25),
    st.integers(0, 2**16),
)
def test_every_item_meets_exactly_one_fate_under_random_faults(
    faults: list[str], offers: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    peer = Peer([FAULTS[name] for name in faults])
    offered = {"span": 0, "error": 0}
    with sending(peer, endpoint={"timeout_s": 0.05}, queue_max_items=40) as one:
        for offer in offers:
            if offer == "trace":
                spans = chance.randint(1, 9)
                offered["span"] += spans
                one.trace(spans=spans)
            elif offer == "error":
                offered["error"] += 1
                one.error()
            else:
                one.sender.discarded("sample_rate", "span", 1)
            if chance.random() < 0.1:
                time.sleep(0.01)
        one.sender.close(chance.choice([0.0, 0.05, 0.3]))
        books = one.books
    assert books.is_closed
    for signal, count in offered.items():
        assert sum(books.outcomes.get(signal, {}).values()) == count
