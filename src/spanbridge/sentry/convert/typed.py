"""Attributes as the containers of spans and logs have them: each value with its type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.sentry.convert.attributes import json_text
from spanbridge.sentry.wire import Meta
from spanbridge.sentry.wire_container import TypedAttributes, TypedValue

MAX_INT: Final = 2**63 - 1
"""Relay drops an attribute with a larger integer; a transaction takes 64 bits without a sign."""

_PRIMITIVES: Final = frozenset({str, bool, int, float})
_NUMBERS: Final = frozenset({int, float})


def typed_attributes(data: Attributes) -> TypedAttributes:
    """``data`` with types; values that have none are left out, nested ones become JSON text.

    Args:
        data: Attributes that strict JSON can carry.
    """
    typed: TypedAttributes = {}
    for key, value in data.items():
        kind = type(value)
        if kind is str:
            typed[key] = TypedValue("string", value)
        elif kind is int:
            typed[key] = _integer(value)  # type: ignore[arg-type]
        elif kind is bool:
            typed[key] = TypedValue("boolean", value)
        elif kind is float:
            typed[key] = TypedValue("double", value)
        elif value is not None:
            typed[key] = _array_or_text(value)
    return typed


def text_value(text: str) -> TypedValue:
    """``text`` with its type."""
    return TypedValue("string", text)


def typed_meta(data_meta: Meta) -> Meta:
    """The ``_meta`` of attributes at the place that the values have in a container."""
    meta: Meta = {}
    for key, annotation in data_meta.items():
        meta[key] = {"value": annotation} if key else annotation
    return {"attributes": meta} if meta else {}


def _integer(value: int) -> TypedValue:
    return TypedValue("integer", value) if value <= MAX_INT else TypedValue("string", str(value))


def _array_or_text(value: AttributeValue) -> TypedValue:
    if isinstance(value, list | tuple) and _is_of_one_kind(value):
        return TypedValue("array", value)
    return TypedValue("string", json_text(value))


def _is_of_one_kind(values: Sequence[AttributeValue]) -> bool:
    kinds = set(map(type, values))
    if not (kinds <= _NUMBERS or (len(kinds) == 1 and kinds <= _PRIMITIVES)):
        return False
    return all(value <= MAX_INT for value in values if type(value) is int)
