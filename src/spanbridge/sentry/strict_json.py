"""Records to JSON that every parser takes: no NaN, no lone surrogates, no surprises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


def encode_json(value: object) -> bytes:
    """``value`` as compact UTF-8 JSON.

    Text with lone surrogates is repaired (U+FFFD in their place), which costs nothing unless
    there are any. Values of an unknown type become their text.
    """
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, TypeError):
        return _ENCODER.encode(_repaired(msgspec.to_builtins(value, enc_hook=_plain)))


def _plain(value: object) -> object:
    """Subclasses of the plain types, and whatever else an attribute held."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}
    return str(value)


def _repaired(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_repaired(str(key)): _repaired(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_repaired(inner) for inner in value]
    return value


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
