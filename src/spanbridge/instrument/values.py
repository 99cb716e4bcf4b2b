"""Any Python value as an attribute value that every OpenTelemetry SDK takes without a warning."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import json
import math
import numbers
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from typing import Final, TypeAlias

Scalar: TypeAlias = str | bool | int | float
AttributeValue: TypeAlias = Scalar | list[str] | list[bool] | list[int] | list[float]

MAX_DEPTH: Final = 8
"""Levels of nesting that are kept; what lies deeper becomes :data:`CUT`."""
MAX_NODES: Final = 1_000
"""Values in one structure that are kept."""
MAX_TEXT_CHARS: Final = 16_384
"""Length of the text of a structure or of an unknown object. A plain ``str`` is not shortened."""
CUT: Final = "…"
"""Stands where something was left out."""

_JsonNode: TypeAlias = "Scalar | None | list[_JsonNode] | dict[str, _JsonNode]"
_INT64 = range(-(2**63), 2**63)
_PLAIN: Final = frozenset({bool, int, float, str})
_HOMOGENEOUS: Final = (frozenset({str}), frozenset({bool}), frozenset({int}), frozenset({float}))


def attribute_value(value: object) -> AttributeValue | None:
    """The value to set as a span or event attribute.

    Never raises and never yields a type that older or newer SDKs treat differently:

    - text, numbers and booleans stay; so do sequences of one such type,
    - ``NaN``, infinities and integers beyond 64 bits become text,
    - ``bytes`` become their UTF-8 text, else base64,
    - enum members become their value, dates ISO 8601, a ``timedelta`` seconds, a ``Decimal`` a
      float if that loses nothing, else text,
    - sets become sorted lists,
    - mappings, dataclasses, pydantic and attrs models, named tuples and mixed or nested sequences
      become JSON with sorted keys, cut at :data:`MAX_DEPTH` and :data:`MAX_NODES`,
    - anything else becomes its ``str()``, or the name of its type if it has none of its own.

    Returns:
        ``None`` if there is nothing to set.
    """
    kind = type(value)
    if kind is str or kind is bool or kind is int or kind is float:
        return _scalar(value)  # type: ignore[arg-type]  # the line above checked it
    if value is None:
        return None
    try:
        return _from_node(_Reader().read(value))
    except Exception:  # a value with hostile special methods must not harm its owner
        return _type_name(value)


def attribute_values(values: Mapping[str, object]) -> dict[str, AttributeValue]:
    """Attributes of any Python type, ready for a span or event.

    ``None`` is left out, and so is what has an empty name. A name that is no text becomes one.
    """
    read = {
        name if type(name) is str else _name(name): attribute_value(value)
        for name, value in values.items()
    }
    return {name: value for name, value in read.items() if value is not None and name}


def _name(name: object) -> str:
    try:
        return _key(name)
    except Exception:  # of a hostile ``__str__``
        return _type_name(name)


def _from_node(node: _JsonNode) -> AttributeValue | None:
    if isinstance(node, list):
        types = frozenset(map(type, node))
        if not node or types in _HOMOGENEOUS:
            return node  # type: ignore[return-value]  # one scalar type, as just checked
        if types == {int, float}:
            return [float(item) for item in node if isinstance(item, int | float)]
    if isinstance(node, list | dict):
        return _cut(json.dumps(node, sort_keys=True, ensure_ascii=False, separators=(",", ":")))
    return node


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - len(CUT)] + CUT


def _scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, bool) or value in _INT64:
        return value
    return _big_integer(value)


def _encodable(text: str) -> str:
    # A lone surrogate cannot be encoded; exporters would drop the attribute or the whole batch.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _finite(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _big_integer(value: int) -> str:
    # str() of a huge integer raises ValueError and would take quadratic time; hex does not.
    return str(value) if value.bit_length() <= 4096 else _cut(hex(value))


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


class _Reader:
    """Reads one value into JSON types, within the limits."""

    def __init__(self) -> None:
        self._nodes_left = MAX_NODES

    def read(self, value: object, depth: int = 0) -> _JsonNode:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            return CUT
        if value is None:
            return None
        if isinstance(value, enum.Enum):
            return self.read(value.value, depth)
        if type(value) in _PLAIN:
            return _scalar(value)  # type: ignore[arg-type]  # as just checked
        for kind, convert in _SCALAR_KINDS:
            if isinstance(value, kind):
                return convert(value)
        if depth >= MAX_DEPTH:
            return CUT
        return self._structure(value, depth)

    def _structure(self, value: object, depth: int) -> _JsonNode:
        fields = _fields(value)
        if fields is not None:
            return self._mapping(fields, depth)
        if isinstance(value, Set):
            return self._set(value, depth)
        if isinstance(value, Sequence):
            return self._items(value, depth)
        if callable(convert := getattr(value, "tolist", None)):  # numpy's arrays and scalars
            return self._array(value, convert, depth)
        return _text(value)

    def _mapping(self, fields: Mapping[object, object], depth: int) -> _JsonNode:
        node: dict[str, _JsonNode] = {}
        for key, item in fields.items():
            if self._nodes_left <= 0:
                node[CUT] = CUT
                break
            if item is not None:
                node[_key(key)] = self.read(item, depth + 1)
        return node

    def _set(self, value: Set[object], depth: int) -> _JsonNode:
        node = self._items(value, depth)
        return sorted(node, key=lambda item: (type(item).__name__, json.dumps(item)))

    def _items(self, values: Iterable[object], depth: int) -> list[_JsonNode]:
        node: list[_JsonNode] = []
        for item in values:
            if self._nodes_left <= 0:
                node.append(CUT)
                break
            node.append(self.read(item, depth + 1))
        return node

    def _array(self, value: object, convert: Callable[[], object], depth: int) -> _JsonNode:
        if getattr(value, "size", 0) > MAX_NODES:  # do not copy a large one only to cut it
            return f"{_type_name(value)}{getattr(value, 'shape', '')}"
        return self.read(convert(), depth)


def _fields(value: object) -> Mapping[object, object] | None:
    """The named parts of a mapping or of an object that declares its fields."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.repr}
    if callable(dump := getattr(value, "model_dump", None)):  # pydantic, SQLModel
        dumped = dump()
        return dumped if isinstance(dumped, Mapping) else None
    names = getattr(value, "__struct_fields__", None) or getattr(value, "_fields", None)  # msgspec
    if names is None:
        names = [a.name for a in getattr(value, "__attrs_attrs__", ()) if a.repr]
    return {name: getattr(value, name) for name in names} if names else None


def _key(key: object) -> str:
    return _encodable(key) if isinstance(key, str) else _cut(_encodable(str(key)))


def _text(value: object) -> str:
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return _type_name(value)  # the default text is a memory address: useless and never equal
    if isinstance(value, type) or callable(value):
        return str(getattr(value, "__qualname__", None) or _type_name(value))
    return _cut(_encodable(str(value)))


def _decimal(value: Decimal) -> Scalar:
    if not value.is_finite():
        return _cut(str(value))
    number = float(value)
    return number if math.isfinite(number) and Decimal(repr(number)) == value else _cut(str(value))


def _binary(value: bytes | bytearray | memoryview) -> str:
    data = bytes(value[:MAX_TEXT_CHARS])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = base64.b64encode(data).decode("ascii")
    return _cut(text) if len(value) <= MAX_TEXT_CHARS else _cut(text[:-1] + CUT)


# Checked in this order: a bool is an int, a datetime is a date.
_SCALAR_KINDS: Final[Sequence[tuple[type, Callable[..., Scalar]]]] = (
    (str, lambda value: _encodable(str.__str__(value))),
    (bool, bool),
    (numbers.Integral, lambda value: _scalar(int(value))),
    (Decimal, _decimal),
    (numbers.Real, lambda value: _finite(float(value))),
    (bytes, _binary),
    (bytearray, _binary),
    (memoryview, _binary),
    (dt.datetime, dt.datetime.isoformat),
    (dt.date, dt.date.isoformat),
    (dt.time, dt.time.isoformat),
    (dt.timedelta, dt.timedelta.total_seconds),
    (uuid.UUID, str),
    (os.PathLike, lambda value: _encodable(os.fsdecode(value))),
)
