"""Attribute values as strict JSON carries them, and cut to a size a span may have.

What JSON or Relay cannot hold becomes text instead of vanishing: non-finite numbers and integers
beyond 64 bits (Relay stores 0 for both), bytes (Base64). A value that is cut keeps its beginning;
its original length is written to ``_meta``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from math import isfinite
from typing import Final

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.sentry.wire import Meta, MetaAnnotation

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1
MAX_DEPTH: Final = 16
"""Values nested deeper are written as text."""

MAX_DATA_BYTES: Final = 64 * 1024
"""Largest encoded attributes of one span in a transaction; with it no root brings an item above
1 MiB."""

# The worst a character can become: six bytes, as \u001f.
_MAX_BYTES_PER_CHAR: Final = 6
_BRACES_BYTES: Final = 2
_ELLIPSIS: Final = "..."
_BYTES_PER_ENTRY: Final = 32
_SMALLEST_CUT_BYTES: Final = 256


def make_json_safe(data: Attributes, key_chars: int, max_bytes: int = MAX_DATA_BYTES) -> Meta:
    """Replace what JSON cannot carry and cut what is too long, in place.

    Args:
        data: Attributes of one span.
        key_chars: Characters of all keys together; known once for many spans.
        max_bytes: Largest encoded size of all together.

    Returns:
        The ``_meta`` of the values that were cut; empty in the usual case.
    """
    chars = key_chars
    for value in data.values():
        kind = type(value)
        if kind is str:
            chars += len(value)  # type: ignore[arg-type]
        elif kind is int:
            if not MIN_INT <= value <= MAX_INT:  # type: ignore[operator]
                return _make_each_safe(data, max_bytes)
        elif kind is not bool and not (kind is float and isfinite(value)):  # type: ignore[arg-type]
            return _make_each_safe(data, max_bytes)
    if (chars + _BYTES_PER_ENTRY * len(data)) * _MAX_BYTES_PER_CHAR <= max_bytes:
        return {}
    return _cut_to_size(data, max_bytes)


def json_value(value: object, depth: int = 0) -> AttributeValue:
    """``value`` as a type strict JSON has; never fails, whatever was put into an attribute."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # A subclass, such as a member of a text enumeration, is not a plain string to encoders.
        return str.__str__(value)
    if isinstance(value, int):
        number = int(value)
        return number if MIN_INT <= number <= MAX_INT else _long_int_text(number)
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {str(key): json_value(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [json_value(inner, depth + 1) for inner in value]
    return _text_of(value)


def json_text(value: AttributeValue) -> str:
    """``value`` as one string: itself if it is text, else compact JSON."""
    if type(value) is str:
        return value
    return json.dumps(json_value(value), ensure_ascii=False, separators=(",", ":"))


def cut_text(text: str, max_chars: int) -> tuple[str, MetaAnnotation | None]:
    """``text`` within ``max_chars``, with the ``_meta`` annotation if it was cut."""
    if len(text) <= max_chars:
        return text, None
    kept = max_chars - len(_ELLIPSIS)
    annotation = MetaAnnotation(rem=[("!limit", "s", kept, max_chars)], len=len(text))
    return text[:kept] + _ELLIPSIS, annotation


def _make_each_safe(data: Attributes, max_bytes: int) -> Meta:
    for key, value in data.items():
        data[key] = json_value(value)
    return _cut_to_size(data, max_bytes)


def _cut_to_size(data: Attributes, max_bytes: int) -> Meta:
    """Shorten the longest values first, until all of them fit; short ones stay whole."""
    room = max_bytes - _BRACES_BYTES
    key_bytes = {key: _least_size(key, max_bytes) + 2 for key in data}
    value_bytes = {key: _least_size(value, max_bytes) for key, value in data.items()}
    if sum(key_bytes.values()) + sum(value_bytes.values()) <= room:
        return {}
    meta: Meta = {}
    for key in _entries_beyond_the_limit(key_bytes, value_bytes, room):
        meta[""] = MetaAnnotation(len=len(key_bytes))
        del data[key]
        del value_bytes[key]
    room -= sum(key_bytes[key] for key in data)
    limit = _fair_share(sorted(value_bytes.values()), room)
    for key, size in value_bytes.items():
        if size > limit:
            data[key], annotation = _cut_to_bytes(json_text(data[key]), limit)
            if annotation is not None:
                meta[key] = {"": annotation}
    return meta


def _cut_to_bytes(text: str, max_bytes: int) -> tuple[str, MetaAnnotation | None]:
    max_chars = min(len(text), max_bytes - 2)
    while True:
        cut, annotation = cut_text(text, max_chars)
        size = _json_size(cut)
        if size <= max_bytes:
            return cut, annotation
        # In proportion, but always less: the costly characters may stand at the front.
        max_chars = max(len(_ELLIPSIS), min(max_chars - 1, max_chars * max_bytes // size))


def _entries_beyond_the_limit(
    key_bytes: dict[str, int], value_bytes: dict[str, int], room: int
) -> list[str]:
    """Entries for which there is no room even if every value is cut to the bone."""
    beyond = []
    for key, size in value_bytes.items():
        needed = key_bytes[key] + min(size, _SMALLEST_CUT_BYTES)
        if needed <= room:
            room -= needed
        else:
            beyond.append(key)
    return beyond


def _fair_share(ascending_sizes: list[int], budget: int) -> int:
    """The largest size each entry may have so that all together stay within ``budget``."""
    remaining = len(ascending_sizes)
    for size in ascending_sizes:
        if size * remaining > budget:
            return budget // remaining
        budget -= size
        remaining -= 1
    return budget


def _least_size(value: AttributeValue, max_bytes: int) -> int:
    # Beyond the limit the exact size does not matter, and encoding would be the whole cost.
    if type(value) is str and len(value) > max_bytes:
        return len(value)
    return _json_size(value)


def _json_size(value: object) -> int:
    return len(encode_json(value))


def _long_int_text(value: int) -> str:
    # Decimal text of very long integers is refused by Python, and slow.
    return str(value) if value.bit_length() <= 4096 else hex(value)


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
