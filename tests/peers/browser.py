"""A real browser without a window, to see what pages of others make of what we sent."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.peers.environments import PeerUnavailable
from tests.support.program import wait_until

START_TIMEOUT_S = 30.0
PAGE_TIMEOUT_S = 30.0
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-dev-shm-usage", "--window-size=1400,1000",
    # Whatever a page wants from elsewhere is not found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip


class Page:
    """A page in the browser.

    Attributes:
        complaints: Uncaught exceptions and errors written to its console.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.complaints: list[str] = []
        self._connection = connection
        self._numbers = count(1)
        for domain in ("Page", "Runtime"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to a page."""
        self._ask("Page.navigate", url=url)

    def text(self) -> str:
        """What a reader sees."""
        return str(self._evaluate("document.body ? document.body.innerText : ''"))

    def wait_for_text(self, *parts: str) -> str:
        """Wait until all parts are on the page, and return all that is.

        Raises:
            AssertionError: They did not appear; the message tells what did.
        """
        with suppress(TimeoutError):
            wait_until(lambda: all(part in self.text() for part in parts), PAGE_TIMEOUT_S)
        text = self.text()
        assert [part for part in parts if part not in text] == [], text
        return text

    def _evaluate(self, expression: str) -> Any:
        return self._ask("Runtime.evaluate", expression=expression)["result"].get("value")

    def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._connection.recv(PAGE_TIMEOUT_S))
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif told.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
            said = [str(one.get("value", one.get("description"))) for one in params["args"]]
            self.complaints.append(" ".join(said))


@contextmanager
def browser_page(folder: Path) -> Iterator[Page]:
    """A page in a browser that keeps everything in ``folder``.

    Raises:
        PeerUnavailable: There is no browser.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise PeerUnavailable(f"none of {', '.join(_NAMES)} is installed")
    profile, log = folder / "profile", folder / "browser.log"
    with log.open("w") as log_file:
        process = subprocess.Popen(
            [program, *_QUIET, "--remote-debugging-port=0", f"--user-data-dir={profile}"],
            stdout=log_file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: _port(profile) or process.poll() is not None, START_TIMEOUT_S)
            assert process.poll() is None, log.read_text()
            with connect(_address_of_page(_port(profile)), max_size=None) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)


def _port(profile: Path) -> int:
    """The port the browser can be led by; 0 as long as there is none."""
    told = profile / "DevToolsActivePort"
    lines = told.read_text().splitlines() if told.exists() else []
    return int(lines[0]) if len(lines) > 1 else 0


def _address_of_page(port: int) -> str:
    def pages() -> list[str]:
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
        return [one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page"]

    return wait_until(pages, START_TIMEOUT_S)[0]
