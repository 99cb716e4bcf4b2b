"""In which line of a settings file a key stands, for whoever has to find it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from spanbridge.settings.masking import show
from spanbridge.settings.reading import Unusable

Lines: TypeAlias = dict[tuple[str, ...], int]
"""Line, from 1, of each key by its path."""

MAX_NODES: Final = 20_000
"""Keys and values of a YAML file, with everything that stands for another part of it counted."""
DEEPEST_KEY: Final = 5
"""``environments.<name>.destinations.<name>.<key>``: nothing that is looked up lies deeper."""

_KEY: Final = r"""[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'"""
_DOTTED: Final = rf"(?:{_KEY})(?:[ \t]*\.[ \t]*(?:{_KEY}))*"
_HEADER: Final = re.compile(rf"[ \t]*\[[ \t]*({_DOTTED})[ \t]*\]")
_LIST_HEADER: Final = re.compile(rf"[ \t]*\[\[[ \t]*({_DOTTED})[ \t]*\]\]")
_ASSIGNMENT: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=(.*)")
_PART: Final = re.compile(_KEY)
_LONG_QUOTES: Final = ('"""', "'''")
_IN_LIST: Final = ("[]",)


def lines_of_toml(text: str) -> Lines:
    """The lines of a valid TOML file. Tables within a list of tables have none."""
    lines: Lines = {}
    table: tuple[str, ...] = ()
    long_quote = ""
    for number, line in enumerate(text.split("\n"), 1):
        if long_quote:
            long_quote = "" if line.count(long_quote) % 2 else long_quote
        elif header := _LIST_HEADER.match(line):
            table = (*_parts(header[1]), *_IN_LIST)
        elif header := _HEADER.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_parts(assignment[1])), number)
            long_quote = next((q for q in _LONG_QUOTES if assignment[2].count(q) % 2), "")
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def lines_of_yaml(root: Any) -> Lines:
    """The lines of a YAML file.

    Args:
        root: The composed node, from which the values are not made yet; ``None`` for no document.

    Raises:
        Unusable: A key stands twice, or parts of it stand for so much that reading it has no end.
    """
    if root is None:
        return {}
    _Weight().of(root)
    return dict(_lines_in(root, ()))


class _Weight:
    """How much a node is, with everything it refers to counted as if it were written out."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def of(self, node: Any) -> int:
        known = self._known.get(id(node))
        if known is None:
            self._known[id(node)] = MAX_NODES + 1  # until it is known: it may contain itself
            known = self._known[id(node)] = 1 + sum(map(self.of, _children(node)))
        if known > MAX_NODES:
            raise Unusable("parts of it stand for too much", "Write it without anchors.")
        return known


def _children(node: Any) -> list[Any]:
    value = node.value
    if node.id == "mapping":
        _check_no_key_is_there_twice(value)
        return [part for pair in value for part in pair]
    return list(value) if node.id == "sequence" else []


def _check_no_key_is_there_twice(pairs: list[tuple[Any, Any]]) -> None:
    seen: dict[str, int] = {}
    for key, _ in pairs:
        line = key.start_mark.line + 1
        if key.id == "scalar" and (first := seen.setdefault(f"{key.tag} {key.value}", line)) < line:
            raise Unusable(
                f"the key {show(key.value)} stands twice, in lines {first} and {line}", "Keep one."
            )


def _lines_in(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    if node.id != "mapping" or len(path) >= DEEPEST_KEY:
        return
    for key, value in node.value:
        if key.id == "scalar":
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines_in(value, inner)
