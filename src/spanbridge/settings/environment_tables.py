"""The tables of environments: whether the one that is meant is there, and which others are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from spanbridge.settings.masking import plain, show
from spanbridge.settings.sources import Sources, Table
from spanbridge.settings.unknown_tables import ENVIRONMENTS

_ALIKE: Final = 0.8
"""``prodution`` and ``production``, but not ``testing`` and ``staging``."""
_SHORTEST: Final = 3
"""Letters of an abbreviation, as ``dev`` is one."""
_NO_LETTERS: Final = re.compile("[^a-z]+")


def other_environments(sources: Sources, environment: str) -> tuple[str, ...]:
    """The environments with a table, apart from ``environment``.

    Args:
        sources: As they stand without an environment's tables.
        environment: The one in force, in any case.
    """
    names = (name for table in sources.tables for name in _names_in(table))
    return tuple(name for name in dict.fromkeys(names) if name.lower() != environment.lower())


def without_table(sources: Sources, environment: str) -> Iterator[str]:
    """A sentence on each file without a table for the environment, but with one spelt like it."""
    for table in (*sources.declared, *sources.tables):
        if table.spellings_of(environment):
            continue
        near = [name for name in _names_in(table) if _is_near(environment.lower(), name.lower())]
        if near:
            yield plain(
                f"environment {show(environment)} has no table in {table.origin}; "
                f"near: {', '.join(near)}"
            )


def _names_in(table: Table) -> Iterator[str]:
    tables = table.content.get(ENVIRONMENTS)
    if isinstance(tables, Mapping):
        yield from (name for name in tables if isinstance(name, str))


def _is_near(one: str, other: str) -> bool:
    """Whether one is the other, mistyped or cut short. ``production-eu`` is one of its own."""
    if one in _NO_LETTERS.split(other) or other in _NO_LETTERS.split(one):
        return False
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) >= _SHORTEST and longer.startswith(shorter):
        return True
    return difflib.SequenceMatcher(None, one[:100], other[:100]).ratio() >= _ALIKE
