"""The README's quick start as a reader runs it: its block as ``app.py``, uvicorn, real requests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from spanbridge.testing import Receiver
from tests.support.documents import REPOSITORY, all_blocks

README = REPOSITORY / "README.md"
START = REPOSITORY / "docs" / "start.md"
APP = (REPOSITORY / "examples" / "quickstart" / "app.py").read_text()


class Server:
    """``uvicorn app:app`` in a folder of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self._url = url

    def get(self, path: str) -> int:
        return httpx.get(f"{self._url}{path}").status_code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit code and what was printed."""
        self._process.send_signal(number)
        printed, _ = self._process.communicate(timeout=20)
        return self._process.returncode, printed


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Server]:
    [block] = [b for b in all_blocks("python") if b.page == README]
    (folder / "app.py").write_text(block.text)
    log = folder / "uvicorn.log"  # a file, because nobody would read a pipe
    with (
        log.open("w") as log_file,
        subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--port", "0", "--no-access-log"],
            cwd=folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        ) as process,
    ):
        try:
            yield Server(process, _address(process, log))
        finally:
            process.kill()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    while process.poll() is None:
        if found := re.search(r"running on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"uvicorn did not start: {log.read_text()}")


@pytest.mark.parametrize("page", [README, START], ids=lambda page: page.name)
def test_the_quick_start_in_the_documents_is_the_example(page: Path) -> None:
    assert next(b for b in all_blocks("python") if b.page == page).text == APP


def test_the_span_and_the_error_arrive_with_the_line_that_raised(
    receiver: Receiver, tmp_path: Path
) -> None:
    with serving(tmp_path, SENTRY_DSN=receiver.dsn) as server:
        assert server.get("/share/4") == 200
        assert server.get("/share/0") == 500
        [issue] = receiver.wait_for(lambda r: r.issues, 30)
        receiver.wait_for(lambda r: r.counts["transaction"] == 2, 30)

    good, bad = receiver.transactions
    assert good.payload["transaction"] == "GET /share/{people}"
    [span] = good.payload["spans"]
    assert span["description"] == "divide the cake"
    [exception] = issue.payload["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ZeroDivisionError", "division by zero")
    assert exception["mechanism"]["handled"] is False
    frame = exception["stacktrace"]["frames"][-1]
    assert frame["context_line"].strip() == "return 1 / people"
    assert frame["in_app"] is True
    assert issue.payload["contexts"]["trace"]["span_id"] == bad.payload["spans"][0]["span_id"]
    assert receiver.violations == []


def test_a_server_stopped_by_sigterm_has_sent_everything(
    receiver: Receiver, tmp_path: Path
) -> None:
    with serving(tmp_path, SENTRY_DSN=receiver.dsn) as server:
        for _ in range(20):
            server.get("/share/0")
        code, _ = server.stop(signal.SIGTERM)

    assert code == -signal.SIGTERM
    assert (receiver.counts["transaction"], receiver.counts["event"]) == (20, 20)


def test_the_same_application_prints_a_readable_tree(tmp_path: Path) -> None:
    with serving(tmp_path, SPANBRIDGE_DESTINATIONS="console") as server:
        server.get("/share/0")
        _, printed = server.stop()

    assert "✗ GET /share/{people}" in printed
    assert "  ✗ divide the cake" in printed
    assert "ISSUE ZeroDivisionError: division by zero  (unhandled, GET /share/{people})" in printed
    assert "    return 1 / people" in printed


def test_the_same_application_writes_json_lines(tmp_path: Path) -> None:
    with serving(tmp_path, SPANBRIDGE_DESTINATIONS="file") as server:
        server.get("/share/4")
        server.stop()

    lines = map(json.loads, (tmp_path / "telemetry.jsonl").read_text().splitlines())
    assert [line["name"] for line in lines if line["type"] == "span"] == [
        "divide the cake",
        "GET /share/{people}",
    ]


def test_the_same_application_sends_nothing_where_it_is_told_so(
    receiver: Receiver, tmp_path: Path
) -> None:
    with serving(tmp_path, SENTRY_DSN=receiver.dsn, SPANBRIDGE_DESTINATIONS="none") as server:
        assert server.get("/share/0") == 500
        server.stop()

    assert receiver.requests == {}
