"""Prometheus's own programs: the server, and the one that checks what it would read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.peers.environments import PeerUnavailable
from tests.support.ports import free_port
from tests.support.program import wait_until

START_TIMEOUT_S = 30.0


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``.

    Raises:
        PeerUnavailable: It is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise PeerUnavailable(f"{name} is not on the path; Debian's package is `prometheus`")
    return found


def complaints(page: str) -> str:
    """What ``promtool check metrics`` says about a page; nothing if it is as it should be."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


class Prometheus:
    """A running server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The current values of an expression, with their labels."""
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": expression}, timeout=10)
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in result]

    def wait_for(self, expression: str, value: float) -> None:
        """Wait until an expression has one value, and that."""
        wait_until(lambda: [v for _, v in self.query(expression)] == [value], START_TIMEOUT_S)


@contextmanager
def prometheus_server(folder: Path, ports: Iterable[int]) -> Iterator[Prometheus]:
    """A server that reads the pages on these ports of this machine every second.

    Raises:
        PeerUnavailable: Prometheus is not installed.
    """
    targets = ", ".join(f"'127.0.0.1:{port}'" for port in ports)
    (folder / "prometheus.yml").write_text(
        "scrape_configs:\n"
        "- job_name: shop\n"
        "  scrape_interval: 1s\n"
        "  scrape_timeout: 1s\n"
        f"  static_configs: [{{targets: [{targets}]}}]\n"
    )
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _is_ready(url) or process.poll() is not None, START_TIMEOUT_S)
            assert process.poll() is None, (folder / "log").read_text()
            yield Prometheus(url)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
