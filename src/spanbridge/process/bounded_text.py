"""What the application logs, as bounded copies that keep none of its objects alive."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

MAX_BODY_CHARS: Final = 8_192
"""As much as Sentry's server keeps of a message."""
MAX_VALUE_CHARS: Final = 2_048
"""Longest text of an attribute."""
MAX_ATTRIBUTES: Final = 64

Plain: TypeAlias = "str | bool | int | float"

_PLAIN: Final = frozenset({bool, int, float})
_UNPRINTABLE: Final = "<text cannot be made>"


def body_of(value: object) -> str:
    """The body of a log record as text: JSON if it is a mapping or a sequence."""
    return _text_of(value, MAX_BODY_CHARS)


def attribute_of(value: object) -> Plain:
    """A value as an attribute: a number or a truth value as it is, anything else as text."""
    if type(value) in _PLAIN:
        return value  # type: ignore[return-value]
    return _text_of(value, MAX_VALUE_CHARS)


def _text_of(value: object, limit: int) -> str:
    """Never raises an ``Exception``, whatever the value does when it is asked for its text."""
    try:
        if isinstance(value, str):
            # Only an exact ``str`` is safe to keep: a subclass can carry anything along.
            return _printable(str.__str__(value)[:limit])
        if value is None:
            return ""
        if isinstance(value, Mapping | list | tuple | bytes):
            return _printable(_json_of(value)[:limit])
        return _printable(str.__str__(str(value))[:limit])
    except Exception:
        return _UNPRINTABLE


def _json_of(value: object) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=_in_json).decode()
    except Exception:  # it holds itself, a lone surrogate, or a key that is no text
        return reprlib.repr(value)


def _in_json(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else reprlib.repr(value)


def _printable(text: str) -> str:
    if text.isascii():
        return text
    # A lone surrogate has no form in UTF-8, so no destination could take the record.
    return text.encode("utf-8", "backslashreplace").decode()
