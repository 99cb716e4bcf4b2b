"""What was probably meant by a table of the settings file that means nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from spanbridge.settings.choosing import is_name, kind_in_name
from spanbridge.settings.doubt import is_doubtful
from spanbridge.settings.options import KIND, KINDS
from spanbridge.settings.profiles import PROFILES
from spanbridge.settings.reading import closest

ENVIRONMENTS: Final = "environments"
_TABLES: Final = ("destinations", "rules", "redaction")
NOT_ONLY_TEXT: Final = frozenset({"destinations", "rules", "redaction"})
"""Settings whose value may be a table, or a list of tables, even if not each of those is right."""
_SEPARATOR: Final = re.compile("[-_]")
_MOST_NAMED: Final = 3
"""Keys of such a table that its line repeats."""


def is_table(value: object) -> bool:
    """Whether it is a table or a list of tables."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, Mapping) for one in value)
    return isinstance(value, Mapping)


def table_meant(
    name: str,
    content: object,
    *,
    destinations: Collection[str],
    settings: Collection[str],
    is_whole_file: bool,
) -> str:
    """What to write in place of the table, as a sentence; empty if nothing suggests it.

    Args:
        name: The table's name.
        content: What is in it.
        destinations: Names of the destinations that are known.
        settings: Keys that can stand at the top level.
        is_whole_file: Whether it stands there, and not in an environment's table.
    """
    outer = (*_TABLES, ENVIRONMENTS) if is_whole_file else _TABLES
    if near := closest(name, outer):
        return f"Did you mean {near!r}?"
    if near := _destination_meant(name, content, destinations):
        return f"Did you mean {near}?"
    if is_whole_file and (near := closest(name.lower(), PROFILES)):
        return f"Did you mean '{ENVIRONMENTS}.{near}'?"
    misplaced = list(dict.fromkeys(key for key in _keys_in(content) if key in settings))
    if misplaced:
        named = ", ".join(misplaced[:_MOST_NAMED]) + (", …" if misplaced[_MOST_NAMED:] else "")
        return f"Write {named} outside of a table, above the first one."
    if is_doubtful(content):  # whoever removes it removes that
        return "Write the settings of privacy in it outside of a table, above the first one."
    return ""


def _destination_meant(name: str, content: object, known: Collection[str]) -> str | None:
    """The destination's table, as it should be called, with its kind if that is not said yet."""
    near = closest(name.lower(), known)
    if near is not None and (near not in KINDS or near == name.lower()):
        return f"'destinations.{near}'"
    is_kind_there = isinstance(content, Mapping) and KIND.key in content
    kind = kind_in_name(name) if _SEPARATOR.search(name) else None
    if is_name(name) and (kind or is_kind_there):
        with_kind = "" if is_kind_there else f" with kind = {kind!r}"
        return f"'destinations.{name}'{with_kind}"
    return near and f"'destinations.{near}'"


def _keys_in(content: object) -> Iterator[str]:
    """The keys of a table and of the tables in it: ``[tool.spanbridge]`` is one in another."""
    for key, value in _items(content):
        yield str(key)
        yield from (str(inner) for inner, _ in _items(value))


def _items(content: object) -> Iterator[tuple[object, object]]:
    for table in content if isinstance(content, list) else (content,):
        if isinstance(table, Mapping):
            yield from table.items()
