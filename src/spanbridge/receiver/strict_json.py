"""JSON as a strict server reads it, with the reasons why it would not."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from spanbridge.receiver.records import Json

_STRICT = msgspec.json.Decoder()


class JsonReading(msgspec.Struct, frozen=True):
    """What a text holds, as far as it can be read, and what is wrong with it."""

    value: Json
    """``None`` if it cannot be read even with tolerance."""
    problems: tuple[str, ...] = ()
    duplicate_keys: tuple[str, ...] = ()


def read_json(raw: bytes) -> JsonReading:
    """Read JSON and name every departure from RFC 8259.

    Found are NaN and infinities, numbers beyond a double, bad UTF-8, lone surrogates, control
    characters, a byte order mark, trailing text, nesting without end, and keys given twice.
    """
    problems: list[str] = []
    try:
        _STRICT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(str(error))
    duplicate_keys: list[str] = []
    value = _read_tolerantly(raw, duplicate_keys, has_problems=bool(problems))
    return JsonReading(value, tuple(problems), tuple(duplicate_keys))


def read_stored_json(raw: bytes) -> Json:
    """What :func:`read_json` gives as ``value``, fast for what is valid."""
    try:
        return _STRICT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_json(raw).value


def _read_tolerantly(raw: bytes, duplicate_keys: list[str], *, has_problems: bool) -> Json:
    def take_object(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
        taken = dict(pairs)
        if len(taken) != len(pairs):
            names = [name for name, _ in pairs]
            duplicate_keys.extend(name for name in taken if names.count(name) > 1)
        return taken

    try:
        value = json.loads(raw.decode("utf-8", "replace"), object_pairs_hook=take_object)
        # Lone surrogates could be neither stored nor shown.
        return (
            json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
            if (has_problems)
            else value
        )
    except (ValueError, RecursionError):
        return None
