"""In which line of a settings file a key stands, for whoever has to find it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from spanbridge.settings.masking import show
from spanbridge.settings.reading import Unusable

_Path: TypeAlias = tuple[str, ...]
_Lists: TypeAlias = dict[_Path, int]
"""How many tables each list of tables has so far."""
Lines: TypeAlias = dict[_Path, int]
"""Line, from 1, of each key by its path, in which an item of a list is its position, from 1."""

MAX_NODES: Final = 20_000
"""Keys and values of a YAML file, with everything that stands for another part of it counted."""
DEEPEST_KEY: Final = 12
"""``environments.<name>.rules.<n>.match`` and a name with a few dots: the deepest looked up."""

_KEY: Final = r"""[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'"""
_DOTTED: Final = rf"(?:{_KEY})(?:[ \t]*\.[ \t]*(?:{_KEY}))*"
_HEADER: Final = re.compile(rf"[ \t]*\[[ \t]*({_DOTTED})[ \t]*\]")
_LIST_HEADER: Final = re.compile(rf"[ \t]*\[\[[ \t]*({_DOTTED})[ \t]*\]\]")
_ASSIGNMENT: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=(.*)")
_PLAIN_VALUE: Final = re.compile(rf"^[ \t]*{_DOTTED}[ \t]*=[ \t]*[\[\"']")
_PART: Final = re.compile(_KEY)
_LONG_QUOTES: Final = ('"""', "'''")


def lines_of_toml(text: str) -> Lines:
    """The lines of a valid TOML file. What stands between brackets has none of its own."""
    lines: Lines = {}
    lists: _Lists = {}
    table: _Path = ()
    long_quote = ""
    for number, line in enumerate(text.split("\n"), 1):
        if long_quote:
            long_quote = "" if line.count(long_quote) % 2 else long_quote
        elif header := _LIST_HEADER.match(line):
            table = _next_item(_parts(header[1]), lists)
            lines[table] = number
        elif header := _HEADER.match(line):
            table = _in_last_items(_parts(header[1]), lists)
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_parts(assignment[1])), number)
            long_quote = next((q for q in _LONG_QUOTES if assignment[2].count(q) % 2), "")
    return lines


def _parts(dotted: str) -> _Path:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _next_item(parts: _Path, lists: _Lists) -> _Path:
    """The table that ``[[parts]]`` starts."""
    path = (*_in_last_items(parts[:-1], lists), parts[-1])
    lists[path] = lists.get(path, 0) + 1
    return (*path, str(lists[path]))


def _in_last_items(parts: _Path, lists: _Lists) -> _Path:
    """The table that ``[parts]`` starts: within a list of tables it belongs to the last one."""
    path: _Path = ()
    for part in parts:
        path = (*path, part)
        if path in lists:
            path = (*path, str(lists[path]))
    return path


def value_beside_tables(text: str, key: str) -> tuple[str, int, int] | None:
    """Where a TOML file says one key in two forms, which TOML does not allow together.

    Args:
        text: The file.
        key: The key, at the top level or in an environment's table.

    Returns:
        The key with its dots, and the lines of a plain value and of the first table below it.
    """
    lines, written = lines_of_toml(text), text.split("\n")
    for path, line in lines.items():
        if path[-1] != key or not _PLAIN_VALUE.search(written[line - 1]):
            continue
        below = [other for inner, other in lines.items() if inner[:-1][: len(path)] == path]
        if below:
            return ".".join(path), line, min(below)
    return None


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


def _lines_in(node: Any, path: _Path) -> Iterator[tuple[_Path, int]]:
    if len(path) >= DEEPEST_KEY:
        return
    for name, place, value in _named_parts(node):
        inner = (*path, name)
        yield inner, place.start_mark.line + 1
        yield from _lines_in(value, inner)


def _named_parts(node: Any) -> Iterator[tuple[str, Any, Any]]:
    """What is in a node: how a path names it, what marks where it starts, and its value."""
    if node.id == "mapping":
        yield from ((str(key.value), key, it) for key, it in node.value if key.id == "scalar")
    elif node.id == "sequence":
        yield from ((str(number), item, item) for number, item in enumerate(node.value, 1))
