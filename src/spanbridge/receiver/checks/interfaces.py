"""The parts of an event that are objects of their own: user, request, and what stands beside them.

Source: Sentry develop docs, "User Interface", "Request Interface", "Event Payloads"; types as
Relay's normaliser expects them. It removes what has another one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from spanbridge.receiver.checks.fields import check_text, is_number
from spanbridge.receiver.records import Json, JsonObject, Violation

_Shape: TypeAlias = tuple[Callable[[Json], bool], str]


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict)


def _is_object_of_texts(value: Json) -> bool:
    return isinstance(value, dict) and all(
        one is None or isinstance(one, str) for one in value.values()
    )


def _is_values(value: Json) -> bool:
    return isinstance(value, list) or (
        isinstance(value, dict) and isinstance(value.get("values"), list | None)
    )


def _is_pairs(value: Json) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value)
    )


def _is_text_or_pairs(value: Json) -> bool:
    return isinstance(value, str) or _is_pairs(value)


def _is_address(value: Json) -> bool:
    if value == "{{auto}}":
        return True
    try:
        # The server knows no zones ("fe80::1%eth0").
        return isinstance(value, str) and "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


_TEXT: Final[_Shape] = (_is_text, "no text")
_OBJECT: Final[_Shape] = (_is_object, "no object")
_PAIRS: Final[_Shape] = (_is_pairs, "neither an object nor a list of pairs")
_TEXT_OR_PAIRS: Final[_Shape] = (_is_text_or_pairs, "neither a text, an object nor a list of pairs")
_VALUES: Final[_Shape] = (_is_values, "no list of values")

_EVENT: Final[Mapping[str, _Shape]] = {
    "platform": _TEXT,
    "server_name": _TEXT,
    "site": _TEXT,
    "user": _OBJECT,
    "request": _OBJECT,
    "extra": _OBJECT,
    "modules": (_is_object_of_texts, "no object of texts"),
    "threads": _VALUES,
    "debug_meta": _OBJECT,
}
_USER: Final[Mapping[str, _Shape]] = {
    "ip_address": (_is_address, "no IP address"),
    "geo": _OBJECT,
    "data": _OBJECT,
}
_USER_TEXTS: Final = {"id": 128, "username": 128, "name": 128, "email": 75}
_MAY_BE_NUMBERS: Final = frozenset({"id", "username"})
_REQUEST: Final[Mapping[str, _Shape]] = {
    "url": _TEXT,
    "method": _TEXT,
    "fragment": _TEXT,
    "query_string": _TEXT_OR_PAIRS,
    "cookies": _TEXT_OR_PAIRS,
    "headers": _PAIRS,
    "env": _OBJECT,
}


def check_interfaces(payload: JsonObject) -> Iterator[Violation]:
    """The parts of an event have the types that the server expects."""
    for field, shape in _EVENT.items():
        yield from _check(payload.get(field), shape, f"event.{field}", field)
    user, request = payload.get("user"), payload.get("request")
    if isinstance(user, dict):
        yield from _check_user(user)
    if isinstance(request, dict):
        for field, shape in _REQUEST.items():
            yield from _check(request.get(field), shape, "event.request", f"request.{field}")


def _check_user(user: JsonObject) -> Iterator[Violation]:
    for field, shape in _USER.items():
        yield from _check(user.get(field), shape, "event.user", f"user.{field}")
    for field, longest in _USER_TEXTS.items():
        value = user.get(field)
        is_lenient = field in _MAY_BE_NUMBERS and (is_number(value) or isinstance(value, bool))
        if value is not None and not is_lenient:
            yield from check_text(value, longest, "event.user", f"user.{field}")


def _check(value: Json, shape: _Shape, rule: str, where: str) -> Iterator[Violation]:
    is_right, fault = shape
    if value is not None and not is_right(value):
        yield Violation(rule, where, f"is {fault}")
