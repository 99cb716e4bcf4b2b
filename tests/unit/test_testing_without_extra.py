"""spanbridge is installed without the extra ``receiver``: nobody's test run may notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT_EXTRA = """
import sys
for name in ("uvicorn", "starlette", "google", "google.protobuf", "brotli", "zstandard"):
    sys.modules[name] = None
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "test_theirs.py"]))
"""


def run(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_theirs.py").write_text(test)
    command = [sys.executable, "-c", WITHOUT_EXTRA]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_test_run_that_uses_nothing_of_it_is_not_touched(tmp_path: Path) -> None:
    done = run(tmp_path, "def test(): pass")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fixture_says_what_to_install(tmp_path: Path) -> None:
    done = run(tmp_path, "def test(receiver): pass")

    assert done.returncode == 1
    assert "Run: pip install 'spanbridge[receiver]'" in done.stdout
