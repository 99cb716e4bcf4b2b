"""What stands in place of a value that must not leave."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from spanbridge.model.redaction import Action, Kind
from spanbridge.privacy.patterns import matcher

if TYPE_CHECKING:
    from spanbridge.settings.privacy import PrivacyRules

HASH_CHARS: Final = 12
"""Hexadecimal digits of a hash: among a million values two are alike with one in 560."""
KEPT_CHARS: Final = 4
"""Of a value that is truncated."""
NAMED: Final = "HASH"
"""Stands before the hash of a value that was hashed because of its name."""

_OWN: Final = re.compile(r"\[[A-Z_]+:[0-9a-f]{12}\]")
_SEPARATORS: Final = re.compile(r"[ .\-_+/()\u00a0]")
_WRITTEN_IN_MANY_WAYS: Final = frozenset({"phone", "iban", "credit_card"})


class Replacements:
    """Replaces values as the rules ask for.

    Args:
        rules: The rules of the destination.
    """

    def __init__(self, rules: PrivacyRules) -> None:
        key = rules.hash_key
        self._key = key.reveal().encode("utf-8", "surrogateescape") if key is not None else None
        self._actions: dict[str, Action] = dict(rules.redaction)
        self._is_allowed = matcher(rules.allow_values)

    def keeps(self, value: str) -> bool:
        """Whether the rules allow this very value."""
        return self._is_allowed(value)

    def of(self, kind: Kind, value: str) -> str:
        """What stands for a value that a detector found; empty if nothing does."""
        match self._actions.get(kind, "mask"):
            case "mask":
                return f"[{kind.upper()}_REDACTED]"
            case "hash":
                return self._hashed(kind.upper(), _as_one_writes(kind, value)) or ""
            case "truncate":
                return truncated(value)
            case "drop":
                return ""

    def hashed(self, value: object) -> str | None:
        """The keyed hash of the value under a name; ``None`` without a key."""
        text = str(value)
        return text if _OWN.fullmatch(text) else self._hashed(NAMED, text)

    def _hashed(self, label: str, value: str) -> str | None:
        if self._key is None:
            return None
        code = hmac.digest(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"[{label}:{code.hex()[:HASH_CHARS]}]"


def truncated(value: object) -> str:
    """The beginning of a value, and a sign that there was more."""
    text = str(value)
    return (text[:KEPT_CHARS] if len(text) > KEPT_CHARS else "") + "…"


def _as_one_writes(kind: Kind, value: str) -> str:
    """The same text for the same thing, so that its hash is the same."""
    if kind in _WRITTEN_IN_MANY_WAYS:
        return _SEPARATORS.sub("", value).upper()
    return value.lower() if kind == "email" else value
