"""``spanbridge receiver`` as a process, and the pytest plugin in a test run of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.unit.receiver.envelopes import envelope_of

pytest_plugins = ["pytester"]

COMMAND = "import typer; from spanbridge.receiver.command import receiver; typer.run(receiver)"


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with _start("--port", "0", "--database", str(tmp_path / "r.db")) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_to_send_and_stops_cleanly(
    running: subprocess.Popen[str], number: signal.Signals, tmp_path: Path
) -> None:
    assert running.stdout is not None
    page, sentry, otlp, _ = (running.stdout.readline() for _ in range(4))
    dsn = re.search(r"SENTRY_DSN=http://(\w{32})@(\S+)/1", sentry)
    assert dsn is not None
    assert f"ENDPOINT=http://{dsn[2]}" in otlp
    assert f"http://{dsn[2]}/" in page
    url = f"http://{dsn[2]}/api/1/envelope/?sentry_key={dsn[1]}"
    assert httpx.post(url, content=envelope_of("event")).status_code == 200

    running.send_signal(number)
    output, _ = running.communicate(timeout=10)
    assert running.returncode == 0
    assert "event 1" in output
    assert "Traceback" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.db"]


def test_a_port_in_use_is_one_line_and_exit_code_1(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    port = re.search(r":(\d+)/", running.stdout.readline())
    assert port is not None

    with _start("--port", port[1]) as second:
        output, _ = second.communicate(timeout=10)
    assert second.returncode == 1
    assert output.count("\n") == 1
    assert f"127.0.0.1:{port[1]}" in output


def test_the_plugin_gives_each_test_a_fresh_receiver(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import httpx

        def _send(receiver):
            assert (receiver.items(), receiver.requests) == ([], {})
            httpx.post(receiver.url + "/api/1/envelope/?sentry_key=" + "a" * 32,
                       content=b'{"event_id":"%s"}\\n' % (b"a" * 32))
            assert receiver.requests == {"/api/1/envelope/": 1}

        def test_one(receiver):
            _send(receiver)

        def test_other(receiver):
            _send(receiver)
        """
    )
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=2)
