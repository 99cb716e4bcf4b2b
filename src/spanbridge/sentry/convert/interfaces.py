"""The user and the request of a transaction, as far as the root span's attributes tell."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.attributes import json_text, json_value
from spanbridge.sentry.convert.fitting import fit_context
from spanbridge.sentry.convert.naming.http import request_url
from spanbridge.sentry.convert.naming.name import text_of
from spanbridge.sentry.wire import Request, User

MAX_EMAIL_CHARS: Final = 75
MAX_USER_CHARS: Final = 128
MAX_URL_CHARS: Final = 256
MAX_QUERY_CHARS: Final = 1024
MAX_HEADERS_BYTES: Final = 6_000
MAX_AGENT_CHARS: Final = 512
MAX_USER_DATA_BYTES: Final = 1_900
# Relay refuses any other request method; the attribute itself stays with the span.
_METHOD: Final = re.compile(r"[A-Za-z_-]{3,32}")

USER_ATTRIBUTES: Final = frozenset(
    {
        "user.id",
        "user.name",
        "user.full_name",
        "user.email",
        "user.ip_address",
        "user.hash",
        "user.roles",
    }
)
USER_DATA: Final = ("user.hash", "user.roles")
"""Attributes of a user Sentry has no field for."""

_HEADER_PREFIX: Final = "http.request.header."


def user_of(data: Attributes) -> User | None:
    """The user the application named; nothing is inferred, least of all an address."""
    if USER_ATTRIBUTES.isdisjoint(data):
        return None
    return User(
        id=_limited(data, "user.id", MAX_USER_CHARS),
        username=_limited(data, "user.name", MAX_USER_CHARS),
        name=_limited(data, "user.full_name", MAX_USER_CHARS),
        email=_limited(data, "user.email", MAX_EMAIL_CHARS),
        ip_address=_ip_address(data),
        data=_user_data(data),
    )


def request_of(span: SpanRecord, data: Attributes) -> Request | None:
    """The HTTP request a server span answered."""
    if span.kind != "server" or "http.request.method" not in data:
        return None
    method = text_of(data["http.request.method"])
    return Request(
        url=request_url(data)[:MAX_URL_CHARS] or None,
        method=method if _METHOD.fullmatch(method) else None,
        query_string=_query(data)[:MAX_QUERY_CHARS] or None,
        headers=_headers(data),
    )


def _query(data: Attributes) -> str:
    query = text_of(data.get("url.query"))
    return query or text_of(data.get("url.full")).partition("?")[2].partition("#")[0]


def _user_data(data: Attributes) -> Attributes:
    found: Attributes = {key: json_value(data[key]) for key in USER_DATA if key in data}
    if not found or len(encode_json(found)) <= MAX_USER_DATA_BYTES:
        return found
    return fit_context(found, MAX_USER_DATA_BYTES)[0]


def _limited(data: Attributes, key: str, max_chars: int) -> str | None:
    # The whole value stays in the data of the root span.
    return text_of(data.get(key))[:max_chars] or None


def _ip_address(data: Attributes) -> str | None:
    text = text_of(data.get("user.ip_address"))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _headers(data: Attributes) -> dict[str, str]:
    headers = {}
    room = MAX_HEADERS_BYTES
    for key in [key for key in data if key.startswith(_HEADER_PREFIX)]:
        # Instrumentation writes "_" where the conventions have "-".
        header = key.removeprefix(_HEADER_PREFIX).replace("_", "-")
        value = data[key]
        values = value if isinstance(value, list | tuple) else (value,)
        text = ", ".join(map(json_text, values))
        room -= len(encode_json(header)) + len(encode_json(text)) + 2
        if room < 0:
            break
        headers[header] = text
    agent = text_of(data.get("user_agent.original"))[:MAX_AGENT_CHARS]
    return {"user-agent": agent, **headers} if agent else headers
