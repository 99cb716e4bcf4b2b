"""The spool between real processes: killed, forked, side by side, on disks that refuse."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver import Receiver
from tests.hostile.test_configure_twice import names
from tests.support.ports import free_port
from tests.support.program import TELL_STATUS, Finished, run_program, running, wait_until

KEY = "5" * 32

FAILS = """
import os, sys, time, spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("x")

def fail(text):
    try:
        with tracer.start_as_current_span("fails"):
            raise ValueError(text)
    except ValueError:
        pass
"""

WAITS_FOR_DELIVERY = """
import sys, time, spanbridge
spanbridge.configure()
deadline = time.monotonic() + 40
while True:
    ledger = spanbridge.status().destinations["sentry"].ledger
    delivered = sum(fates.get("delivered", 0) for fates in ledger.outcomes.values())
    if delivered >= int(sys.argv[1]) or time.monotonic() > deadline:
        break
    time.sleep(0.02)
spanbridge.shutdown()
tell_status()
"""
"""A program that does nothing but start, and ends when so much of an earlier one is delivered."""

HOLDS = """
import sys, time
from spanbridge.deliver import Endpoint, EnvelopeSender, OutgoingEnvelope, Priority, SpoolPlace
from spanbridge.model.outcome import Signal
from spanbridge.runtime.ledger import Ledger
endpoint = Endpoint(url=sys.argv[1], public_key="5" * 32, user_agent="tested/1")
sender = EnvelopeSender(endpoint, Ledger(), spool=SpoolPlace(sys.argv[2], 2**20, 3600.0))
sender.start()

def error(name):
    event = b'{"event_id":"%s","exception":{"values":[{"value":"%s"}]}}' % (b"5" * 32, name)
    item = b'{"type":"event","length":%d}' % len(event)
    body = b"\\n".join((b'{"event_id":"%s"}' % (b"5" * 32), item, event, b""))
    return OutgoingEnvelope(body, Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))
"""


def dsn_at(port: int, project: int = 1, key: str = KEY) -> str:
    return f"http://{key}@127.0.0.1:{port}/{project}"


def variables(spool: Path, dsn: str, **more: str) -> dict[str, Any]:
    return {
        "SENTRY_DSN": dsn,
        "SENTRY_ENVIRONMENT": "development",
        "SPANBRIDGE_SPOOL_DIR": str(spool),
        "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "2",
        **more,
    }


def files_in(spool: Path) -> list[Path]:
    """What is kept: a name with a dot in front has no content yet, or no owner."""
    try:
        return sorted(spool.glob("[!.]*/[!.]*/[!.]*.envelope"))
    except FileNotFoundError:  # a folder went while its parent was read
        return files_in(spool)


def kept_in(spool: Path) -> list[str]:
    """The messages of the errors that are kept.

    One may be there twice for a moment: as it was while undecided, and as it is.
    """
    try:
        contents = b"".join(path.read_bytes() for path in files_in(spool))
    except FileNotFoundError:  # removed since it was listed
        return kept_in(spool)
    return sorted(found.decode() for found in re.findall(rb'"value":"([a-z ]+)"', contents))


def program(text: str) -> str:
    return TELL_STATUS + FAILS + textwrap.dedent(text)


def delivers(spool: Path, dsn: str, count: int) -> Finished:
    done = run_program(WAITS_FOR_DELIVERY, str(count), **variables(spool, dsn))
    assert done.exit_code == 0, done.stderr
    return done


def messages(receiver: Receiver) -> list[str]:
    return sorted(issue.payload["exception"]["values"][-1]["value"] for issue in receiver.issues)


def messages_after_a_kill(receiver: Receiver) -> list[str]:
    """What Sentry would show: it keeps one event of those with the same id.

    Who is killed while an error is written as it was decided leaves it twice.
    """
    ids = {issue.payload["event_id"] for issue in receiver.issues}
    distinct = sorted(set(messages(receiver)))
    assert len(distinct) == len(ids)
    return distinct


def test_what_a_process_could_not_deliver_arrives_after_the_next_start(tmp_path: Path) -> None:
    port = free_port()
    done = run_program(
        program(
            """
            fail("nobody listens")
            spanbridge.shutdown()
            tell_status()
            """
        ),
        **variables(tmp_path, dsn_at(port)),
    )
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.is_closed
    assert ledger.outcomes == {"span": {"spooled": 1}, "error": {"spooled": 1}}
    assert done.status.destinations["sentry"].spooled == 2
    assert KEY not in " ".join(map(str, files_in(tmp_path)))

    with Receiver(port=port) as receiver:
        done = delivers(tmp_path, dsn_at(port), 2)
        assert messages(receiver) == ["nobody listens"]
        assert names(receiver.transactions) == {"fails": 1}
        assert receiver.violations == []
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.accepted == {"span": 1, "error": 1}
    assert ledger.outcomes == {"span": {"delivered": 1}, "error": {"delivered": 1}}
    assert files_in(tmp_path) == []


def test_a_failed_error_outlives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    text = program('fail("killed")\ntime.sleep(60)')
    with running("-c", text, **variables(tmp_path, dsn_at(port))) as victim:
        wait_until(lambda: files_in(tmp_path), 20.0)
        victim.send_signal(signal.SIGKILL)
        victim.wait()

    with Receiver(port=port) as receiver:
        delivers(tmp_path, dsn_at(port), 1)
        assert messages_after_a_kill(receiver) == ["killed"]
    assert files_in(tmp_path) == []


def test_an_undecided_error_outlives_a_kill_and_only_that(tmp_path: Path) -> None:
    with Receiver() as receiver:
        url = f"{receiver.url}/api/1/envelope/"
        text = HOLDS + (
            "sender.hold('a', error(b'decided'))\n"
            "sender.hold('b', error(b'undecided'))\n"
            "sender.let_go('a')\n"
            "time.sleep(60)\n"
        )
        with running("-c", text, url, str(tmp_path / "sentry")) as victim:
            wait_until(lambda: kept_in(tmp_path) == ["undecided"], 20.0)
            assert receiver.issues == []
            victim.send_signal(signal.SIGKILL)
            victim.wait()

        text = HOLDS + (
            "while sender.status().last_success is None:\n"
            "    time.sleep(0.01)\n"
            "print(sender.close(5))"
        )
        with running("-c", text, url, str(tmp_path / "sentry")) as heir:
            assert heir.wait().stdout == "True\n"
        assert messages(receiver) == ["undecided"]
    assert files_in(tmp_path) == []


def test_nobody_takes_the_files_of_a_process_that_lives(tmp_path: Path) -> None:
    port = free_port()
    text = program("fail(sys.argv[1])\ntime.sleep(60)")
    settings = variables(tmp_path, dsn_at(port))
    with (
        running("-c", text, "first", **settings) as first,
        running("-c", text, "second", **settings) as second,
    ):
        wait_until(lambda: {*kept_in(tmp_path)} == {"first", "second"}, 20.0)
        os.kill(first.process.pid, signal.SIGSTOP)  # it lives, though it does nothing
        os.kill(second.process.pid, signal.SIGKILL)
        second.wait()
        with Receiver(port=port) as receiver:
            delivers(tmp_path, dsn_at(port), 1)
            assert messages_after_a_kill(receiver) == ["second"]
        assert {*kept_in(tmp_path)} == {"first"}
        os.kill(first.process.pid, signal.SIGKILL)
        first.wait()
    with Receiver(port=port) as receiver:
        delivers(tmp_path, dsn_at(port), 1)
        assert messages_after_a_kill(receiver) == ["first"]


def test_several_heirs_deliver_everything_once(tmp_path: Path) -> None:
    port = free_port()
    for number in range(3):
        run_program(
            program(f"for n in range(5): fail(str({number} * 5 + n))"),
            **variables(tmp_path, dsn_at(port), SENTRY_TRACES_SAMPLE_RATE="0"),
        )
    assert len(files_in(tmp_path)) == 15

    text = program("time.sleep(60)")
    settings = variables(tmp_path, dsn_at(port))
    with Receiver(port=port) as receiver:
        with running("-c", text, **settings), running("-c", text, **settings) as one:
            receiver.wait_for(lambda r: len(r.issues) >= 15, 20)
            assert one.process.poll() is None
            wait_until(lambda: files_in(tmp_path) == [], 20.0)
        assert messages(receiver) == sorted(map(str, range(15)))


def test_parent_and_child_of_a_fork_have_files_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    text = program(
        """
        fail("parent")
        while spanbridge.status().destinations["sentry"].spooled < 1:
            time.sleep(0.01)
        child = os.fork()
        if child:
            print(child, flush=True)
        fail("child" if child == 0 else "parent again")
        time.sleep(60)
        """
    )
    with running("-c", text, **variables(tmp_path, dsn_at(port))) as parent:
        wait_until(lambda: {*kept_in(tmp_path)} == {"parent", "parent again", "child"}, 20.0)
        assert len({path.parent for path in files_in(tmp_path)}) == 2
        parent.send_signal(signal.SIGKILL)
        child = int(parent.wait().stdout)
        try:
            # A server that is back would let the child deliver its own as well.
            os.kill(child, signal.SIGSTOP)
            # The child lives and was born with the parent's lock, yet the parent's are free.
            with Receiver(port=port) as receiver:
                delivers(tmp_path, dsn_at(port), 2)
                assert messages_after_a_kill(receiver) == ["parent", "parent again"]
            assert {*kept_in(tmp_path)} == {"child"}
        finally:
            os.kill(child, signal.SIGKILL)
    wait_until(lambda: not _is_alive(child), 10.0)
    with Receiver(port=port) as receiver:
        delivers(tmp_path, dsn_at(port), 1)
        assert messages_after_a_kill(receiver) == ["child"]


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_another_project_never_gets_what_waits_for_one(tmp_path: Path) -> None:
    port = free_port()
    run_program(program('fail("for project 1")'), **variables(tmp_path, dsn_at(port)))
    assert len(files_in(tmp_path)) == 2
    with Receiver(port=port) as receiver:
        for other in (dsn_at(port, project=2), dsn_at(port, key="6" * 32)):
            done = run_program(
                program('fail("own")\nspanbridge.shutdown()\ntell_status()'),
                **variables(tmp_path, other),
            )
            assert done.status.destinations["sentry"].ledger.accepted == {"span": 1, "error": 1}
        assert messages(receiver) == ["own", "own"]
    assert len(files_in(tmp_path)) == 2


def test_a_full_disk_is_said_once_and_the_loss_is_counted(tmp_path: Path) -> None:
    done = run_program(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        """
        + textwrap.dedent(FAILS).replace("\n", "\n" + " " * 8)
        + """
        for number in range(10):
            fail(str(number))
        spanbridge.shutdown()
        tell_status()
        """,
        **variables(tmp_path, dsn_at(free_port())),
    )
    assert done.exit_code == 0, done.stderr
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.outcomes == {"span": {"failed": 10}, "error": {"failed": 10}}
    assert [line for line in done.log_lines if "spool" in line] == [
        "spanbridge: sentry: spool: cannot be used: [Errno 27] File too large"
    ]
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("spool_dir", ["off", "OFF", "false"])
def test_it_can_be_turned_off(tmp_path: Path, spool_dir: str) -> None:
    done = run_program(
        program('fail("lost")\nspanbridge.shutdown()\ntell_status()'),
        cwd=str(tmp_path),
        **variables(
            tmp_path,
            dsn_at(free_port()),
            SPANBRIDGE_SPOOL_DIR=spool_dir,
            XDG_CACHE_HOME=str(tmp_path),
            HOME=str(tmp_path),
        ),
    )
    assert done.status.destinations["sentry"].ledger.outcomes["error"] == {"failed": 1}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("variable", "folder"),
    [("XDG_CACHE_HOME", "spanbridge/spool"), ("HOME", ".cache/spanbridge/spool")],
)
def test_by_default_it_is_in_the_users_cache_folder(
    tmp_path: Path, variable: str, folder: str
) -> None:
    done = run_program(
        """
        import os
        del os.environ["SPANBRIDGE_SPOOL_DIR"]
        os.environ.pop("XDG_CACHE_HOME", None)
        os.environ[os.environ["WHERE"]] = os.environ["FOLDER"]
        """
        + textwrap.dedent(FAILS).replace("\n", "\n" + " " * 8)
        + """
        fail("kept")
        spanbridge.shutdown()
        tell_status()
        """,
        **variables(tmp_path, dsn_at(free_port()), WHERE=variable, FOLDER=str(tmp_path)),
    )
    assert done.status.destinations["sentry"].ledger.outcomes["error"] == {"spooled": 1}
    assert len(files_in(tmp_path / folder)) == 2


def test_an_exchange_of_destinations_leaves_nothing_to_the_next_process(tmp_path: Path) -> None:
    port = free_port()
    text = program(
        """
        fail("before")
        spanbridge.configure(release="another@1")
        print("exchanged", flush=True)
        deadline = time.monotonic() + 20
        while spanbridge.status().destinations["sentry"].ledger.outcomes.get("error") is None:
            fail("after")
            assert time.monotonic() < deadline
            time.sleep(0.1)
            spanbridge.flush()
        """
    )
    settings = variables(tmp_path, dsn_at(port), SENTRY_TRACES_SAMPLE_RATE="0")
    with running("-c", text, **settings) as one:
        wait_until(lambda: files_in(tmp_path), 20.0)
        with Receiver(port=port) as receiver:
            one.wait()
            time.sleep(0.1)
            delivers(tmp_path, dsn_at(port), len(files_in(tmp_path)))
            assert {"before", "after"} >= set(messages(receiver))
            assert messages(receiver).count("before") == 1
    assert files_in(tmp_path) == []
