"""What a page says to whoever reads it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_UNREAD = {"script", "style", "head", "svg"}
_WITHIN_A_LINE = {"span", "b", "i", "em", "a", "code"}


class Page:
    """The text of an HTML page, one line for each block element.

    Text in italics stands between underscores: so Bugsink tells frames of libraries from the
    application's own.
    """

    def __init__(self, html: str) -> None:
        reader = _Reader()
        reader.feed(html)
        reader.close()
        self.lines = [line for text in reader.blocks if (line := " ".join(text.split()))]

    def says(self, *texts: str) -> bool:
        """Whether these lines are there, in this order, with anything between them."""
        rest = iter(self.lines)
        return all(text in rest for text in texts)

    def after(self, label: str) -> str:
        """The line that follows the line ``label``: the value beside its name."""
        return self.lines[self.lines.index(label) + 1]

    def matching(self, pattern: str) -> list[str]:
        """The lines that ``pattern`` fits wholly."""
        return [line for line in self.lines if re.fullmatch(pattern, line)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [""]
        self._unread_depth = 0
        self._span_ends: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread_depth += tag in _UNREAD
        self._break(tag)
        if tag == "span":
            self._span_ends.append("_" if ("class", "italic") in attrs else "")
            self.blocks[-1] += self._span_ends[-1]

    def handle_endtag(self, tag: str) -> None:
        self._unread_depth -= tag in _UNREAD
        self._break(tag)
        if tag == "span":
            self.blocks[-1] += self._span_ends.pop()

    def handle_data(self, data: str) -> None:
        if not self._unread_depth:
            self.blocks[-1] += data

    def _break(self, tag: str) -> None:
        if tag not in _WITHIN_A_LINE:
            self.blocks.append("")
