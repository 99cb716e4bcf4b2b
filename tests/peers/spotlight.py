"""Spotlight, Sentry's own viewer for development, as a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.peers.environments import PeerUnavailable, npm_environment
from tests.support.ports import free_port
from tests.support.program import wait_until

SOURCE = Path(__file__).with_name("spotlight")
ON_THIS_MACHINE = SOURCE / "on_this_machine.cjs"
START_TIMEOUT_S = 30.0
ARRIVAL_TIMEOUT_S = 30.0


class SpotlightItem(NamedTuple):
    """One item of an envelope as Spotlight read it."""

    type: str
    payload: dict[str, Any]


class Spotlight:
    """A running server.

    Attributes:
        url: Where its page is.
        dsn: What to send to.
    """

    def __init__(self, port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.dsn = f"http://reader@127.0.0.1:{port}/1"
        self.stream_url = f"{self.url}/stream"
        self._log = log

    @property
    def complaints(self) -> list[str]:
        """What it logged about envelopes that it could not read."""
        signs = ("Malformed", "Error", "error:", "skipping", "Failed")
        lines = self._log.read_text().splitlines()
        return [line for line in lines if any(sign in line for sign in signs)]

    def wait_for_items(self, **wanted: int) -> list[SpotlightItem]:
        """Wait until there are as many items as wanted of each type; all there are by then.

        Raises:
            TimeoutError: They did not come in time.
        """

        def has_them(items: list[SpotlightItem]) -> bool:
            types = Counter(item.type for item in items)
            return all(types[kind] >= count for kind, count in wanted.items())

        return self.wait_until_it_has(has_them)

    def wait_until_it_has(
        self, enough: Callable[[list[SpotlightItem]], bool]
    ) -> list[SpotlightItem]:
        """Wait until what it holds is enough; all there is by then.

        Raises:
            TimeoutError: It did not come in time.
        """
        items: list[SpotlightItem] = []
        # Spotlight tells what it has at once, and then goes on as more comes in.
        with httpx.stream(
            "GET", self.stream_url, trust_env=False, timeout=ARRIVAL_TIMEOUT_S
        ) as stream:
            try:
                for line in stream.iter_lines():
                    if line.startswith("data: "):
                        items += _items_of(json.loads(line.removeprefix("data: ")))
                        if enough(items):
                            return items
            except httpx.ReadTimeout:
                pass
        raise TimeoutError(f"only {Counter(item.type for item in items)} came")


@contextmanager
def spotlight_server(folder: Path) -> Iterator[Spotlight]:
    """A server on a free port of loopback, with nothing in it.

    It listens on all addresses and reports its failures and timings to Sentry, and has no switch
    for either; what is loaded before it sees to both.

    Raises:
        PeerUnavailable: It cannot be installed.
    """
    if shutil.which("node") is None:
        raise PeerUnavailable("node is not installed")
    environment = npm_environment("spotlight", SOURCE)
    program = environment / "node_modules" / "@spotlightjs" / "spotlight" / "dist" / "run.js"
    port, log = free_port(), folder / "spotlight.log"
    with log.open("w") as log_file:
        process = subprocess.Popen(
            ["node", "--require", ON_THIS_MACHINE, program, "--port", str(port)],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            cwd=folder,
            stdout=log_file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: _is_ready(port, process), START_TIMEOUT_S)
            assert process.poll() is None, log.read_text()
            yield Spotlight(port, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()  # it waits for its own report to leave
                process.wait()


def _is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        return True
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success


def _items_of(envelope: Any) -> Iterator[SpotlightItem]:
    _, items = envelope
    for header, payload in items:
        yield SpotlightItem(header["type"], payload)
