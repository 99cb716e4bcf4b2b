"""What was probably meant by a table of the settings file that means nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from spanbridge.settings.profiles import PROFILES
from spanbridge.settings.reading import closest

ENVIRONMENTS: Final = "environments"
_TABLES: Final = ("destinations", "rules", "redaction")
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
    if near := closest(name.lower(), destinations):
        return f"Did you mean 'destinations.{near}'?"
    if is_whole_file and (near := closest(name.lower(), PROFILES)):
        return f"Did you mean '{ENVIRONMENTS}.{near}'?"
    misplaced = list(dict.fromkeys(key for key in _keys_in(content) if key in settings))
    if misplaced:
        named = ", ".join(misplaced[:_MOST_NAMED]) + (", …" if misplaced[_MOST_NAMED:] else "")
        return f"Write {named} outside of a table, above the first one."
    return ""


def _keys_in(content: object) -> Iterator[str]:
    """The keys of a table and of the tables in it: ``[tool.spanbridge]`` is one in another."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield str(key)
            yield from map(str, value if isinstance(value, Mapping) else ())
