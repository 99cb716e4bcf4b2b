"""Texts of rules with values filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.model.rule import ATTRIBUTE_PREFIX
from spanbridge.rules.conditions import Read, reader_of

if TYPE_CHECKING:
    from spanbridge.rules.facts import Facts

MAX_VALUE_CHARS: Final = 1_000
"""Of one value that is filled in."""
WITHHELD: Final = "[REDACTED]"
"""Stands for an attribute that must not leave."""

# Variables of Sentry's server stay as they are.
_PLACEHOLDER: Final = re.compile(r"(\{\{.*?\}\})|\{([^{}]+)\}")
_IsWithheld: TypeAlias = Callable[[str], bool]


class Template(NamedTuple):
    """A text with places for values."""

    literals: tuple[str, ...]
    """What stands before, between and after the values: one more than there are values."""
    reads: tuple[Read, ...]

    def fill(self, facts: Facts) -> str | None:
        """The text, or ``None`` if a value is missing."""
        text = self.literals[0]
        for read, literal in zip(self.reads, self.literals[1:], strict=True):
            value = _shown(read(facts))
            if not value:
                return None
            text += value + literal
        return text

    def fill_what_is_there(self, facts: Facts) -> str:
        """The text without the values that are missing, and without what led to one at the end."""
        text = self.literals[0]
        for read, literal in zip(self.reads, self.literals[1:], strict=True):
            text += _shown(read(facts)) + literal
        return " ".join(text.split()).rstrip(" :,")


def compile_template(text: str, is_withheld: _IsWithheld) -> Template:
    """Find the places for values.

    Args:
        text: As the rule has it.
        is_withheld: Whether the privacy policy keeps back an attribute of this name. In a title
            or a fingerprint nobody could tell any more where a value came from.
    """
    literals, reads = [""], []
    end = 0
    for place in _PLACEHOLDER.finditer(text):
        literals[-1] += text[end : place.start()]
        end = place.end()
        if place[1] is not None:
            literals[-1] += place[1]
            continue
        key = place[2].strip()
        name = key.removeprefix(ATTRIBUTE_PREFIX)
        if "." in key and is_withheld(name):
            literals[-1] += WITHHELD
            continue
        reads.append(reader_of(key) if "." in key else partial(_first, reader_of(key)))
        literals.append("")
    literals[-1] += text[end:]
    return Template(tuple(literals), tuple(reads))


def _first(read: Read, facts: Facts) -> object:
    """A fact, or the nearest of those it has."""
    fact = read(facts)
    return next(iter(fact), None) if isinstance(fact, tuple) else fact


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return ", ".join(map(_shown, value))[:MAX_VALUE_CHARS]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text[:MAX_VALUE_CHARS]
