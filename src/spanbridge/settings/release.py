"""The release, where nobody says it: continuous integration's variables, or the git checkout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CI_VARIABLES: Final = (
    "GITHUB_SHA",
    "CI_COMMIT_SHA",  # GitLab
    "BITBUCKET_COMMIT",
    "CIRCLE_SHA1",
    "BUILDKITE_COMMIT",
    "TRAVIS_COMMIT",
    "DRONE_COMMIT_SHA",
    "BUILD_SOURCEVERSION",  # Azure Pipelines
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "GIT_COMMIT",  # Jenkins
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "SOURCE_VERSION",
    "VERCEL_GIT_COMMIT_SHA",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
)
MOST_PARENTS: Final = 32
LARGEST_PACKED_REFS_BYTES: Final = 8 * 1024 * 1024

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def detect_release(environ: Mapping[str, str], start: Path | None = None) -> tuple[str, str] | None:
    """The commit that runs and what told it.

    Args:
        environ: The environment variables.
        start: Where the search for ``.git`` begins; the working directory by default.
    """
    for name in CI_VARIABLES:
        value = environ.get(name, "").strip().lower()
        if _COMMIT.fullmatch(value):
            return value, name
    try:
        commit = _checked_out_commit(start or Path.cwd())
    except (OSError, UnicodeDecodeError, ValueError):
        return None
    return (commit, ".git") if commit else None


def _checked_out_commit(start: Path) -> str | None:
    git = _git_directory(start)
    if git is None:
        return None
    head = _first_line(git / "HEAD")
    reference = head.removeprefix("ref:").strip()
    if reference == head:
        return _commit_in(head)
    if not reference.startswith("refs/") or ".." in reference:
        return None
    common = _common_directory(git)
    for directory in (git, common):
        if (directory / reference).is_file():
            return _commit_in(_first_line(directory / reference))
    return _packed_commit(common / "packed-refs", reference)


def _git_directory(start: Path) -> Path | None:
    for directory in (start, *start.parents)[:MOST_PARENTS]:
        git = directory / ".git"
        if git.is_dir():
            return git
        if git.is_file():  # a worktree or submodule: the file names the directory
            target = _first_line(git).removeprefix("gitdir:").strip()
            return directory / target
    return None


def _common_directory(git: Path) -> Path:
    """Where the branches of a worktree are kept; ``git`` itself for an ordinary checkout."""
    pointer = git / "commondir"
    return git / _first_line(pointer) if pointer.is_file() else git


def _packed_commit(packed_references: Path, reference: str) -> str | None:
    if not packed_references.is_file():
        return None
    with packed_references.open(encoding="utf-8") as lines:
        for line in lines.readlines(LARGEST_PACKED_REFS_BYTES):
            commit, _, name = line.strip().partition(" ")
            if name == reference:
                return _commit_in(commit)
    return None


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline(4096).strip()


def _commit_in(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None
