"""Whether something that cannot be used may have said what must not leave."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from spanbridge.settings.declaration import options_of
from spanbridge.settings.masking import show
from spanbridge.settings.privacy import PRIVACY_KEYS, PrivacySettings
from spanbridge.settings.settings_file import SUFFIXES

CONFIG: Final = "config"
NAMEABLE: Final = frozenset(PRIVACY_KEYS) - {CONFIG}
"""Those that nobody calls an attribute, a tag or a header by chance."""
OUTSIDE: Final = "Write it above the first table; in code it is an argument of its own."

_ALIKE: Final = 0.8
"""Words at least that alike are the same, mistyped: ``deny-key``, but not ``production``."""
_LONGEST_PATH: Final = 40
"""Keys that tell where something stands; what is deeper is found all the same."""


def is_doubtful(value: object) -> bool:
    """Whether a privacy setting stands in ``value`` at any depth, or it names a settings file.

    Args:
        value: What nobody reads: of an unknown name, or in place of a table.
    """
    if isinstance(value, str):
        return value.strip().lower().endswith(SUFFIXES)
    return any(privacy_key(path[-1]) for path, _ in keys_in(value))


def holds_doubt(value: object) -> bool:
    """The same of a value that can be a text, as which it names no settings file."""
    return not isinstance(value, str) and is_doubtful(value)


def privacy_key(key: str, among: Collection[str] = PRIVACY_KEYS) -> str | None:
    """The privacy setting that ``key`` is, or is a mistyped form of."""
    near = difflib.get_close_matches(key.lower()[:100], sorted(among), n=1, cutoff=_ALIKE)
    return next(iter(near), None)


class Stray(NamedTuple):
    """A privacy setting in the table of something else, where it says nothing.

    In TOML everything after ``[rules.match]`` belongs to that table, up to the next one.

    Attributes:
        path: Where it stands: keys, and positions in lists, from 1.
        value: What it says; safe to show.
    """

    path: tuple[str, ...]
    value: object

    @property
    def problem(self) -> str:
        """What is wrong, as the end of a sentence that starts with the value."""
        return "it is a setting of privacy, which says nothing here"

    @property
    def fix(self) -> str:
        """What to do, as sentences."""
        table, *inner = self.path
        if table != "match" or len(inner) < 2:
            return OUTSIDE
        return f"{OUTSIDE} If it is an attribute, write {show('.'.join(inner))} with its quotes."


def strays(value: object) -> Iterator[Stray]:
    """The keys in ``value`` that are spelt like a privacy setting, those near the surface first.

    Nothing but ``config`` has a name that is one of something else as well.
    """
    for path, inner in keys_in(value):
        if path[-1] in NAMEABLE:
            yield Stray(path, safe_to_show(path[-1], inner))


def safe_to_show(key: str, value: object) -> object:
    """What a privacy setting says, masked if it is a secret."""
    option = options_of(PrivacySettings).get(key)
    return value if option is None or option.mask is show else option.mask(value)


def keys_in(value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each key at any depth with the way to it, and what stands there."""
    todo: deque[tuple[tuple[str, ...], object]] = deque([((), value)])
    seen: dict[int, object] = {}
    while todo:
        path, one = todo.popleft()
        if id(one) in seen:  # an argument may hold itself
            continue
        seen[id(one)] = one
        if isinstance(one, Mapping):
            inner = [((*path[:_LONGEST_PATH], str(key)), value) for key, value in one.items()]
            yield from inner
            todo.extend(inner)
        elif isinstance(one, list | tuple):
            todo.extend(((*path[:_LONGEST_PATH], str(at)), item) for at, item in enumerate(one, 1))
