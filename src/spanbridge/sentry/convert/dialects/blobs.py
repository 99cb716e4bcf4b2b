"""Pictures, sounds and files inside of content are replaced; their length stays."""

from __future__ import annotations

import re
from typing import Final

from spanbridge.model.span import AttributeValue

SUBSTITUTE: Final = "[Blob substitute]"
"""Sentry's own word for it."""
LENGTH: Final = "original_length"
"""Beside what was replaced: its length in characters."""

_DATA_URL: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*;base64,")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_LEAST_CHARS: Final = 1024
"""Text in the alphabet of Base64 without a gap, from this length on, is no text."""
_HEAD_CHARS: Final = 256
_MAX_DEPTH: Final = 16


def without_blobs(value: AttributeValue, depth: int = 0) -> AttributeValue:
    """``value`` with every data URL and long Base64 text in it replaced, at every depth.

    It is made of JSON's own types.
    """
    if isinstance(value, str):
        return SUBSTITUTE if is_blob(value) else value
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        replaced: dict[str, AttributeValue] = {}
        for key, inner in value.items():
            new = replaced[key] = without_blobs(inner, depth + 1)
            if new is SUBSTITUTE and isinstance(inner, str):
                replaced[LENGTH] = len(inner)
        return replaced
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [without_blobs(inner, depth + 1) for inner in value]
    return value


def is_blob(text: str) -> bool:
    """Whether a text is no text but the contents of a file."""
    if len(text) < _LEAST_CHARS and not text.startswith("data:"):
        return False
    if text.startswith("data:"):
        return _DATA_URL.match(text) is not None
    return _looks_random(text) and _BASE64.fullmatch(text) is not None


def _looks_random(text: str) -> bool:
    head = text[:_HEAD_CHARS]
    return not (head.isupper() or head.islower()) and any(map(str.isdigit, head))
