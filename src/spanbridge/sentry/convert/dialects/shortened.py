"""Content as JSON text that stays JSON when it has to be cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import AttributeValue
from spanbridge.sentry.convert.attributes import cut_text
from spanbridge.sentry.wire import MetaAnnotation

MAX_CONTENT_BYTES: Final = 20_000
"""Of one attribute, encoded. Sentry's own SDK keeps as much."""

_LIMITS_CHARS: Final = (8_000, 2_000, 500, 100)
_ELLIPSIS: Final = "..."
_MAX_DEPTH: Final = 16


def shortened_json(value: AttributeValue) -> tuple[str, MetaAnnotation | None]:
    """The JSON text of ``value`` within the limit, and the ``_meta`` annotation if it was cut.

    Long texts inside are cut first, the longest the most. Of a list that is still too long the
    latest entries are kept. The annotation's length is that of the whole JSON text. ``value`` is
    made of JSON's own types.
    """
    text = _json_of(value)
    if _fits(text):
        return text, None
    annotation = MetaAnnotation(rem=[("!limit", "x")], len=len(text))
    for limit in _LIMITS_CHARS:
        cut = _with_texts_cut(value, limit)
        text = _json_of(cut)
        if _fits(text):
            return text, annotation
        if isinstance(cut, list) and len(cut) > 1:
            latest = _json_of(_latest(cut))
            if _fits(latest):
                return latest, annotation
    return cut_text(text, MAX_CONTENT_BYTES // 6)[0], annotation


def _latest(entries: list[AttributeValue]) -> list[AttributeValue]:
    room = MAX_CONTENT_BYTES
    begin = len(entries)
    while begin > 0:
        room -= len(encode_json(_json_of(entries[begin - 1]))) + 1
        if room < 2:
            break
        begin -= 1
    return entries[max(0, min(begin, len(entries) - 1)) :]


def _json_of(value: AttributeValue) -> str:
    if isinstance(value, str):
        return value
    return encode_json(value).decode()


def _fits(text: str) -> bool:
    return len(text) <= MAX_CONTENT_BYTES and len(encode_json(text)) <= MAX_CONTENT_BYTES


def _with_texts_cut(value: AttributeValue, limit: int, depth: int = 0) -> AttributeValue:
    if isinstance(value, str):
        return value if len(value) <= limit else value[: limit - len(_ELLIPSIS)] + _ELLIPSIS
    if depth >= _MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {k: _with_texts_cut(inner, limit, depth + 1) for k, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts_cut(inner, limit, depth + 1) for inner in value]
    return value
