"""Every resolved value with where it came from, for people who ask why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from spanbridge.settings.choosing import DESTINATIONS
from spanbridge.settings.declaration import Option, options_of
from spanbridge.settings.masking import show, told

if TYPE_CHECKING:
    from spanbridge.settings.tree import Settings


class Resolved(msgspec.Struct, frozen=True, omit_defaults=True):
    """One setting.

    Attributes:
        key: A setting's name, or ``destinations.<name>.<setting>``.
        value: Its value, secrets masked; ``None`` if nothing is set.
        source: What gave it; see :meth:`Settings.source_of`.
        meaning: What an empty value means, in words; empty where the value says it.
    """

    key: str
    value: bool | int | float | str | list[str] | None
    source: str
    meaning: str = ""


def resolved(settings: Settings) -> Iterator[Resolved]:
    """Where telemetry goes, the settings of the whole, then those of each of its destinations."""
    yield _destinations(settings)
    for key, option in options_of(type(settings)).items():
        yield _resolved(key, option, getattr(settings, key), settings)
    for destination in settings.destinations:
        for key, option in options_of(type(destination)).items():
            path = f"destinations.{destination.name}.{key}"
            yield _resolved(path, option, getattr(destination, key), settings)


def _destinations(settings: Settings) -> Resolved:
    """The destinations in use, and what chose each of them."""
    names = [destination.name for destination in settings.destinations]
    chosen_by = dict.fromkeys(settings.source_of(f"{DESTINATIONS.key}.{name}") for name in names)
    source = ", ".join(chosen_by) or settings.source_of(DESTINATIONS.key)
    return Resolved(DESTINATIONS.key, names, source, "" if names else DESTINATIONS.empty)


def _resolved(key: str, option: Option, value: object, settings: Settings) -> Resolved:
    is_masked = option.mask is not show and value not in (None, (), "")
    shown = str(option.mask(value)) if is_masked else told(value)
    meaning = option.meaning_of(value).replace("`", "")
    return Resolved(key, shown, settings.source_of(key), meaning)
