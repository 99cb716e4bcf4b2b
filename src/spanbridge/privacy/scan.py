"""Looks for values that must not leave, whatever the name they stand under.

Nearly every text holds nothing. Three passes at the speed of C find that out; the patterns run only
where one of them is in doubt. Measurements: ``docs/adr/0009-value-detectors.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from spanbridge.model.redaction import DEFAULT_KINDS, Kind
from spanbridge.privacy import numbers, tokens
from spanbridge.privacy.encoded import Readable
from spanbridge.privacy.found import Found, Hit

_SHORTEST: Final = 6
"""Characters of the shortest thing that is looked for: ``a@b.cd``."""
_LOCAL_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-"
_LONGEST_LOCAL: Final = 255
_DOMAIN: Final = re.compile(r"[\w-]++(?:\.[\w-]++)*?\.(?:[^\W\d_]{2}|xn--)[\w-]*+(?:\.[\w-]++)*+")
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+\.|[\d.]+\.[a-z]+\d+\Z")
"""As in a release, shop@1.0.dev3."""
_SERVICE_USER: Final = "git"
"""As in git@github.com, which is nobody's address."""


class Scanner:
    """Finds values of some kinds in texts.

    Args:
        kinds: What to look for.
    """

    def __init__(self, kinds: Iterable[Kind] = DEFAULT_KINDS) -> None:
        wanted = frozenset(kinds)
        self._is_empty = not wanted
        self._finds_emails = "email" in wanted
        self._finds_jwts = "jwt" in wanted
        self._finds_private_keys = "private_key" in wanted
        self._finds_api_keys = "api_key" in wanted
        self._finds_addresses = "ip_address" in wanted
        self.finds_cards = "credit_card" in wanted
        self._numbers = frozenset(wanted & numbers.KINDS)

    def find(self, text: str, readable: Readable | None = None) -> Sequence[Found]:
        """What must not leave, from left to right and without overlaps.

        Args:
            text: Any text.
            readable: The same without its codes, if that is known.
        """
        if len(text) < _SHORTEST or self._is_empty:
            return ()
        if "\\" in text or "%" in text:
            readable = readable or Readable(text)
            return [
                Found(readable.origin(start), readable.origin(end), kind, value)
                for start, end, kind, value in self._find(readable.text)
            ]
        return self._find(text)

    def _find(self, text: str) -> Sequence[Found]:
        # Nearly everything ends here, without a list or a pattern.
        hits: list[Hit] | None = None
        if "@" in text and self._finds_emails:
            hits = [*_emails(text)]
        if len(text) >= numbers.SHORTEST:
            # A byte for each character; those that have none are of no interest here.
            data = text.encode("latin-1", "replace")
            if numbers.has_long_number(data) and self._numbers:
                hits = [*(hits or ()), *numbers.numbers(text, data, self._numbers)]
            if len(data) >= tokens.SHORTEST:
                hits = self._long_ones(text, data, hits)
        if self._finds_addresses:
            hits = [*(hits or ()), *numbers.addresses(text)]
        return _apart(text, hits) if hits else ()

    def _long_ones(self, text: str, data: bytes, hits: list[Hit] | None) -> list[Hit] | None:
        classes = data.translate(tokens.TOKEN_CLASSES)
        if self._finds_api_keys and (tokens.TOKEN_RUN in classes or ("=" in text and "==" in text)):
            hits = [*(hits or ()), *tokens.api_keys(text, classes)]
        if "J" in text and "eyJ" in text and self._finds_jwts:
            hits = [*(hits or ()), *tokens.jwts(text)]
        if "-" in text and "-----BEGIN" in text and self._finds_private_keys:
            hits = [*(hits or ()), *tokens.private_keys(text)]
        return hits


def _emails(text: str) -> Iterator[Hit]:
    done, at = 0, -1
    while (at := text.find("@", at + 1)) >= 0:
        before = text[max(done, at - _LONGEST_LOCAL) : at]
        rest = before.rstrip(_LOCAL_CHARACTERS)
        while rest and rest[-1].isalnum():  # letters of other alphabets
            rest = rest[:-1].rstrip(_LOCAL_CHARACTERS)
        length = len(before) - len(rest)
        if not length or before[-length:] == _SERVICE_USER:
            continue
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None and not _VERSION.match(domain.group()):
            done = domain.end()
            yield Hit(at - length, done, "email")


def _apart(text: str, hits: list[Hit]) -> list[Found]:
    """The first and longest of those that overlap."""
    kept: list[Found] = []
    done = 0
    for start, end, kind in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if start >= done:
            kept.append(Found(start, end, kind, text[start:end]))
            done = end
    return kept
