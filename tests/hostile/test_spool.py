"""What cannot be delivered survives the process: on a real disk, under senders on real sockets."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanbridge.deliver import OutgoingEnvelope, Priority, SpoolPlace, spool_folder_name
from spanbridge.deliver.answer import Answer
from spanbridge.deliver.spool_file import BLOCK_BYTES, Spooled, parse_name
from spanbridge.deliver.spool_folder import SpoolFolder
from spanbridge.model.outcome import Signal
from spanbridge.runtime.guard import Guard
from spanbridge.runtime.ledger import LedgerSnapshot
from tests.hostile.deliver_peer import Peer, Received, answer, hang, hang_up, running
from tests.hostile.test_deliver_sender import FAULTS, Sending, reports_in, threads_of_ours
from tests.support.program import wait_until

HOUR_S = 3600.0


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 0.02)
    monkeypatch.setattr("spanbridge.deliver.spool_plan.REPLAY_PAUSE_S", 0.001)


@pytest.fixture
def place(tmp_path: Path) -> SpoolPlace:
    return SpoolPlace(str(tmp_path / "spool" / "sentry-1"), 1024 * 1024, 72 * HOUR_S)


def files_in(place: SpoolPlace) -> list[Path]:
    """What is kept: a name with a dot in front has no content yet, or no owner."""
    try:
        found = list(Path(place.path).glob("[!.]*/[!.]*.envelope"))
    except FileNotFoundError:  # a folder went while its parent was read
        return files_in(place)
    return sorted(found, key=lambda path: path.name)


@contextmanager
def one_life(
    peer: Peer, place: SpoolPlace, close_s: float = 3.0, timeout_s: float = 2.0
) -> Iterator[Sending]:
    """A sender from its start to its end; afterwards its books are closed."""
    others = threads_of_ours()
    one = Sending(peer.endpoint(timeout_s=timeout_s), spool=place)
    one.sender.start()
    try:
        yield one
    finally:
        one.sender.close(close_s)
        # Told to end at a deadline, a thread ends, though nobody waits for it any longer.
        wait_until(lambda: set(threads_of_ours()) <= set(others), 30.0)
    assert one.books.is_closed


def away() -> Peer:
    peer = Peer()
    peer.stop()
    return peer


def names_in(peer: Peer) -> list[str]:
    return [body.split(b"\n")[1].decode().rstrip(".") for body in peer.bodies]


def spend_a_life_without_a_server(place: SpoolPlace, *names: str, traces: int = 0) -> None:
    with one_life(away(), place) as one:
        for name in names:
            one.error(name)
        for number in range(traces):
            one.trace(f"trace {number}")


def deliver_in_the_next_life(place: SpoolPlace, count: int) -> tuple[list[str], LedgerSnapshot]:
    peer = Peer()
    with running(peer):
        with one_life(peer, place) as one:
            peer.await_requests(count)
        return names_in(peer), one.books


def test_what_is_left_at_the_end_is_delivered_by_the_next_process(place: SpoolPlace) -> None:
    with one_life(away(), place) as one:
        one.trace("a trace", spans=9)
        one.error("an error")
    assert one.books.outcomes == {"span": {"spooled": 9}, "error": {"spooled": 1}}
    assert len(files_in(place)) == 2

    arrived, books = deliver_in_the_next_life(place, 2)

    assert arrived == ["an error", "a trace"]
    assert books.accepted == {"span": 9, "error": 1}
    assert books.outcomes == {"span": {"delivered": 9}, "error": {"delivered": 1}}
    assert files_in(place) == []
    assert deliver_in_the_next_life(place, 0)[0] == []
    assert os.listdir(place.path) == []


def test_an_error_is_on_disk_within_a_second_of_its_first_failed_attempt(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 20.0)
    peer = Peer(otherwise=answer(503))
    with running(peer), one_life(peer, place) as one:
        one.error("tried")
        one.trace("waits in memory")
        # A busy machine may take longer, but never as long as the next attempt is away.
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        assert one.sender.status().queued_items == 10
        one.error("not even tried")
        wait_until(lambda: len(files_in(place)) == 2, 5.0)
        wait_until(lambda: one.sender.status().spooled == 2, 5.0)
        assert one.books.pending == {"error": 2, "span": 9}


def test_a_copy_goes_when_its_error_is_delivered_or_refused(place: SpoolPlace) -> None:
    for last in (answer(200), answer(400)):
        peer = Peer([answer(503), answer(503), last])
        with running(peer), one_life(peer, place) as one:
            one.error()
            peer.await_requests(3)
            assert one.sender.flush(5)
            wait_until(lambda: files_in(place) == [], 5.0)
        assert "spooled" not in one.books.outcomes["error"]


def test_nothing_is_touched_while_nothing_fails(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    for name in ("mkdir", "makedirs", "open", "rename"):
        monkeypatch.setattr(f"spanbridge.deliver.spool_folder.os.{name}", made.append)
    peer = Peer()
    with running(peer), one_life(peer, place) as one:
        for number in range(20):
            one.error(str(number))
            one.trace(str(number))
        assert one.sender.flush(5)
    assert made == []
    assert not os.path.exists(os.path.dirname(place.path))


def test_without_a_spool_the_end_is_a_loss() -> None:
    one = Sending(away().endpoint())
    one.error()
    one.sender.hold("key", OutgoingEnvelope(b"{}\nheld", Priority.ERROR, (), ()))
    one.sender.let_go("key")
    assert not one.sender.close(1)
    assert one.books.outcomes == {"error": {"failed": 1}}


def test_files_are_private_and_names_show_no_key(place: SpoolPlace, tmp_path: Path) -> None:
    spend_a_life_without_a_server(place, "an error")
    [file] = files_in(place)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert Path(place.path).stat().st_mode & 0o777 == 0o700
    name = spool_folder_name("sentry", "https://h.example/api/1/envelope/", "5ecretke7")
    assert name.startswith("sentry-")
    assert "5ecretke7" not in name
    assert name != spool_folder_name("sentry", "https://h.example/api/2/envelope/", "5ecretke7")
    assert name != spool_folder_name("sentry", "https://h.example/api/1/envelope/", "other")


def test_a_new_time_of_sending_keeps_the_server_from_correcting_the_clock(
    place: SpoolPlace,
) -> None:
    with one_life(away(), place) as one:
        one.ledger.accept(Signal.ERROR)
        body = b'{"event_id":"1","sent_at":"2020-01-01T00:00:00.000Z","trace":{"a":"b"}}\nbody'
        one.sender.offer(
            OutgoingEnvelope(body, Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))
        )
    peer = Peer()
    with running(peer), one_life(peer, place):
        peer.await_requests(1)
    [sent] = peer.bodies
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert sent.startswith(b'{"event_id":"1","sent_at":"%b' % today.encode())
    assert sent.endswith(b'"trace":{"a":"b"}}\nbody')


# What comes back, and in which order


def test_what_happens_now_is_sent_before_what_happened_then(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend_a_life_without_a_server(place, *(f"old {number}" for number in range(20)))
    may_answer = threading.Event()

    def late(connection: socket.socket, request: Received) -> bool:
        may_answer.wait(30)
        return answer()(connection, request)

    peer = Peer([answer(), late])
    with running(peer), one_life(peer, place, timeout_s=60.0) as one:
        peer.await_requests(2)
        for number in range(20):
            one.error(f"new {number}")
        may_answer.set()
        peer.await_requests(40)
    assert names_in(peer)[:22] == ["old 0", "old 1", *(f"new {number}" for number in range(20))]


def test_a_short_process_sends_what_an_earlier_one_left(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a second may not do.
    monkeypatch.setattr("spanbridge.deliver.sender.REPLAY_AT_CLOSE_S", 30.0)
    spend_a_life_without_a_server(place, *(f"old {number}" for number in range(10)))
    peer = Peer()
    with running(peer), one_life(peer, place, close_s=30.0):
        pass
    assert len(names_in(peer)) == 10


def test_an_old_envelope_does_not_delay_the_end_of_a_process(place: SpoolPlace) -> None:
    spend_a_life_without_a_server(place, "old")
    peer = Peer(otherwise=hang)
    started_s = time.monotonic()
    with running(peer), one_life(peer, place, close_s=20.0, timeout_s=60.0):
        peer.await_requests(1)
    assert time.monotonic() - started_s < 10
    assert len(files_in(place)) == 1


def test_a_server_that_stays_away_is_not_asked_more_often_for_what_waits(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend_a_life_without_a_server(place, *map(str, range(30)))
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 0.2)
    peer = Peer(otherwise=answer(503))
    with running(peer), one_life(peer, place) as one:
        peer.await_requests(1)
        time.sleep(1.0)
        asked = len(peer.requests)
    assert asked <= 5
    spooled = one.books.outcomes["error"]["spooled"]
    assert one.books.accepted == {"error": spooled}
    assert spooled <= len(peer.requests)
    assert len(files_in(place)) == 30


def test_a_refused_envelope_from_disk_is_not_tried_again(place: SpoolPlace) -> None:
    spend_a_life_without_a_server(place, "refused", "fine")
    peer = Peer([answer(400)])
    with running(peer), one_life(peer, place, close_s=5.0) as one:
        peer.await_requests(2)
    assert one.books.outcomes == {"error": {"failed": 1, "delivered": 1}}
    assert files_in(place) == []


def test_given_up_after_all_attempts_is_sent_when_the_server_is_back(place: SpoolPlace) -> None:
    peer = Peer([hang_up] * 8)
    with running(peer), one_life(peer, place) as one:
        one.trace()
        one.error()
        wait_until(lambda: one.books.is_closed, 30.0)
        assert one.books.outcomes == {"span": {"delivered": 9}, "error": {"delivered": 1}}
    assert files_in(place) == []


# Rate limits


def test_errors_wait_on_disk_while_their_category_is_limited(place: SpoolPlace) -> None:
    peer = Peer([answer(429, X_Sentry_Rate_Limits="4:error:key")])
    with running(peer), one_life(peer, place) as one:
        one.error("meets the limit")
        assert one.sender.flush(5)  # it is safe: nobody waits for the limit to end
        one.error("held back here")
        one.trace("not limited")
        assert one.sender.flush(5)
        assert one.books.outcomes == {"error": {}, "span": {"delivered": 9}}
        assert one.sender.status().spooled == 2
        wait_until(lambda: one.books.is_closed, 30.0)
        assert one.books.outcomes["error"] == {"delivered": 2}
    assert reports_in(peer.requests) == {}
    assert names_in(peer) == [
        "meets the limit",
        "not limited",
        "meets the limit",
        "held back here",
    ]


def test_errors_outlive_a_limit_of_hours(place: SpoolPlace) -> None:
    peer = Peer([answer(429, X_Sentry_Rate_Limits="36000:error:key")])
    with running(peer), one_life(peer, place, close_s=20.0) as one:
        for number in range(20):
            one.error(str(number))
        assert one.sender.flush(5)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 10
    assert one.books.outcomes == {"error": {"spooled": 20}}
    assert len(peer.bodies) == 1

    arrived, books = deliver_in_the_next_life(place, 20)
    assert sorted(arrived, key=int) == list(map(str, range(20)))
    assert books.outcomes == {"error": {"delivered": 20}}


def test_limited_traces_are_not_wanted_and_not_kept(place: SpoolPlace) -> None:
    peer = Peer([answer(429, X_Sentry_Rate_Limits="60:transaction:key")])
    with running(peer), one_life(peer, place) as one:
        one.trace()
        assert one.sender.flush(5)
        one.trace()
        assert one.sender.flush(5)
        assert one.books.outcomes == {"span": {"rate_limited": 18}}
    assert files_in(place) == []


def test_an_error_that_leaves_a_full_queue_is_on_disk_already(place: SpoolPlace) -> None:
    peer = Peer([answer(503)], otherwise=hang)
    one = Sending(peer.endpoint(timeout_s=30.0), spool=place, queue_max_items=5)
    with running(peer):
        one.error("first")
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        peer.await_requests(2)  # the second attempt hangs
        for number in range(20):
            one.error(str(number))
        evicted = one.books.outcomes["error"]["evicted"]
        assert evicted == 15  # nobody was free to write them
        one.sender.close(2.0)  # a part of it is for the disk
    assert one.books.outcomes == {"error": {"evicted": 15, "spooled": 6}}
    assert len(files_in(place)) == 6


# Bounds


def test_the_oldest_of_the_lowest_priority_make_room(tmp_path: Path) -> None:
    place = SpoolPlace(str(tmp_path / "spool"), 10 * BLOCK_BYTES, 72 * HOUR_S)
    spend_a_life_without_a_server(place, traces=8)
    assert len(files_in(place)) == 8
    with one_life(away(), place) as one:
        for number in range(6):
            one.error(str(number))
    priorities = Counter(parse_name(file.name).priority for file in files_in(place))  # type: ignore[union-attr]
    assert priorities == {Priority.ERROR: 6, Priority.TRACE: 4}
    assert one.books.outcomes == {"span": {"evicted": 36}, "error": {"spooled": 6}}
    assert one.books.reasons == {"evicted: spool: full": 36}
    arrived, _ = deliver_in_the_next_life(place, 10)
    assert arrived[6:] == [f"trace {number}" for number in range(4, 8)]


def test_what_is_larger_than_the_spool_is_a_loss_and_takes_nothing_along(tmp_path: Path) -> None:
    place = SpoolPlace(str(tmp_path / "spool"), 10 * BLOCK_BYTES, 72 * HOUR_S)
    with one_life(away(), place) as one:
        one.error()
        one.trace(size=11 * BLOCK_BYTES)
    assert one.books.outcomes == {"span": {"failed": 9}, "error": {"spooled": 1}}


def test_what_is_too_old_is_dropped_counted_and_reported(place: SpoolPlace) -> None:
    spend_a_life_without_a_server(place, "too old", "fresh")
    old = files_in(place)[0]
    age = int(old.name[:13]) - int(73 * HOUR_S * 1000)
    old.rename(old.with_name(f"{age:013d}{old.name[13:]}"))

    peer = Peer()
    with running(peer), one_life(peer, place) as one:
        wait_until(lambda: one.books.accepted == {"error": 2}, 30.0)
        assert one.sender.flush(30)
    assert names_in(peer)[0] == "fresh"
    assert one.books.reasons == {"evicted: spool: too old": 1}
    assert one.books.outcomes == {"error": {"evicted": 1, "delivered": 1}}
    assert reports_in(peer.requests) == {("cache_overflow", "error"): 1}


@pytest.mark.parametrize("max_blocks", [1, 3, 8])
def test_the_disk_space_of_several_processes_stays_bounded(tmp_path: Path, max_blocks: int) -> None:
    place = SpoolPlace(str(tmp_path / "spool"), max_blocks * BLOCK_BYTES, 72 * HOUR_S)
    for _ in range(3):
        spend_a_life_without_a_server(place, *map(str, range(4)), traces=3)
        sizes = [file.stat().st_size for file in files_in(place)]
        assert sum(-(-size // BLOCK_BYTES) for size in sizes) <= max_blocks


def test_a_spool_that_nobody_opens_any_more_is_cleared_after_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", Guard())
    digest = "0123456789abcdef0123"
    abandoned, used = (
        SpoolPlace(str(tmp_path / f"{name}-{digest}"), 2**20, 72 * HOUR_S)
        for name in ("abandoned", "used")
    )
    spend_a_life_without_a_server(abandoned, "a month old", "younger")
    spend_a_life_without_a_server(used, "younger")
    old = files_in(abandoned)[0]
    old.rename(old.with_name(f"{int(time.time() - 31 * 24 * HOUR_S) * 1000:013d}{old.name[13:]}"))
    stranger = tmp_path / "not-ours" / "folder"
    stranger.mkdir(parents=True)

    spend_a_life_without_a_server(used, "younger")

    assert len(files_in(abandoned)) == 1
    assert len(files_in(used)) == 2
    [young] = files_in(abandoned)
    young.rename(young.with_name(f"{1:013d}{young.name[13:]}"))
    spend_a_life_without_a_server(used, "younger")
    assert not os.path.exists(abandoned.path)
    assert stranger.exists()


# Bad files and bad disks


def test_a_damaged_file_is_counted_and_does_not_stop_the_others(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Guard()
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", fresh)
    monkeypatch.setattr("spanbridge.deliver.spool_folder.GUARD", fresh)
    spend_a_life_without_a_server(place, *map(str, range(5)))
    files = files_in(place)
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].write_bytes(b"")
    files[2].write_bytes(b"\xff" * 100)
    files[3].write_bytes(files[3].read_bytes().replace(b'"format":1', b'"format":2'))
    folder = files[4].parent
    (folder / "somebody's notes").write_text("hello")
    (folder / f".{files[4].name}").write_text("half of it")
    (folder / "a folder").mkdir()

    arrived, books = deliver_in_the_next_life(place, 1)

    assert arrived[0] == "4"
    assert books.outcomes == {"error": {"failed": 4, "delivered": 1}}
    assert books.reasons == {"failed: spool: unreadable": 4}
    assert files_in(place) == []
    assert sorted(os.listdir(folder)) == ["a folder", "somebody's notes"]
    assert fresh.counts["sentry: spool: damaged file"] == 4
    assert fresh.counts["sentry: spool: unknown file"] == 2
    assert fresh.counts["sentry: spool: unfinished file"] == 1


def test_a_cleared_cache_is_started_anew(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.deliver.retry.FIRST_DELAY_S", 20.0)
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", Guard())
    with one_life(away(), place) as one:
        one.error("one")
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        shutil.rmtree(place.path)
        one.error("two")
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
    assert one.books.outcomes == {"error": {"spooled": 2}}


@pytest.mark.parametrize("trouble", ["a file in the way", "someone else's", "no home"])
def test_an_unusable_folder_is_said_once_and_delivery_goes_on(
    tmp_path: Path,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fresh = Guard()
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", fresh)
    path = tmp_path / "spool" / "sentry-1"
    if trouble == "a file in the way":
        (tmp_path / "spool").write_text("")
    elif trouble == "someone else's":
        path.mkdir(parents=True)
        monkeypatch.setattr("spanbridge.deliver.spool_folder.os.geteuid", lambda: 54321)
    else:
        path = Path("~/.cache/spanbridge/spool/sentry-1")
    place = SpoolPlace(str(path), 1024 * 1024, 72 * HOUR_S)
    with one_life(away(), place) as one:
        for _ in range(10):
            one.error()
    assert one.books.outcomes == {"error": {"failed": 10}}
    assert fresh.counts["sentry: spool: cannot be used"] <= 2  # at first, and at the end
    assert len([line for line in caplog.messages if "cannot be used" in line]) == 1

    peer = Peer([answer(503)])
    with running(peer), one_life(peer, place) as one:
        one.error()
        assert one.sender.flush(5) or one.sender.flush(5)
        assert one.books.outcomes == {"error": {"delivered": 1}}


def test_a_disk_that_hangs_does_not_hold_up_the_end(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    others = threads_of_ours()
    monkeypatch.setattr(
        "spanbridge.deliver.spool_folder.os.rename", lambda *_: gate.wait(60) and None
    )
    one = Sending(away().endpoint(), spool=place)
    one.error()
    time.sleep(0.2)
    started_s = time.monotonic()
    assert not one.sender.close(0.5)
    assert time.monotonic() - started_s < 10
    gate.set()
    wait_until(lambda: set(threads_of_ours()) <= set(others), 30.0)


def test_a_thread_that_cannot_be_woken_does_not_keep_the_rest_from_the_disk(
    place: SpoolPlace,
) -> None:
    """A connection attempt that nobody answers cannot be interrupted."""
    gate, is_under_way = threading.Event(), threading.Event()
    others = threads_of_ours()

    class Client:
        def post(self, body: bytes, *, is_gzip: bool) -> Answer:
            is_under_way.set()
            gate.wait(60)
            return Answer(200)

        def interrupt(self) -> None: ...
        def close(self) -> None: ...

    one = Sending(away().endpoint(), spool=place, client=Client())
    one.error("under way")
    assert is_under_way.wait(30)
    one.error("waits")
    one.trace()
    started_s = time.monotonic()
    assert not one.sender.close(1.0)
    assert time.monotonic() - started_s < 10
    assert one.books.outcomes == {"error": {"spooled": 2}, "span": {"spooled": 9}}
    assert len(files_in(place)) == 3
    gate.set()
    wait_until(lambda: set(threads_of_ours()) <= set(others), 30.0)
    assert one.books.is_closed


@pytest.mark.parametrize("error_number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
def test_a_disk_that_refuses_for_a_while_is_tried_again_later(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch, error_number: int
) -> None:
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", Guard())
    monkeypatch.setattr("spanbridge.deliver.spool.MISTRUST_S", 0.05)
    refusals = iter([True, True])
    rename = os.rename

    def refuse(source: str, target: str) -> None:
        if next(refusals, False):
            raise OSError(error_number, os.strerror(error_number))
        rename(source, target)

    monkeypatch.setattr("spanbridge.deliver.spool_folder.os.rename", refuse)
    with one_life(away(), place) as one:
        for number in range(10):
            one.error(str(number))
            time.sleep(0.03)
    assert one.books.outcomes == {"error": {"spooled": 10}}
    assert [path for path in Path(place.path).rglob(".*") if path.is_file()] == []


def test_files_that_cannot_be_opened_now_are_not_lost(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend_a_life_without_a_server(place, "patient")
    monkeypatch.setattr("spanbridge.deliver.spool.GUARD", Guard())
    monkeypatch.setattr("spanbridge.deliver.spool.MISTRUST_S", 0.1)
    monkeypatch.setattr("spanbridge.deliver.disk_work.MISTRUST_S", 0.1)
    read = SpoolFolder.read
    refusals = iter([True, True])

    def refuse(folder: SpoolFolder, spooled: Spooled) -> bytes:
        if next(refusals, False):
            raise OSError(errno.EMFILE, "Too many open files")
        return read(folder, spooled)

    monkeypatch.setattr(SpoolFolder, "read", refuse)
    assert deliver_in_the_next_life(place, 1)[0] == ["patient"]


# What is held


def held(name: str) -> OutgoingEnvelope:
    return OutgoingEnvelope(
        f"{{}}\n{name}".encode(), Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),)
    )


def test_what_is_held_is_on_disk_until_it_is_let_go_and_is_not_counted(place: SpoolPlace) -> None:
    peer = Peer()
    with running(peer), one_life(peer, place) as one:
        one.sender.hold("a", held("a"))
        one.sender.hold("b", held("b"))
        wait_until(lambda: len(files_in(place)) == 2, 5.0)
        one.sender.let_go("a")
        wait_until(lambda: len(files_in(place)) == 1, 5.0)
        one.sender.hold("c", held("c"))
        one.sender.let_go("c")
        one.sender.let_go("unknown")
        assert one.sender.flush(5)
        assert one.books.accepted == {}
        assert peer.bodies == []
    assert len(files_in(place)) == 1

    arrived, books = deliver_in_the_next_life(place, 1)
    assert arrived == ["b"]
    assert books.outcomes == {"error": {"delivered": 1}}


# Everything at once


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(sorted({*FAULTS} - {"hang"})), max_size=20),
    st.lists(st.sampled_from(["trace", "error", "pause"]), max_size=20),
    st.integers(0, 3),
)
def test_the_books_of_two_lives_fit_together_under_random_faults(
    tmp_path: Path, faults: list[str], offers: list[str], close_tenths_s: int
) -> None:
    numbers = itertools.count()
    place = SpoolPlace(str(tmp_path / f"{time.monotonic_ns()}"), 2**20, 72 * HOUR_S)
    peer = Peer([FAULTS[name] for name in faults], otherwise=hang_up)
    offered = {"span": 0, "error": 0}
    with running(peer), one_life(peer, place, close_s=close_tenths_s / 10) as first:
        for offer in offers:
            if offer == "trace":
                first.trace(f"trace {next(numbers)}")
                offered["span"] += 9
            elif offer == "error":
                first.error(f"error {next(numbers)}")
                offered["error"] += 1
            else:
                time.sleep(0.01)
    spooled = {}
    for signal, count in offered.items():
        fates = first.books.outcomes.get(signal, {})
        assert sum(fates.values()) == count
        assert not {"evicted", "never_ended"} & fates.keys()
        spooled[signal] = fates.get("spooled", 0)
    on_disk = Counter[str]()
    for file in files_in(place):
        for signal_, amount in parse_name(file.name).counts:  # type: ignore[union-attr]
            on_disk[signal_.value] += amount
    assert on_disk == Counter(spooled)

    arrived, books = deliver_in_the_next_life(place, len(files_in(place)))

    assert len(arrived) == len(set(arrived))
    assert books.accepted == {signal: count for signal, count in spooled.items() if count}
    assert books.outcomes == {
        signal: {"delivered": count} for signal, count in spooled.items() if count
    }
    assert files_in(place) == []
