"""``collector-config/compose.yaml``, read by Docker Compose; nothing here runs containers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.peers.collector_deployed import Start, started
from tests.peers.environments import go_program

TIMEOUT_S = 60.0


def compose() -> Path:
    """The program, which is built at the first call.

    Raises:
        PeerUnavailable: It cannot be built.
    """
    return go_program("compose", Path(__file__).with_name("compose"))


def configured(file: Path) -> subprocess.CompletedProcess[str]:
    """What ``docker compose config`` makes of a file, or says against it.

    Raises:
        PeerUnavailable: Compose cannot be built.
    """
    return subprocess.run(
        [compose(), "--file", file, "config", "--format", "json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


class Composition:
    """What a file consists of."""

    def __init__(self, file: Path) -> None:
        done = configured(file)
        assert (done.returncode, done.stderr) == (0, "")
        told: dict[str, Any] = json.loads(done.stdout)
        self.services: dict[str, dict[str, Any]] = told["services"]

    def start(self, name: str) -> Start:
        """How a service starts the Collector."""
        service = self.services[name]
        files = {
            f"{mount['target']}/{file.name}": file.read_text()
            for mount in service["volumes"]
            if mount["type"] == "bind"
            for file in Path(mount["source"]).glob("*.yaml")
        }
        return started(service["command"], files, service["environment"])

    def arguments(self, name: str) -> list[str]:
        """The arguments of the Collector, with the places that its files have on this machine."""
        service = self.services[name]
        [mount] = [one for one in service["volumes"] if one["type"] == "bind"]
        inside, here = f"--config={mount['target']}/", f"--config={mount['source']}/"
        return [one.replace(inside, here) for one in service["command"]]

    def disks(self, name: str) -> dict[str, str]:
        """The volumes of a service, by where they are found."""
        mounts = self.services[name].get("volumes", [])
        return {one["target"]: one["source"] for one in mounts if one["type"] == "volume"}
