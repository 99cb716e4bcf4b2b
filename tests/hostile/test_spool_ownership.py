"""Whose files are whose: planted folders, foreign files, cleaners, the exit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from spanbridge.deliver import OutgoingEnvelope, Priority, SpoolPlace
from spanbridge.deliver.spool import Spool
from spanbridge.deliver.spool_folder import Claim
from spanbridge.deliver.spool_orphans import remove_orphans
from spanbridge.model.outcome import Signal
from tests.support.ports import free_port
from tests.support.program import run_program

NAME = "sentry-0123456789abcdef0123"


@pytest.fixture
def place(tmp_path: Path) -> SpoolPlace:
    return SpoolPlace(str(tmp_path / NAME), 2**20, 3600.0)


def error() -> OutgoingEnvelope:
    body = b'{}\n{"type":"event"}\n{}\n'
    return OutgoingEnvelope(body, Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))


def leave_behind(place: SpoolPlace, count: int = 1) -> Path:
    """Let a process that has ended have left files; returns its folder."""
    before = set(Path(place.path).glob("*"))
    dead = Spool(place, "dead")
    assert all(dead.save(error()) for _ in range(count))
    dead.close()
    [folder] = set(Path(place.path).glob("*")) - before
    return folder


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_link_in_place_of_the_spool_leads_to_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "7-0123456789ab").mkdir(parents=True)
    (home / "7-0123456789ab" / "thesis.txt").write_text("x")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "key").write_text("x")
    os.utime(home / ".ssh", (0, 0))
    before = everything_in(home)
    (tmp_path / NAME).symlink_to(home)
    spool = Spool(SpoolPlace(str(tmp_path / NAME), 2**20, 3600.0), "tested")

    assert spool.adopt() == []
    assert spool.save(error()) is None
    remove_orphans(str(tmp_path), time.time())

    assert everything_in(home) == before


@pytest.mark.parametrize("planted", ["somebody else's", "open to others"])
def test_a_planted_folder_is_neither_used_nor_cleared(
    place: SpoolPlace, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(place)
    before = everything_in(Path(place.path))
    if planted == "open to others":
        os.chmod(place.path, 0o777)
    else:
        monkeypatch.setattr("spanbridge.deliver.spool_folder.os.geteuid", lambda: 54321)
    spool = Spool(place, "tested")

    assert spool.adopt() == []
    assert Spool(place, "tested").save(error()) is None
    month_later_s = time.time() + 31 * 24 * 3600
    remove_orphans(os.path.dirname(place.path), month_later_s)

    assert everything_in(Path(place.path)) == before


def test_only_what_bears_our_names_is_removed(place: SpoolPlace) -> None:
    folder = leave_behind(place)
    [file] = folder.glob("*.envelope")
    (folder / f".{file.name}").write_text("half of it")
    (folder / f"{file.name}.zst").write_text("of a newer version")
    (folder / ".profile").write_text("x")
    (folder / "link").symlink_to("/etc/hostname")
    (folder / f"2{file.name[1:]}").mkdir()

    assert len(Spool(place, "tested").adopt()) == 1

    left = [f"{file.name}.zst", ".profile", "link", f"2{file.name[1:]}"]
    assert sorted(os.listdir(folder)) == sorted(left)


def test_folders_that_do_not_look_like_a_processs_are_left_alone(place: SpoolPlace) -> None:
    leave_behind(place)
    stranger = Path(place.path) / "notes"
    stranger.mkdir(mode=0o700)
    (stranger / ".hidden").write_text("x")
    assert len(Spool(place, "tested").adopt()) == 1
    assert (stranger / ".hidden").exists()


def test_one_foreign_folder_spoils_nothing(place: SpoolPlace) -> None:
    leave_behind(place, 2)
    foreign = Path(place.path) / "1-0123456789ab"
    foreign.mkdir()
    foreign.chmod(0o755)
    leave_behind(place, 3)

    spool = Spool(place, "tested")
    assert len(spool.adopt()) == 5
    assert len(spool) == 5
    assert spool.save(error()) is not None
    assert not spool.is_mistrusted
    assert foreign.exists()


def test_one_file_that_cannot_be_moved_keeps_the_others_from_nothing(
    place: SpoolPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave_behind(place, 3)
    stubborn = sorted(folder.iterdir())[1].name
    rename = os.rename

    def refuse(source: str, target: str) -> None:
        if source.endswith(stubborn):
            raise PermissionError(1, "Operation not permitted")
        rename(source, target)

    monkeypatch.setattr("spanbridge.deliver.spool_folder.os.rename", refuse)
    spool = Spool(place, "tested")
    assert len(spool.adopt()) == 2
    assert os.listdir(folder) == [stubborn]
    assert not spool.is_mistrusted


def test_a_cleaner_of_old_files_does_not_give_them_to_others(place: SpoolPlace) -> None:
    owner, other = Spool(place, "owner"), Spool(place, "other")
    saved = [owner.save(error()) for _ in range(3)]
    [folder] = Path(place.path).iterdir()
    for file in folder.iterdir():
        if not file.name.endswith(".envelope"):
            file.unlink()
    sorted(folder.iterdir())[0].unlink()
    assert other.adopt() == []
    assert saved[2] is not None
    assert isinstance(owner.read(saved[2]), OutgoingEnvelope)


def test_an_empty_folder_that_only_has_such_a_name_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir(mode=0o700)
    remove_orphans(str(tmp_path), time.time())
    assert (tmp_path / NAME).exists()


def test_a_folder_can_be_locked_once_and_again_when_it_is_let_go(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    first = Claim.take(str(tmp_path))
    assert first is not None
    assert Claim.take(str(tmp_path)) is None
    first.let_go()
    second = Claim.take(str(tmp_path))
    assert second is not None
    second.let_go()


def test_files_are_ours_until_the_very_end_of_the_process(tmp_path: Path) -> None:
    """Delivery goes on while the interpreter exits: nobody may take over meanwhile."""
    done = run_program(
        """
        import atexit, fcntl, glob, os, time, spanbridge
        from opentelemetry import trace
        from spanbridge.destinations.sentry import SentryDestination

        def is_free():
            [folder] = glob.glob(os.environ["SPANBRIDGE_SPOOL_DIR"] + "/*/*")
            probe = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            finally:
                os.close(probe)
            return True

        close = SentryDestination.close
        def tell_and_close(self, timeout_s):
            print("free" if is_free() else "held", flush=True)
            return close(self, timeout_s)
        SentryDestination.close = tell_and_close

        spanbridge.configure()
        try:
            with trace.get_tracer("x").start_as_current_span("fails"):
                raise ValueError
        except ValueError:
            pass
        while spanbridge.status().destinations["sentry"].spooled < 1:
            time.sleep(0.01)
        """,
        SENTRY_DSN=f"http://{'5' * 32}@127.0.0.1:{free_port()}/1",
        SENTRY_ENVIRONMENT="development",
        SPANBRIDGE_SPOOL_DIR=str(tmp_path),
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="2",
    )
    assert done.stdout.strip() == "held", done.stderr
