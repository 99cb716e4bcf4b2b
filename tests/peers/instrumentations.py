"""The environment in which real frameworks run under real instrumentations, with spanbridge."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.peers.environments import peer_environment, uv
from tests.support.program import REPOSITORY

LOCK = Path(__file__).with_name("instrumentations.lock")


def instrumented_python() -> Path:
    """The interpreter of that environment, which is built at the first call.

    Raises:
        PeerUnavailable: The packages cannot be installed.
    """
    folder = peer_environment(
        "instrumentations", LOCK, _add_spanbridge, prepared_from=str(REPOSITORY)
    )
    return folder / "bin" / "python"


def _add_spanbridge(folder: Path) -> None:
    # Editable, so that the environment outlives every change of the sources.
    install = [uv(), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*install, "--no-deps", "--editable", str(REPOSITORY)], check=True)
