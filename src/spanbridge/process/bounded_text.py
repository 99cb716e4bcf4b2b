"""What the application logs, as bounded copies that keep none of its objects alive.

No method of the application's own classes is called for it: it may hold a lock that its ``__str__``
wants too, and no handler need ever have asked for the text.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

MAX_BODY_CHARS: Final = 8_192
"""As much as Sentry's server keeps of a message."""
MAX_VALUE_CHARS: Final = 2_048
"""Longest text of an attribute."""
MAX_ATTRIBUTES: Final = 64
MAX_ITEMS: Final = 20
"""How much is shown of a collection that is written as Python would; the rest is an ellipsis."""
_MAX_DEPTH: Final = 3

Plain: TypeAlias = "str | bool | int | float"

_NUMBERS: Final = frozenset({bool, int, float})
_PLAIN: Final = _NUMBERS | {str, bytes, type(None)}
_TEXTUAL: Final = frozenset(
    {
        complex, Decimal, UUID, date, datetime, time, timedelta,
        PurePosixPath, PosixPath, PureWindowsPath, WindowsPath,
    }
)  # fmt: skip
"""Classes whose ``__str__`` is known to do nothing but that."""
_BRACKETS: Final[dict[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("{", "}"),
    dict: ("{", "}"),
}
_OS_FIELDS: Final = ("errno", "strerror", "filename", "filename2")
_UNPRINTABLE: Final = "<text cannot be made>"


class Shown(str):
    """A text that stands for an object, and so has no quotes around it as ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)


class ClassName(Shown):
    """The name of its class, for an object whose text only its own code could make."""

    __slots__ = ()


def body_of(value: object) -> str:
    """The body of a log record as text: JSON if it is a mapping or a sequence."""
    return _text_of(value, MAX_BODY_CHARS)


def attribute_of(value: object) -> Plain:
    """A value as an attribute: a number or a truth value as it is, anything else as text."""
    if type(value) in _NUMBERS:
        return value  # type: ignore[return-value]
    return _text_of(value, MAX_VALUE_CHARS)


def stand_in(value: Any) -> object:
    """What may be formatted in the place of ``value`` without running the application's code.

    A plain value is itself; of anything else it is a number or a :class:`Shown` text, and a
    :class:`ClassName` if there is no other way.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, str) and kind.__str__ is str.__str__:
        return str.__str__(value)
    return _shown(value, _MAX_DEPTH)


def _shown(value: Any, depth: int) -> Shown:
    kind = type(value)
    if kind in _PLAIN:
        return Shown(repr(value[:MAX_VALUE_CHARS] if isinstance(value, str | bytes) else value))
    if kind in _TEXTUAL:
        return Shown(value)
    if kind in _BRACKETS:
        return _shown_collection(value, depth)
    if issubclass(kind, Enum):
        return Shown(f"{kind.__name__}.{value.__dict__.get('_name_')}")
    if issubclass(kind, BaseException) and (text := _text_of_error(value)) is not None:
        return Shown(text)
    return ClassName(f"<{kind.__name__}>")


def _shown_collection(collection: Any, depth: int) -> Shown:
    opening, closing = _BRACKETS[type(collection)]
    if depth == 0:
        return Shown(f"{opening}…{closing}")
    parts: list[str]
    if isinstance(collection, dict):
        parts = [
            f"{_shown(key, depth - 1)}: {_shown(value, depth - 1)}"
            for key, value in islice(collection.items(), MAX_ITEMS)
        ]
    else:
        parts = [str(_shown(item, depth - 1)) for item in islice(collection, MAX_ITEMS)]
    if len(collection) > MAX_ITEMS:
        parts.append("…")
    return Shown(f"{opening}{', '.join(parts)}{closing}")


def _text_of_error(error: Any) -> str | None:
    """The text of an exception whose class leaves that to Python, and that holds plain values."""
    make: Any = type(error).__str__
    parts: tuple[object, ...] = _field(BaseException, "args", error)
    if make is OSError.__str__:
        parts += tuple(_field(OSError, name, error) for name in _OS_FIELDS)
    elif make not in (BaseException.__str__, KeyError.__str__):
        return None
    return make(error) if all(type(part) in _PLAIN for part in parts) else None


def _field(cls: type[BaseException], name: str, error: Any) -> Any:
    """What Python itself keeps, whatever a class of the application's own has put in its place."""
    return vars(cls)[name].__get__(error)


def _text_of(value: Any, limit: int) -> str:
    """Never raises an ``Exception``."""
    kind = type(value)
    try:
        if issubclass(kind, str):
            # Only an exact ``str`` is safe to keep: a subclass can carry anything along.
            return _printable(str.__str__(value)[:limit])
        if value is None:
            return ""
        if issubclass(kind, dict | list | tuple | bytes):
            return _printable(_json_of(value)[:limit])
        return _printable(str(stand_in(value))[:limit])
    except Exception:
        return _UNPRINTABLE


def _json_of(value: object) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=_in_json).decode()
    except Exception:  # it holds itself, a lone surrogate, or a key that is no text
        return str(_shown(value, _MAX_DEPTH))


def _in_json(value: object) -> str:
    return str.__str__(_shown(value, _MAX_DEPTH))


def _printable(text: str) -> str:
    if text.isascii():
        return text
    # A lone surrogate has no form in UTF-8, so no destination could take the record.
    return text.encode("utf-8", "backslashreplace").decode()
