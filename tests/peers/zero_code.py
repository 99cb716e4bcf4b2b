"""The environment in which others set up OpenTelemetry too, with spanbridge."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.peers.environments import peer_environment, uv
from tests.support.program import REPOSITORY

LOCK = Path(__file__).with_name("zero_code.lock")


def zero_code_python() -> Path:
    """The interpreter of that environment, which is built at the first call.

    Raises:
        PeerUnavailable: The packages cannot be installed.
    """
    # Entry points are read from what was installed, so that is done anew where they change.
    described = f"{REPOSITORY}\n{(REPOSITORY / 'pyproject.toml').read_text()}"
    folder = peer_environment("zero-code", LOCK, _add_spanbridge, prepared_from=described)
    return folder / "bin" / "python"


def _add_spanbridge(folder: Path) -> None:
    install = [uv(), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*install, "--no-deps", "--editable", str(REPOSITORY)], check=True)
