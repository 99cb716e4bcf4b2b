"""sentry-cli, whose parser of envelopes is that of Sentry's SDK for Rust."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.peers.environments import peer_environment

LOCK = Path(__file__).with_name("sentry_cli.lock")
TIMEOUT_S = 30.0


def sentry_cli() -> Path:
    """The program, which is installed at the first call.

    Raises:
        PeerUnavailable: It cannot be installed.
    """
    environment = peer_environment("sentry-cli", LOCK, _nothing_more, prepared_from="")
    return environment / "bin" / "sentry-cli"


def send_parsed(program: Path, envelope: Path, dsn: str) -> None:
    """Let it parse an envelope into its own types, and send what it understood.

    Raises:
        AssertionError: It does not understand it.
    """
    done = subprocess.run(
        [program, "send-envelope", envelope],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(envelope.parent),
            "SENTRY_DSN": dsn,
            "SENTRY_DISABLE_UPDATE_CHECK": "true",
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _nothing_more(_environment: Path) -> None:
    pass
