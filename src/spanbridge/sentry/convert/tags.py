"""Tags as Relay keeps them: known characters, one line, text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from spanbridge.model.span import AttributeValue
from spanbridge.sentry.convert.attributes import json_text

MAX_TAG_CHARS: Final = 200
"""Limit of a key and of a value; Relay cuts longer values and drops longer keys."""

RESERVED: Final = frozenset({"release", "environment", "dist", "user", "filename", "function"})
"""Keys Relay removes, because fields of these names exist."""

_FORBIDDEN_IN_KEY: Final = re.compile(r"[^a-zA-Z0-9_.:\-]")
# White space shrinks, so more is read than is kept; but not all of a very long text.
_MAX_READ_CHARS: Final = 5 * MAX_TAG_CHARS
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


@lru_cache(maxsize=512)
def tag_key(text: str) -> str | None:
    """``text`` as a tag key, or ``None`` if Relay would not keep it."""
    key = _FORBIDDEN_IN_KEY.sub("-", text)[:MAX_TAG_CHARS]
    return None if not key or key in RESERVED else key


def tag_value(value: AttributeValue) -> str | None:
    """``value`` as a tag value, or ``None`` if nothing is left of it."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is str and _is_clean(value):  # half the time of what follows, 0.3 us
        return value
    text = " ".join(json_text(value)[:_MAX_READ_CHARS].split())
    if not text.isprintable():
        text = " ".join(_UNPRINTABLE.sub("", text).split())  # they may have stood between spaces
    if len(text) > MAX_TAG_CHARS:
        text = f"{text[: MAX_TAG_CHARS - 3]}..."
    return text or None


def _is_clean(text: str) -> bool:
    """Whether nothing has to be done to ``text``."""
    if not (0 < len(text) <= MAX_TAG_CHARS and text.isprintable()):
        return False
    # The space is the only white space that is printable.
    return " " not in text or ("  " not in text and text.strip() == text)
