"""Every resolved value with where it came from, for people who ask why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from spanbridge.settings.declaration import Option, options_of
from spanbridge.settings.masking import show, told

if TYPE_CHECKING:
    from spanbridge.settings.tree import Settings


class Resolved(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        key: A setting's name, or ``destinations.<name>.<setting>``.
        value: Its value, secrets masked; ``None`` if nothing is set.
        source: What gave it; see :meth:`Settings.source_of`.
    """

    key: str
    value: bool | int | float | str | list[str] | None
    source: str


def resolved(settings: Settings) -> Iterator[Resolved]:
    """All settings, those of the whole first, then those of each destination that is chosen."""
    for key, option in options_of(type(settings)).items():
        yield _resolved(key, option, getattr(settings, key), settings)
    for destination in settings.destinations:
        for key, option in options_of(type(destination)).items():
            path = f"destinations.{destination.name}.{key}"
            yield _resolved(path, option, getattr(destination, key), settings)


def _resolved(key: str, option: Option, value: object, settings: Settings) -> Resolved:
    is_masked = option.mask is not show and value not in (None, ())
    shown = str(option.mask(value)) if is_masked else told(value)
    return Resolved(key, shown, settings.source_of(key))
