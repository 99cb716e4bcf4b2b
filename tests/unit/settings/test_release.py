from __future__ import annotations

from pathlib import Path

import pytest

from spanbridge.settings import load
from spanbridge.settings.release import detect_release

COMMIT = "a" * 40
OTHER = "b" * 40


def make_repository(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": f"{COMMIT}\n"},
        {".git/HEAD": "ref: refs/heads/a/b\n", ".git/refs/heads/a/b": f"{COMMIT}\n"},
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/packed-refs": f"# pack-refs\n{OTHER} refs/heads/x\n{COMMIT} refs/heads/main\n",
        },
        {  # what is packed is older than the loose file
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/packed-refs": f"{OTHER} refs/heads/main\n",
            ".git/refs/heads/main": f"{COMMIT}\n",
        },
        {  # a worktree: HEAD is its own, branches are the main checkout's
            ".git": "gitdir: main/.git/worktrees/w\n",
            "main/.git/worktrees/w/HEAD": "ref: refs/heads/w\n",
            "main/.git/worktrees/w/commondir": "../..\n",
            "main/.git/refs/heads/w": f"{COMMIT}\n",
        },
    ],
)
def test_the_checked_out_commit_is_the_release(tmp_path: Path, files: dict[str, str]) -> None:
    make_repository(tmp_path, files)
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)

    assert detect_release({}, below) == (COMMIT, ".git")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".git/HEAD": ""},
        {".git/HEAD": "ref: refs/heads/unborn\n"},
        {".git/HEAD": "ref: ../../etc/passwd\n"},
        {".git/HEAD": "ref: refs/../../secret\n", "secret": f"{COMMIT}\n"},
        {".git/HEAD": "not a commit\n"},
        {".git": "gitdir: nowhere\n"},
    ],
)
def test_an_unusual_checkout_gives_no_release(tmp_path: Path, files: dict[str, str]) -> None:
    make_repository(tmp_path, {".git/keep": "", **files} if ".git" not in files else files)

    assert detect_release({}, tmp_path) is None


def test_continuous_integration_is_asked_before_git(tmp_path: Path) -> None:
    make_repository(tmp_path, {".git/HEAD": f"{COMMIT}\n"})

    assert detect_release({"GITHUB_SHA": OTHER}, tmp_path) == (OTHER, "GITHUB_SHA")
    assert detect_release({"GITHUB_SHA": "refs/heads/main"}, tmp_path) == (COMMIT, ".git")


def test_a_release_that_is_said_is_stronger_than_one_that_is_found(empty_directory: Path) -> None:
    make_repository(empty_directory, {".git/HEAD": f"{COMMIT}\n"})

    found = load({}, {})
    assert (found.release, found.source_of("release")) == (COMMIT, ".git")
    said = load({}, {"SENTRY_RELEASE": "app@1.0", "GITHUB_SHA": OTHER})
    assert (said.release, said.source_of("release")) == ("app@1.0", "SENTRY_RELEASE")
