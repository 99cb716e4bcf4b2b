"""The Collector is built once for what it consists of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers.collector import CONFIG

TOOLS = ("bash", "cat", "cut", "dirname", "mkdir", "sha256sum")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A copy of what is built."""
    folder = tmp_path / "clone" / "collector-config"
    folder.mkdir(parents=True)
    for file in ("build", "builder.yaml"):
        shutil.copy(CONFIG / file, folder)
    return folder


def build(config: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it where there are no tools but those it needs, and no Go."""
    tools = config.parent / "tools"
    tools.mkdir(exist_ok=True)
    for tool in TOOLS:
        path = shutil.which(tool)
        assert path is not None
        if not (tools / tool).exists():
            (tools / tool).symlink_to(path)
    return subprocess.run(
        [tools / "bash", config / "build", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tools), "GOROOT": "/nowhere"} | variables,
    )


def place(config: Path, **variables: str) -> Path:
    return Path(build(config, "where", **variables).stdout.strip())


def test_without_go_it_says_so(config: Path) -> None:
    told = build(config)

    assert told.returncode == 1
    assert told.stderr.startswith("The Collector cannot be built: Go is not installed")


def test_what_was_built_is_used_again_until_its_parts_change(config: Path) -> None:
    built = place(config)
    assert built.parent == config.parent / ".collector"
    built.parent.mkdir()
    built.touch(0o755)

    told = build(config)
    assert (told.returncode, told.stdout.strip(), told.stderr) == (0, str(built), "")

    manifest = config / "builder.yaml"
    manifest.write_text(manifest.read_text().replace("0.161.0", "0.162.0"))
    assert place(config) != built
    assert build(config).returncode == 1


def test_another_folder_can_be_named_for_it(config: Path, tmp_path: Path) -> None:
    assert place(config, COLLECTOR_CACHE=str(tmp_path / "cache")).parent == tmp_path / "cache"
