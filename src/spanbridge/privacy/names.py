"""What becomes of a value because of its name, by the built-in list and by the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from spanbridge.model.redaction import Action
from spanbridge.privacy.keys import (
    TAG_PREFIX,
    Treatment,
    is_denied,
    served_treatment,
    treatment,
)
from spanbridge.privacy.patterns import matcher

if TYPE_CHECKING:
    from spanbridge.settings.privacy import PrivacyRules

MAX_KNOWN_CHARS: Final = 256
MAX_KNOWN: Final = 4096
"""Names whose treatment is remembered; then it starts anew."""

_USER_PREFIXES: Final = ("user.", "enduser.")
_TREATMENTS: Final[dict[Action, Treatment]] = {
    "mask": Treatment.REDACT,
    "hash": Treatment.HASH,
    "truncate": Treatment.TRUNCATE,
    "drop": Treatment.OMIT,
}


_OF_CONTENT: Final = frozenset({
    Treatment.CONTENT, Treatment.PARAMETERS, Treatment.STATEMENT, Treatment.GRAPHQL,
})  # fmt: skip
"""What the settings for content decide on, and no list of names."""


class Treatments(dict[str, Treatment]):
    """The treatment of each name, found out when it is first asked for."""

    def __init__(self, find_out: Callable[[str], Treatment]) -> None:
        super().__init__()
        self._find_out = find_out

    def __missing__(self, name: str) -> Treatment:
        if len(name) > MAX_KNOWN_CHARS:  # it is of some value, and no other span has it
            return self._find_out(name)
        if len(self) >= MAX_KNOWN:
            self.clear()
        found = self[name] = self._find_out(name)
        return found


class Names:
    """Tells by its name what becomes of a value.

    Args:
        rules: The rules of the destination.
    """

    def __init__(self, rules: PrivacyRules) -> None:
        self._is_denied = matcher(rules.deny_keys, at_last_part=True)
        self._is_allowed = matcher(rules.allow_keys, at_last_part=True)
        self._user_fields = rules.user_fields and frozenset(rules.user_fields)
        self._actions = [
            (matcher([what], at_last_part=True), _TREATMENTS[action])
            for what, action in rules.redaction
        ]
        self._texts = Treatments(self._in_text)

    def treatment(self, name: str) -> Treatment:
        """What becomes of an attribute, a tag, or a key inside a value."""
        return self._own(name) or self._or_allowed(name, treatment(name))

    def served_treatment(self, name: str) -> Treatment:
        """The same on the span of a request that was served."""
        return self._own(name) or self._or_allowed(name, served_treatment(name))

    def is_denied(self, name: str) -> bool:
        """Whether what is assigned to this name in a text must not leave."""
        return self._texts[name] is not Treatment.KEEP

    def _in_text(self, name: str) -> Treatment:
        own = self._own(name)
        if own is not None:
            return Treatment.KEEP if own is Treatment.ALLOW else Treatment.REDACT
        built_in = Treatment.REDACT if is_denied(name) else Treatment.KEEP
        return Treatment.KEEP if self._is_allowed(name) else built_in

    def _own(self, name: str) -> Treatment | None:
        """What the settings say of it, but for those that are allowed."""
        bare = name.removeprefix(TAG_PREFIX)
        field = _user_field(bare)
        is_listed = False
        if self._user_fields is not None and field is not None:
            is_listed = field in self._user_fields
            if not is_listed:
                return Treatment.OMIT
        for matches, action in self._actions:
            if matches(bare):
                return action
        if self._is_denied(bare):
            return Treatment.REDACT
        return Treatment.ALLOW if is_listed else None

    def _or_allowed(self, name: str, built_in: Treatment) -> Treatment:
        if built_in in _OF_CONTENT or not self._is_allowed(name.removeprefix(TAG_PREFIX)):
            return built_in
        return Treatment.ALLOW


def _user_field(name: str) -> str | None:
    if name.startswith(_USER_PREFIXES):
        return name.partition(".")[2]
    return None
