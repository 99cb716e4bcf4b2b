"""A PostgreSQL server of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.peers.environments import PeerUnavailable
from tests.support.ports import free_port

START_TIMEOUT_S = 30.0
_USERS = ("postgres", "nobody")
"""Who runs the server where the tests are root, which it refuses to be."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """A server on loopback; gives the URL of its only database.

    Raises:
        PeerUnavailable: PostgreSQL is not installed, or nobody may run it.
    """
    programs = _programs()
    user = _user_to_be()
    # Not below pytest's folder, which only its own user may enter.
    with TemporaryDirectory(prefix="spanbridge-postgres-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        with _started(programs, Path(folder), user) as url:
            yield url


@contextmanager
def _started(programs: Path, folder: Path, user: str | None) -> Iterator[str]:
    port = free_port()
    data = folder / "data"
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -p {port}"
    as_user = () if user is None else ("setpriv", f"--reuid={user}", "--clear-groups")
    _run(*as_user, programs / "initdb", "-D", data, "-U", "shop", "-A", "trust", "-N")
    control = (*as_user, programs / "pg_ctl", "-D", data, "-l", folder / "log", "-s", "-w")
    _run(*control, "-o", options, "start")
    try:
        yield f"postgresql://shop@127.0.0.1:{port}/postgres"
    finally:
        _run(*control, "-m", "immediate", "stop")


def _programs() -> Path:
    """The folder of the newest installed version."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise PeerUnavailable("initdb is neither on the path nor in /usr/lib/postgresql")
    return Path(on_path).resolve().parent


def _user_to_be() -> str | None:
    if os.geteuid() != 0:
        return None
    for user in _USERS:
        if subprocess.run(["id", user], capture_output=True, check=False).returncode == 0:
            return user
    raise PeerUnavailable(f"root may not run it, and there is none of the users {_USERS}")


def _run(*command: str | Path) -> None:
    try:
        subprocess.run(
            list(map(str, command)),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=START_TIMEOUT_S,
            cwd="/",
        )
    except subprocess.CalledProcessError as failed:
        raise PeerUnavailable(f"{command[-1]}: {failed.stderr.strip()}") from failed
