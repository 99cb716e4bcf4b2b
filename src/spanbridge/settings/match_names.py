"""Names under which somebody may have written ``match``, which says what a destination gets."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import cache
from typing import Final

from spanbridge.settings.choosing import DESTINATIONS
from spanbridge.settings.declaration import Option, options_of
from spanbridge.settings.doubt import keys_in
from spanbridge.settings.options import KINDS, destination_options
from spanbridge.settings.tree import Settings
from spanbridge.settings.unknown_tables import is_table

MATCH: Final = "match"
_ROOTS: Final = (MATCH, "filter", "tenant")
_SYNONYMS: Final = ("where", "only", "include", "exclude", "select", "condition", "conditions")
WITHOUT_DESTINATION: Final = (MATCH, "filter", "filters")
_SOMETHING_ELSE: Final = frozenset({"batch"})
"""Alike, but everybody's word for how much is sent at once."""
_ALIKE: Final = 0.8


def top_level_options() -> dict[str, Option]:
    """Every setting that can stand outside a destination's table, by key."""
    shorthands = {
        key: option
        for kind in KINDS
        for key, option in destination_options(kind).items()
        if option.is_shorthand
    }
    return {**options_of(Settings), **shorthands, DESTINATIONS.key: DESTINATIONS}


def narrows(key: str, value: object) -> bool:
    """Whether a key of a destination that means nothing there may have been meant to be ``match``.

    So does each whose value is a table, as conditions are, or whose name is an attribute's.
    """
    name = key.lower()
    if name in _meant_otherwise():
        return False
    if "." in name or may_be_conditions(value) or any(root in name for root in _ROOTS):
        return True
    return is_alike(name, (*_ROOTS, *_SYNONYMS))


@cache
def _meant_otherwise() -> frozenset[str]:
    """Keys that say something else in another place, which is told."""
    of_destinations = {key for kind in KINDS for key in destination_options(kind)} - {MATCH}
    return frozenset({*of_destinations, *top_level_options()})


def may_be_conditions(value: object) -> bool:
    """Whether it is a table, also as JSON."""
    return is_table(value) or (isinstance(value, str) and value.lstrip().startswith(("{", "[{")))


def is_alike(name: str, words: Collection[str]) -> bool:
    """Whether it is one of the words, perhaps mistyped."""
    return name not in _SOMETHING_ELSE and nearest(name, words) is not None


def nearest(name: str, words: Collection[str]) -> str | None:
    """The word that it is, perhaps mistyped."""
    near = difflib.get_close_matches(name.lower()[:100], list(words), n=1, cutoff=_ALIKE)
    return next(iter(near), None)


def holds_narrowing(content: object) -> bool:
    """Whether it says at any depth what a destination is to get."""
    return any(narrows(path[-1], value) for path, value in keys_in(content))
