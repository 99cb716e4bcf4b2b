"""Whether something that cannot be used may have said what must not leave."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from spanbridge.settings.declaration import options_of
from spanbridge.settings.settings_file import SUFFIXES
from spanbridge.settings.tree import Settings

_ALIKE: Final = 0.8
"""Words at least that alike are the same, mistyped: ``deny-key``, but not ``production``."""


def is_doubtful(value: object) -> bool:
    """Whether a privacy setting stands in ``value`` at any depth, or it names a settings file.

    Args:
        value: What nobody reads: of an unknown name, or in place of a table.
    """
    if isinstance(value, str):
        return value.strip().lower().endswith(SUFFIXES)
    return any(map(_is_about_privacy, _keys_in(value)))


def _keys_in(value: object) -> Iterator[str]:
    todo, seen = [value], {}
    while todo:
        one = todo.pop()
        if id(one) in seen:  # an argument may hold itself
            continue
        seen[id(one)] = one
        if isinstance(one, Mapping):
            yield from map(str, one)
            todo.extend(one.values())
        elif isinstance(one, list | tuple):
            todo.extend(one)


def _is_about_privacy(key: str) -> bool:
    privacy = [key for key, option in options_of(Settings).items() if option.is_privacy]
    return bool(difflib.get_close_matches(key.lower()[:100], privacy, n=1, cutoff=_ALIKE))
