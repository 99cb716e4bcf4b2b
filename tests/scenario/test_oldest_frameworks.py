"""The same failures with the oldest versions that the extras allow, in an environment of their own.

OpenTelemetry's packages pin each other exactly: with ``opentelemetry-api`` 1.45 the oldest
instrumentation is 0.66b0.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY

OLDEST = (
    "opentelemetry-api==1.45.0",
    "opentelemetry-sdk==1.45.0",
    "fastapi==0.115.0",
    "opentelemetry-instrumentation-fastapi==0.66b0",
    "flask==3.0.0",
    "opentelemetry-instrumentation-flask==0.66b0",
)
NEEDED = ("pytest>=9", "hypothesis>=6.160", "httpx>=0.28", "asgiref")


def environment_with(*packages: str) -> Path:
    """The interpreter of a virtual environment with these packages, made once and kept."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    if uv is None:
        raise FileNotFoundError("uv")
    key = hashlib.sha256("\n".join((sys.version, str(REPOSITORY), *packages)).encode()).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "spanbridge-tests" / key[:16]
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "-q", "--python", str(python), "--editable"]
        subprocess.run([*install, str(REPOSITORY), *packages], check=True, timeout=300)
        (folder / ".ready").touch()
    return python


@pytest.fixture(scope="module")
def oldest() -> Path:
    try:
        return environment_with(*OLDEST, *NEEDED)
    except (OSError, subprocess.SubprocessError) as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"no environment with the oldest versions: {error}")


@pytest.mark.parametrize(
    "module",
    [
        "test_fastapi_errors.py",
        "test_fastapi_errors_unseen.py",
        "test_fastapi_errors_outside.py",
        "test_flask_errors.py",
    ],
)
def test_the_oldest_versions_have_the_same_issues(oldest: Path, module: str) -> None:
    # Old versions warn of streams that they do not close, and of names that were changed since.
    finished = subprocess.run(
        [
            oldest, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-W", "ignore", f"tests/scenario/{module}",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-2000:]
