"""JSON of records that every parser takes, whatever their attributes hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


def encode_json(value: object) -> bytes:
    """``value`` as compact UTF-8 JSON, without NaN or lone surrogates (:func:`plain_text`).

    What JSON cannot hold becomes text. The repair costs nothing unless it is needed.
    """
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, TypeError):  # the second: a key that is no text
        return _ENCODER.encode(_repaired(msgspec.to_builtins(value, enc_hook=_plain)))


def plain_text(text: str) -> str:
    """``text`` as plain ``str`` that UTF-8 can hold: U+FFFD in place of lone surrogates."""
    plain = str.__str__(text)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return plain


def _plain(value: object) -> object:
    """What a subclass is below (``Markup`` a text, ``numpy.float64`` a number); else its text.

    By the base class's own method, as whatever a subclass puts in its place may fail.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, Mapping):
        return {_key(key): inner for key, inner in value.items()}
    return str(value)


def _repaired(value: object) -> object:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict):
        return {_key(key): _repaired(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_repaired(inner) for inner in value]
    return value


def _key(key: object) -> str:
    return plain_text(key if isinstance(key, str) else str(key))


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
