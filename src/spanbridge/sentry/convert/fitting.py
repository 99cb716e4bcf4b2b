"""Mappings of an event within a number of encoded bytes, so that the event stays within its own.

What surely fits is not encoded to find out: nearly everything is short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Final

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.sentry.convert.attributes import MAX_INT, MIN_INT, cut_text, json_value
from spanbridge.sentry.wire import Meta, MetaAnnotation

MAX_CONTEXT_BYTES: Final = 7_600
"""Relay keeps 8 KiB of a context; some room for its own counting."""
MAX_CONTEXT_VALUE_CHARS: Final = 1_000

_PUNCTUATION_BYTES: Final = 6
"""Quotes, colon and comma of an entry."""
_MOST_NUMBER_BYTES: Final = 25
_MOST_ANNOTATION_BYTES: Final = 80
_MOST_PRINTABLE_BYTES: Final = 4
"""The most a printable character can become; an escaped quote takes two."""


def fit_context(
    attributes: Attributes, max_bytes: int = MAX_CONTEXT_BYTES
) -> tuple[Attributes, Meta]:
    """The attributes that fit into one context, the smallest first, and the ``_meta`` of the rest.

    Values are made safe for JSON; nested ones become text where Relay would not keep their depth.
    """
    plain = _if_small(attributes, max_bytes)
    if plain is not None:
        return plain, {}
    candidates: list[tuple[int, str, Attributes, MetaAnnotation | None]] = []
    for key, value in attributes.items():
        if value is None or value == "":
            continue
        safe = json_value(value)
        annotation = None
        if isinstance(safe, str):
            safe, annotation = cut_text(safe, MAX_CONTEXT_VALUE_CHARS)
        elif not isinstance(safe, bool | int | float):
            text = encode_json(safe).decode()
            safe, annotation = cut_text(text, MAX_CONTEXT_VALUE_CHARS)
        entry: Attributes = {key: safe}
        size = len(encode_json(entry))
        if annotation is not None:  # which repeats the key
            size += len(encode_json(key)) + _MOST_ANNOTATION_BYTES
        candidates.append((size, key, entry, annotation))
    candidates.sort(key=lambda candidate: candidate[0])
    fitting: Attributes = {}
    meta: Meta = {}
    for size, key, entry, annotation in candidates:
        max_bytes -= size
        if max_bytes < 0:
            meta[""] = MetaAnnotation(len=len(candidates))
            break
        fitting.update(entry)
        if annotation is not None:
            meta[key] = {"": annotation}
    return fitting, meta


def fit_texts(texts: Mapping[str, str], max_bytes: int) -> dict[str, str]:
    """As many entries as fit, the first before the later."""
    if most_bytes(texts) + most_bytes(texts.values()) <= max_bytes:
        return dict(texts)
    fitting: dict[str, str] = {}
    for key, text in texts.items():
        max_bytes -= len(encode_json(key)) + len(encode_json(text)) + 2
        if max_bytes < 0:
            break
        fitting[key] = text
    return fitting


def most_bytes(texts: Iterable[str]) -> int:
    """What the texts can take at most once encoded, found without encoding the ordinary ones."""
    total = 0
    for text in texts:
        if text.isprintable():
            total += (2 if text.isascii() else _MOST_PRINTABLE_BYTES) * len(text)
        else:
            total += 6 * len(text)
        total += _PUNCTUATION_BYTES
    return total


def _if_small(attributes: Attributes, max_bytes: int) -> Attributes | None:
    """The attributes themselves if they are plain and short beyond doubt."""
    kept: Attributes = {}
    texts: list[str] = []
    numbers = 0
    for key, value in attributes.items():
        if value is None or value == "":
            continue
        if not _is_plain(value):
            return None
        if type(value) is str:
            if len(value) > MAX_CONTEXT_VALUE_CHARS:
                return None
            texts.append(value)
        else:
            numbers += 1
        kept[key] = value
    size = most_bytes(texts) + most_bytes(kept) + _MOST_NUMBER_BYTES * numbers
    return kept if size <= max_bytes else None


def _is_plain(value: AttributeValue) -> bool:
    kind = type(value)
    if kind is int:
        return MIN_INT <= value <= MAX_INT  # type: ignore[operator]
    if kind is float:
        return isfinite(value)  # type: ignore[arg-type]
    return kind is str or kind is bool
