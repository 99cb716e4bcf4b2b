"""Disks that hang or refuse one file, and what is held until its fate is known."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from spanbridge.deliver import OutgoingEnvelope, SpoolPlace
from spanbridge.deliver.spool_file import Spooled
from spanbridge.deliver.spool_folder import SpoolFolder
from spanbridge.model.outcome import Signal
from spanbridge.runtime.guard import Guard
from tests.hostile.deliver_peer import Peer, answer, hang, running
from tests.hostile.test_deliver_sender import Sending, reports_in
from tests.hostile.test_spool import (
    away,
    deliver_in_the_next_life,
    files_in,
    held,
    names_in,
    one_life,
    place,
    quick_pauses,
    spend_a_life_without_a_server,
)
from tests.support.program import wait_until

__all__ = ["place", "quick_pauses"]  # fixtures


@pytest.fixture(autouse=True)
def fresh_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", Guard())


# Disks


def test_a_disk_that_hangs_while_others_are_looked_for_holds_up_nothing_fresh(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend_a_life_without_a_server(place, "old")
    gate, is_looking = threading.Event(), threading.Event()
    adopt = SpoolFolder.adopt

    def hanging(folder: SpoolFolder) -> list[Spooled]:
        is_looking.set()
        gate.wait(20)
        return adopt(folder)

    monkeypatch.setattr(SpoolFolder, "adopt", hanging)
    peer = Peer()
    with running(peer), one_life(peer, place) as one:
        assert is_looking.wait(5)
        one.error("fresh")
        one.trace("fresh too")
        assert one.sender.flush(10)
        assert names_in(peer) == ["fresh", "fresh too"]
        gate.set()
        peer.await_requests(3)
    assert names_in(peer)[2] == "old"


def test_what_waits_for_a_hanging_disk_is_written_when_it_goes_on(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(SpoolFolder, "adopt", lambda _: gate.wait(20) and [])
    peer = Peer([answer(429, X_Sentry_Rate_Limits="60:error:key")])
    with running(peer), one_life(peer, place) as one:
        for number in range(3):
            one.error(str(number))
        one.trace()
        peer.await_requests(2)  # the trace passes
        assert files_in(place) == []
        gate.set()
        wait_until(lambda: len(files_in(place)) == 3, 5.0)
    assert one.books.outcomes == {"error": {"spooled": 3}, "span": {"delivered": 9}}


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ELOOP, errno.EISDIR])
def test_one_file_that_cannot_be_read_does_not_block_the_others(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    spend_a_life_without_a_server(place, "bad", "two", "three")
    bad = files_in(place)[0].name
    read = SpoolFolder.read

    def refuse(folder: SpoolFolder, spooled: Spooled) -> bytes:
        if spooled.name == bad:
            raise OSError(number, os.strerror(number))
        return read(folder, spooled)

    monkeypatch.setattr(SpoolFolder, "read", refuse)
    peer = Peer()
    with running(peer), one_life(peer, place) as one:
        wait_until(lambda: one.books.accepted == {"error": 3}, 5.0)
        assert one.sender.flush(5)
    assert names_in(peer)[:2] == ["two", "three"]
    assert one.books.outcomes == {"error": {"delivered": 2, "failed": 1}}
    assert one.books.reasons == {"failed: spool: unreadable": 1}
    assert files_in(place) == []


def test_a_file_that_can_be_read_again_is_delivered(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend_a_life_without_a_server(place, "patient")
    read = SpoolFolder.read
    refusals = iter([True, True])

    def refuse(folder: SpoolFolder, spooled: Spooled) -> bytes:
        if next(refusals, False):
            raise OSError(errno.EIO, "Input/output error")
        return read(folder, spooled)

    monkeypatch.setattr(SpoolFolder, "read", refuse)
    assert deliver_in_the_next_life(place, 1)[0] == ["patient"]


def test_a_passing_failure_of_the_disk_is_forgotten_at_the_end(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = SpoolFolder.write
    refusals = iter([True])
    has_refused = threading.Event()

    def refuse(folder: SpoolFolder, spooled: Spooled, content: bytes) -> None:
        if next(refusals, False):
            has_refused.set()
            raise OSError(errno.EMFILE, "Too many open files")
        write(folder, spooled, content)

    monkeypatch.setattr(SpoolFolder, "write", refuse)
    with one_life(away(), place) as one:
        for number in range(3):
            one.error(str(number))
        assert has_refused.wait(5)
    assert one.books.outcomes == {"error": {"spooled": 3}}
    assert len(files_in(place)) == 3


def test_a_refusal_of_what_comes_from_disk_at_the_end_is_reported(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REPLAY_AT_CLOSE_S", "REPORT_AT_CLOSE_S"):  # for a busy machine
        monkeypatch.setattr(f"spanbridge.deliver.sender.{name}", 30.0)
    spend_a_life_without_a_server(place, "refused")
    peer = Peer([answer(403)])
    with running(peer), one_life(peer, place, close_s=30.0) as one:
        pass
    assert one.books.outcomes == {"error": {"failed": 1}}
    assert reports_in(peer.requests) == {("send_error", "error"): 1}


# What is held


def decided(name: str) -> OutgoingEnvelope:
    return held(name)


def test_what_was_held_stays_on_disk_until_the_server_has_answered(place: SpoolPlace) -> None:
    may_answer = threading.Event()

    def late(connection: object, received: object) -> bool:
        may_answer.wait(10)
        return answer(200)(connection, received)  # type: ignore[arg-type]

    peer = Peer([late])
    with running(peer), one_life(peer, place) as one:
        one.sender.hold("key", held("undecided"))
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        one.ledger.accept(Signal.ERROR)
        one.sender.offer(decided("decided"), held_as="key")
        one.sender.let_go("key")  # nothing is held any more
        peer.await_requests(1)
        time.sleep(0.1)
        assert len(files_in(place)) == 1
        may_answer.set()
        wait_until(lambda: files_in(place) == [], 5.0)
        assert one.sender.flush(5)
    assert names_in(peer) == ["decided"]
    assert one.books.outcomes == {"error": {"delivered": 1}}


@pytest.mark.parametrize("status", [400, 413])
def test_what_was_held_goes_with_a_refusal(place: SpoolPlace, status: int) -> None:
    peer = Peer([answer(status)])
    with running(peer), one_life(peer, place) as one:
        one.sender.hold("key", held("undecided"))
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        one.ledger.accept(Signal.ERROR)
        one.sender.offer(decided("decided"), held_as="key")
        assert one.sender.flush(5)
        wait_until(lambda: files_in(place) == [], 5.0)


def test_a_copy_takes_the_place_of_what_was_held(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 20.0)
    with one_life(away(), place) as one:
        one.sender.hold("key", held("undecided"))
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        [before] = files_in(place)
        one.ledger.accept(Signal.ERROR)
        one.sender.offer(decided("decided"), held_as="key")
        wait_until(lambda: len(files_in(place)) == 1 and files_in(place) != [before], 5.0)
    assert one.books.outcomes == {"error": {"spooled": 1}}
    assert deliver_in_the_next_life(place, 1)[0] == ["decided"]


def test_what_was_held_is_kept_where_a_copy_cannot_be_written(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer(otherwise=hang)
    with running(peer), one_life(peer, place, close_s=0.5) as one:
        one.sender.hold("key", held("undecided"))
        wait_until(lambda: one.sender.status().spooled == 1, 5.0)

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(SpoolFolder, "write", refuse)
        one.ledger.accept(Signal.ERROR)
        one.sender.offer(decided("decided"), held_as="key")
        peer.await_requests(1)
    assert one.books.outcomes == {"error": {"spooled": 1}}
    monkeypatch.undo()
    assert deliver_in_the_next_life(place, 1)[0] == ["undecided"]


def test_without_a_spool_an_offer_of_what_was_held_is_an_offer() -> None:
    peer = Peer()
    one = Sending(peer.endpoint())
    with running(peer):
        one.sender.hold("key", held("undecided"))
        one.ledger.accept(Signal.ERROR)
        one.sender.offer(decided("decided"), held_as="key")
        assert one.sender.close(5)
    assert names_in(peer) == ["decided"]
