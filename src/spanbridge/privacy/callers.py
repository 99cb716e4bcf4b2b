"""Where the variables of a request, as servers hand it over, hold the address of its caller."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from spanbridge.model.redaction import REDACTED

if TYPE_CHECKING:
    from spanbridge.model.failure import LocalValue

CALLER: Final = "client.address"
"""The attribute by whose name the settings say whether the address of a caller leaves."""

_ASGI_TYPES: Final = frozenset({"'http'", "'websocket'"})
_ASGI_MARKS: Final = frozenset({"asgi", "http_version"})
"""In no other mapping; ``type`` may be beyond what is read of a large one."""
_OF_WSGI: Final = frozenset({"werkzeug.socket", "gunicorn.socket", "HTTP_FORWARDED"})
"""Names in an environ that tell of it; written out, a socket says who is at its other end.

The others, as ``REMOTE_ADDR``, are on the list of names.
"""
_FORWARDED: Final = frozenset({"forwarded", "'forwarded'", "b'forwarded'"})
_CLIENT_IN_TEXT: Final = re.compile(r"""((['"])client\2: [(\[](['"]))(?!\[REDACTED\])[^'"]*""")
_PAIR_IN_TEXT: Final = re.compile(
    r"""([(\[]b?(['"])(?P<name>[\w-]{1,64})\2, b?(['"]))(?!\[REDACTED\])[^'"]*"""
)


def holds_caller(key: str, mapping: Mapping[str, LocalValue]) -> bool:
    """Whether the address of a caller is under ``key`` of a variable.

    Args:
        key: One of the keys.
        mapping: As it was read of a frame: its values are texts as ``repr`` gives them.

    Sources: ASGI, "HTTP & WebSocket ASGI Message Format", ``client`` of a connection scope; PEP
    3333, "environ Variables".
    """
    return key in _OF_WSGI or (key == "client" and _is_asgi_scope(mapping))


def _is_asgi_scope(mapping: Mapping[str, LocalValue]) -> bool:
    told = mapping.get("type")
    is_of_request = isinstance(told, str) and told in _ASGI_TYPES
    return is_of_request or not _ASGI_MARKS.isdisjoint(mapping)


def is_header_of_caller(name: str) -> bool:
    """Whether the first of a pair, also as ``repr`` gives it, is the header that proxies write.

    Source: RFC 7239, "Forwarded HTTP Extension".
    """
    return name.lower() in _FORWARDED


def without_caller(text: str) -> str:
    """The text of a variable without the address in a scope that is written out in it."""
    return _CLIENT_IN_TEXT.sub(rf"\1{REDACTED}", text) if "client" in text else text


def without_pairs(text: str, is_denied: Callable[[str], bool]) -> str:
    """The text of a variable without the values of headers that are written out in it."""
    if "', " not in text and '", ' not in text:
        return text
    return _PAIR_IN_TEXT.sub(
        lambda pair: f"{pair[1]}{REDACTED}" if is_denied(pair["name"]) else pair[0], text
    )
