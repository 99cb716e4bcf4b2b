"""The documents' code blocks: found, and run page by page as a reader would.

All ``python`` blocks of a page run in order in one fresh process with ``SENTRY_DSN`` set, so later
blocks may use what earlier ones made. A comment on the line before a block says what else it is:

- ``<!-- output -->``: what the ``python`` block before it prints; ``…`` stands for anything within
  a line, and a line of its own ``…`` for any lines,
- ``<!-- pytest -->``: a test file, run by pytest,
- ``<!-- rules -->``, ``<!-- builtin -->``: rules of a settings file, and those that are built in.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
GENERATED = {"settings.md", "attributes.md", "mapping.md"}
NAMED_AT_THE_TOP = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "collector-config/README.md",
)

PAGES = sorted(
    [REPOSITORY / name for name in NAMED_AT_THE_TOP]
    + [page for page in (REPOSITORY / "docs").rglob("*.md") if page.name not in GENERATED]
)

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>\w+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_END = "\x1eend of block\x1e"

# Blocks keep the line numbers of their page, so that an issue shows its source line.
_RUNNER = """
import json, sys
page, blocks, end = json.load(sys.stdin)
namespace = {"__name__": "__main__"}
for line, code in blocks:
    exec(compile("\\n" * (line - 1) + code, page, "exec"), namespace)
    sys.stdout.write(end)
    sys.stdout.flush()
"""


class Block(NamedTuple):
    """One fenced block of a page."""

    page: Path
    line: int
    """Of its first line of text."""
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page,
            text[: found.start("text")].count("\n") + 1,
            found["language"],
            found["mark"] or "",
            found["text"],
        )
        for found in _BLOCK.finditer(text)
    ]


def all_blocks(language: str, mark: str = "") -> list[Block]:
    return [
        block
        for page in PAGES
        for block in blocks_of(page)
        if (block.language, block.mark) == (language, mark)
    ]


def run_page(page: Path, folder: Path, variables: Mapping[str, str]) -> None:
    """Run the page's ``python`` blocks in ``folder`` and compare what they print."""
    run = [b for b in blocks_of(page) if b.language == "python" and not b.mark]
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _RUNNER],
        input=json.dumps([str(page), [(block.line, block.text) for block in run], _END]),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **variables},
    )
    assert finished.returncode == 0, f"{page}\n{finished.stderr}"
    printed = finished.stdout.split(_END)
    for block, expected in _with_output(page):
        seen = printed[run.index(block)]
        assert matches(expected.text, seen), f"{expected.place} shows other than\n{seen}"


def _with_output(page: Path) -> Iterator[tuple[Block, Block]]:
    last: Block | None = None
    for block in blocks_of(page):
        if block.language == "python" and not block.mark:
            last = block
        elif block.mark == "output":
            assert last is not None, f"{block.place}: no python block before it"
            yield last, block


def matches(expected: str, seen: str) -> bool:
    """Whether ``seen`` is ``expected`` with something in place of each ``…``."""
    pattern = "".join(
        r"(?:[^\n]*\n)*"
        if line.strip() == "…"
        else r"[^\n]*".join(re.escape(part) for part in line.split("…")) + "\n"
        for line in expected.strip("\n").split("\n")
    )
    return re.fullmatch(pattern, seen.strip("\n") + "\n") is not None
