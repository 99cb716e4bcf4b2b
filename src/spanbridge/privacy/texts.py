"""Texts as they may leave: without credentials, and without values that must stay."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.encoded import Readable
from spanbridge.privacy.numbers import is_card_number
from spanbridge.privacy.quiet import quiet_texts
from spanbridge.privacy.replacements import Replacements
from spanbridge.privacy.scan import Scanner
from spanbridge.privacy.text import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spanbridge.privacy.found import Found
    from spanbridge.privacy.names import Names
    from spanbridge.settings.privacy import PrivacyRules

CREDENTIAL: Final = "credential"
"""Counted where something was cut out because of a URL, a header or a name in front of it."""
MAX_KNOWN: Final = 4096
MAX_KNOWN_CHARS: Final = 256
"""Texts that held nothing, as they are remembered: together at most 2 MB."""
MAX_ROUNDS: Final = 8
"""A text that still holds something afterwards was made for it."""
SMALLEST_CARD: Final = 10**11


class Texts:
    """Scrubs texts by the rules of a destination. It is shared by everything with equal rules.

    Args:
        rules: The rules.
        names: What they say of names.
    """

    def __init__(self, rules: PrivacyRules, names: Names) -> None:
        self._scanner = Scanner(rules.detectors)
        self._credentials = Credentials(names.is_denied)
        self._is_quiet = quiet_texts(rules)
        self.replacements = Replacements(rules)
        self.clean: set[str] = set()
        """Texts that are known to hold nothing: names, routes and addresses repeat."""
        self._known_path = lru_cache(maxsize=MAX_KNOWN)(self._path)
        self._known_line = lru_cache(maxsize=MAX_KNOWN)(self._source_line)

    def text(self, text: str, found: list[str]) -> str:
        """``text`` as it may leave.

        Args:
            text: Any text.
            found: Takes the kind of everything that is cut out.

        Returns:
            ``text`` itself if there is nothing to cut out.
        """
        clean = self.clean
        if text in clean:
            return text
        scrubbed = self._fixed(self._credentials.text, text, found)
        if scrubbed is text and len(text) <= MAX_KNOWN_CHARS:
            if len(clean) >= MAX_KNOWN:
                clean.clear()
            clean.add(text)
        return scrubbed

    def path(self, path: str, found: list[str]) -> str:
        """The path of a source file as it may leave."""
        scrubbed, kinds = self._known_path(path)
        found += kinds
        return scrubbed

    def source_line(self, line: str, found: list[str]) -> str:
        """A line of source code as it may leave."""
        scrubbed, kinds = self._known_line(line)
        found += kinds
        return scrubbed

    def number(self, number: int | float, found: list[str]) -> int | float | str:
        """A number as it may leave: that of a payment card does not."""
        if not self._scanner.finds_cards or not is_card_number(number):
            return number
        text = f"{number:.0f}"
        if self.replacements.keeps(text):
            return number
        found.append("credit_card")
        return self.replacements.of("credit_card", text)

    def _path(self, path: str) -> tuple[str, tuple[str, ...]]:
        found: list[str] = []
        return self._fixed(self._credentials.path, path, found), tuple(found)

    def _source_line(self, line: str) -> tuple[str, tuple[str, ...]]:
        found: list[str] = []
        return self._fixed(self._credentials.source_line, line, found), tuple(found)

    def _fixed(self, without: Callable[[str], str], text: str, found: list[str]) -> str:
        """``text`` without credentials and values, looked through until nothing is found.

        Something may begin only where something else was cut out.
        """
        for _ in range(MAX_ROUNDS):
            # A short one is most often known, and costs no more without.
            if len(text) > MAX_KNOWN_CHARS and self._is_quiet(text):
                return text
            scrubbed = without(text) if _may_hold_credentials(text) else text
            readable = None
            if scrubbed == text and ("%" in text or "\\" in text):
                readable = Readable(text)
                scrubbed = _without_in_code(without, text, readable.text)
            if scrubbed is not text and scrubbed != text:
                more = scrubbed.count(REDACTED) - text.count(REDACTED)
                found += [CREDENTIAL] * max(1, more)
            if hits := self._scanner.find(scrubbed, readable if scrubbed == text else None):
                scrubbed = self._cut(scrubbed, hits, found)
            if scrubbed == text:
                return text
            text = scrubbed
        return text

    def _cut(self, text: str, hits: Sequence[Found], found: list[str]) -> str:
        parts: list[str] = []
        done = 0
        for start, end, kind, value in hits:
            if not self.replacements.keeps(value):
                parts += (text[done:start], self.replacements.of(kind, value))
                found.append(kind)
                done = end
        return "".join([*parts, text[done:]]) if parts else text


def _may_hold_credentials(text: str) -> bool:
    return " " in text or ":" in text or "=" in text or "</" in text or "--" in text


def _without_in_code(without: Callable[[str], str], text: str, readable: str) -> str:
    """``text`` as a reader sees it without credentials, if it is only seen so that it has some."""
    scrubbed = text if readable == text else without(readable)
    if scrubbed in (text, readable):
        return text
    # Escapes stand for the halves of a character, which are one again.
    return scrubbed.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
