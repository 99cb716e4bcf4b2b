"""The application's own functions, which see each value of a record before all rules do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanbridge.settings.privacy import PrivacyFunction

Record = TypeVar("Record", bound=msgspec.Struct)

MAX_DEPTH: Final = 32
# What ties records together, words of ours and of the protocols, and what is told of by itself.
# Numbers and switches of a record itself, as its times, are structure too.
_STRUCTURE: Final = frozenset({
    "trace_id", "span_id", "parent_span_id", "event_id", "kind", "status", "level", "mechanism",
    "relation", "resource", "scope",
})  # fmt: skip
_TOLD: Final = (str, Mapping, list, tuple, msgspec.Struct)
_PLAIN: Final = (str, bool, int, float, bytes)


class FunctionFailed(Exception):
    """A function of the application's raised, or returned what no value can be.

    Its message holds no value: it is written to a log.
    """


def told_by(functions: Sequence[PrivacyFunction], record: Record, place: str) -> Record:
    """``record`` as the functions leave it.

    Args:
        functions: Each takes the place and the value, and returns the value or ``None``.
        record: A span, an issue or a log record.
        place: What it is, the first word of each place: ``span.attributes.user.id``.

    Raises:
        FunctionFailed: One of them failed; the record must not leave.
    """
    changed: Record = _struct(functions, record, place, 0)
    return changed


def text_told_by(functions: Sequence[PrivacyFunction], text: str, place: str) -> str:
    """The same for a text alone; empty if nothing of it may leave."""
    told = _value(functions, text, place, 0)
    return "" if told is None else str(told)


def attributes_told_by(
    functions: Sequence[PrivacyFunction], attributes: Mapping[str, Any], place: str
) -> dict[str, Any]:
    """The same for attributes alone."""
    return _mapping(functions, attributes, place, 0)


def _struct(
    functions: Sequence[PrivacyFunction], record: Any, place: str, depth: int
) -> Any:  # a record of the model
    changes = {}
    for field in record.__struct_fields__:
        value = getattr(record, field)
        if field in _STRUCTURE or not isinstance(value, _TOLD):
            continue
        told = _value(functions, value, f"{place}.{field}", depth + 1)
        if told is not value:
            changes[field] = "" if told is None and isinstance(value, str) else told
    return msgspec.structs.replace(record, **changes) if changes else record


def _mapping(
    functions: Sequence[PrivacyFunction], values: Mapping[str, Any], place: str, depth: int
) -> dict[str, Any]:
    told = {
        key: _value(functions, value, f"{place}.{key}", depth + 1) for key, value in values.items()
    }
    return {key: value for key, value in told.items() if value is not None}


def _value(functions: Sequence[PrivacyFunction], value: Any, place: str, depth: int) -> Any:
    if isinstance(value, msgspec.Struct):
        return _struct(functions, value, place, depth)
    if depth > MAX_DEPTH:
        raise FunctionFailed(f"a value in {place.partition('.')[0]} is nested too deep")
    if isinstance(value, Mapping):
        return _mapping(functions, value, place, depth)
    if isinstance(value, list | tuple):
        told = [_value(functions, inner, place, depth + 1) for inner in value]
        return type(value)([inner for inner in told if inner is not None])
    for function in functions:
        value = _called(function, place, value)
        if value is None:
            return None
    return value


def _called(function: PrivacyFunction, place: str, value: Any) -> Any:
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        told = function(place, value)
    except BaseException as error:  # also SystemExit: it must not end the worker
        raise FunctionFailed(f"{name} raised {type(error).__name__}") from None
    if told is not None and not isinstance(told, _PLAIN):
        raise FunctionFailed(f"{name} returned {type(told).__name__}")
    if isinstance(value, str) and told is not None and not isinstance(told, str):
        raise FunctionFailed(f"{name} returned {type(told).__name__} for a text")
    return told
