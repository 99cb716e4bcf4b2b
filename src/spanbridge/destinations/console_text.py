"""Texts as a terminal shows them."""

from __future__ import annotations

from typing import Final

MAX_LINE: Final = 100
"""Characters of a line; what is longer is cut."""
MAX_SHOWN_TEXT: Final = 60


def short(value: object) -> str:
    """A value on one line, cut where it is long."""
    return cut(plain(str(value)), MAX_SHOWN_TEXT)


def plain(text: str) -> str:
    """``text`` on one line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """``text`` without what a terminal would obey."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def cut(text: str, length: int) -> str:
    """``text`` in at most ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
