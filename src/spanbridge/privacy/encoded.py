"""Texts in which something is written in code: escapes of JSON, percent-encoding of URLs.

What a reader would see is searched, and what is found is cut out of the text as it stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple

MAX_LAYERS: Final = 4
"""JSON in JSON in a URL. What is written in a code within more layers stays unread."""

_CODE: Final = re.compile(
    r"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|([\"/bfnrt]))|%(0[9AaDd]|[2-7][0-9A-Fa-f])"
)
_SHORT: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_LINE_BREAKS: Final = ("\\n", "\\r", "\\t")


class _Layer(NamedTuple):
    text: str
    starts: list[int]
    """Ascending positions in ``text``; from one to the next it goes in step with the original."""
    origins: list[int]
    """Where these positions are in the original."""


class Readable:
    """A text without its codes.

    Args:
        text: As it stands.
    """

    __slots__ = ("_layers", "text")

    def __init__(self, text: str) -> None:
        self._layers: list[_Layer] = []
        self.text = text
        """The same as a reader sees it."""
        if "%" in text or "\\u" in text or "\\/" in text:
            while len(self._layers) < MAX_LAYERS and (layer := _decoded(self.text)) is not None:
                self._layers.append(layer)
                self.text = layer.text
        elif "\\" in text:
            # As long as before: only what begins behind a line break has to be seen apart.
            for line_break in _LINE_BREAKS:
                self.text = self.text.replace(line_break, "  ")

    def origin(self, position: int) -> int:
        """The place of a position of ``text`` in the original."""
        for layer in reversed(self._layers):
            index = bisect_right(layer.starts, position) - 1
            position += layer.origins[index] - layer.starts[index]
        return position


def _decoded(text: str) -> _Layer | None:
    parts: list[str] = []
    starts, origins = [0], [0]
    done = length = 0
    for code in _CODE.finditer(text):
        start, end = code.span()
        parts += (text[done:start], _character(*code.groups()))
        length += start - done
        starts += (length, length + 1)
        origins += (start, end)
        length += 1
        done = end
    if not parts:
        return None
    return _Layer("".join([*parts, text[done:]]), starts, origins)


def _character(escape: str | None, short: str | None, percent: str | None) -> str:
    if short is not None:
        return _SHORT.get(short, short)
    return chr(int(escape or percent or "", 16))
