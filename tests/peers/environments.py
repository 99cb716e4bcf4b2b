"""Third-party servers in environments of their own, built once and used again.

A server's dependencies must not meet ours, so each has a folder of its own below ``.peers/`` in the
repository, named after everything that goes into it. ``make clean`` removes them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.program import REPOSITORY

PEERS = REPOSITORY / ".peers"
BUILD_TIMEOUT_S = 300.0
"""A build that takes longer counts as one without a package registry."""


class PeerUnavailable(Exception):
    """The packages of a third-party server cannot be installed here."""


def peer_environment(
    name: str,
    lock: Path,
    prepare: Callable[[Path], None],
    *,
    prepared_from: str,
    peers: Path = PEERS,
) -> Path:
    """The folder of a server that is ready to start; its interpreter is ``bin/python``.

    Args:
        name: The server.
        lock: Its pinned packages with their hashes.
        prepare: What else has to be done once, in the folder of the finished environment.
        prepared_from: What ``prepare`` depends on. With another text the folder is built anew.
        peers: Where the folders lie.

    Raises:
        PeerUnavailable: The packages cannot be installed.
    """
    content = f"{sys.version}\n{lock.read_text()}\n{prepared_from}"

    def build(folder: Path) -> None:
        _install(folder, lock)
        prepare(folder)

    return _built_once(name, content, build, peers)


def installed_environment(
    name: str,
    *,
    extras: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
    resolution: str = "highest",
    python: str = sys.executable,
    peers: Path = PEERS,
) -> Path:
    """The folder of an environment in which spanbridge is installed as a user would do it.

    The source is that of this checkout; only what stands in ``pyproject.toml`` decides what is
    installed beside it, so a change of the source needs no new environment.

    Args:
        name: What it is for.
        extras: The extras to install.
        beside: Further requirements that an application may have.
        resolution: ``highest``, or ``lowest-direct`` for the oldest versions that are allowed.
        python: The interpreter, or its version.
        peers: Where the folders lie.

    Raises:
        PeerUnavailable: The packages, or the interpreter, cannot be had.
    """
    project = REPOSITORY / "pyproject.toml"

    def build(folder: Path) -> None:
        interpreter = str(folder / "bin" / "python")
        _run([uv(), "venv", "--quiet", "--python", python, "--no-python-downloads", str(folder)])
        wanted, lock = folder / "beside.in", folder / "resolved.txt"
        wanted.write_text("\n".join(beside))
        chosen = [part for extra in extras for part in ("--extra", extra)]
        _run([uv(), "pip", "compile", "--quiet", "--no-header", "--python", interpreter, *chosen,
              "--resolution", resolution, str(project), str(wanted), "-o", str(lock)])  # fmt: skip
        install = [uv(), "pip", "install", "--quiet", "--python", interpreter]
        _run([*install, "-r", str(lock)])
        _run([*install, "--no-deps", "--editable", str(REPOSITORY)])

    content = "\n".join([python, sys.version, project.read_text(), *extras, *beside, resolution])
    return _built_once(name, content, build, peers)


def npm_environment(name: str, source: Path, *, peers: Path = PEERS) -> Path:
    """The folder of a program for Node; what it needs is in ``node_modules``.

    Args:
        name: The program.
        source: The folder of its ``package.json`` and ``package-lock.json``.
        peers: Where the folders lie.

    Raises:
        PeerUnavailable: The packages cannot be installed.
    """
    description = [source / file for file in ("package.json", "package-lock.json")]

    def build(folder: Path) -> None:
        if shutil.which("npm") is None:
            raise PeerUnavailable("npm is not installed")
        folder.mkdir(exist_ok=True)
        for file in description:
            shutil.copy(file, folder)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    return _built_once(name, "\n".join(file.read_text() for file in description), build, peers)


def go_program(name: str, source: Path, *, peers: Path = PEERS) -> Path:
    """A program made of Go modules.

    Args:
        name: What it is called.
        source: The folder of its ``go.mod``, which names it as its only tool, and its ``go.sum``.
        peers: Where the folders lie.

    Raises:
        PeerUnavailable: Go is not installed, or the modules cannot be had.
    """
    # Go's own archive puts it where it need not be on the path.
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise PeerUnavailable("Go is not installed")
    description = [source / file for file in ("go.mod", "go.sum")]

    def build(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for file in description:
            shutil.copy(file, folder)
        # It lies in a checkout, but is not made of it.
        _run([go, "build", "-buildvcs=false", "-o", name, "tool"], cwd=folder)

    return (
        _built_once(name, "\n".join(file.read_text() for file in description), build, peers) / name
    )


def _built_once(name: str, content: str, build: Callable[[Path], None], peers: Path) -> Path:
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    folder = peers / f"{name}-{digest}"
    peers.mkdir(parents=True, exist_ok=True)
    # So that neither git nor the linters look inside.
    (peers / ".gitignore").write_text("*\n")
    # Two test runs in one checkout would build over each other.
    with (peers / f".{name}.building").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            for outdated in peers.glob(f"{name}-*"):
                shutil.rmtree(outdated)
            build(folder)
            (folder / "ready").touch()
    return folder


def skip_or_fail(server: str, reason: PeerUnavailable) -> NoReturn:
    """End a test that needs ``server``: skipped for a contributor, failed where it must run.

    Raises:
        pytest.skip.Exception: The variable ``CI`` is not ``true``.
        pytest.fail.Exception: It is.
    """
    told = f"{server} cannot be installed here: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


def _install(folder: Path, lock: Path) -> None:
    python = str(folder / "bin" / "python")
    for arguments in (
        ("venv", "--quiet", "--python", sys.executable, str(folder)),
        ("pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", str(lock)),
    ):
        _run([uv(), *arguments])


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            cwd=cwd,
            env=os.environ
            | {
                "UV_HTTP_TIMEOUT": "10",
                "UV_HTTP_RETRIES": "1",
                "npm_config_fetch_timeout": "10000",
                "npm_config_fetch_retries": "1",
                "npm_config_fetch_retry_mintimeout": "1000",
            },
        )
    except subprocess.CalledProcessError as failed:
        raise PeerUnavailable(failed.stderr.strip()) from failed
    except subprocess.TimeoutExpired as slow:
        raise PeerUnavailable(f"not installed within {BUILD_TIMEOUT_S} s") from slow


def interpreter(version: str) -> str:
    """An interpreter of another version, for example ``"3.13"``.

    Raises:
        PeerUnavailable: There is none on the path, and none of pyenv's.
    """
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python"))]
    if (on_path := shutil.which(f"python{version}")) is not None:
        candidates.insert(0, on_path)
    for candidate in candidates:
        # What is on the path may only stand for an interpreter that is not there.
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    raise PeerUnavailable(f"there is no Python {version}")


def uv() -> str:
    """The installer of `make setup`, or the one on the path.

    Raises:
        PeerUnavailable: There is none.
    """
    beside_python = Path(sys.executable).with_name("uv")
    found = str(beside_python) if beside_python.exists() else shutil.which("uv")
    if found is None:
        raise PeerUnavailable("uv is not installed; `make setup` does it")
    return found
