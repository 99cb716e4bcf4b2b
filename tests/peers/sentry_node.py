"""Sentry's SDK for Node, in a folder of its own that is built once and used again."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.peers.environments import BUILD_TIMEOUT_S, PEERS, PeerUnavailable

SOURCES = Path(__file__).parent / "node"


def node_program() -> tuple[str, Path]:
    """The interpreter, and the program beside the packages it needs.

    Raises:
        PeerUnavailable: There is no Node here, or the packages cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PeerUnavailable("there is no node or no npm on the path")
    files = sorted(SOURCES.iterdir())
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = PEERS / f"node-{digest}"
    PEERS.mkdir(parents=True, exist_ok=True)
    (PEERS / ".gitignore").write_text("*\n")
    # Two test runs in one checkout would build over each other.
    with (PEERS / ".node.building").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            for outdated in PEERS.glob("node-*"):
                shutil.rmtree(outdated)
            shutil.copytree(SOURCES, folder)
            _install(npm, folder)
            (folder / "ready").touch()
    return node, folder / "hop.cjs"


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S
        )
    except subprocess.CalledProcessError as failed:
        raise PeerUnavailable(failed.stderr.strip()) from failed
    except subprocess.TimeoutExpired as slow:
        raise PeerUnavailable(f"not installed within {BUILD_TIMEOUT_S} s") from slow
