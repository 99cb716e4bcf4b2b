"""What is worked out of an HTTP span: its method, its URL, what was asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.sentry.convert.naming.name import text_of

_MAX_URL_CHARS: Final = 2048
_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def method_of(_: SpanRecord, data: Attributes) -> str:
    """The method; ``HTTP`` for one that is not known, as anybody may send any word."""
    method = text_of(data.get("http.request.method"))
    return method if method != "_OTHER" else "HTTP"


def url_of(_: SpanRecord, data: Attributes) -> str:
    """The URL that is asked for, as it is shown."""
    return request_url(data)


def path_of(_: SpanRecord, data: Attributes) -> str:
    """The path that is asked for."""
    path = bare_url(text_of(data.get("url.path"))[:_MAX_URL_CHARS])
    if path:
        return path
    url = request_url(data)
    return "/" + url.partition("://")[2].partition("/")[2] if "://" in url else url


def front_page_of(span: SpanRecord, data: Attributes) -> str:
    """``/`` if that is what is asked for."""
    return "/" if path_of(span, data) == "/" else ""


def graphql_operation_of(_: SpanRecord, data: Attributes) -> str:
    """Kind and name of a GraphQL operation, as far as they are known."""
    kind = text_of(data.get("graphql.operation.type"))
    return f"{kind} {text_of(data.get('graphql.operation.name'))}".strip() if kind else ""


def host_asked(_: SpanRecord, data: Attributes) -> AttributeValue:
    """The host in the full URL."""
    return _host_and_port(request_url(data).partition("://")[2].partition("/")[0])[0] or None


def port_asked(_: SpanRecord, data: Attributes) -> AttributeValue:
    """The port in the full URL, if it is written there."""
    return _host_and_port(request_url(data).partition("://")[2].partition("/")[0])[1]


def host_served(_: SpanRecord, data: Attributes) -> AttributeValue:
    """The server's address without the port some instrumentations leave in it."""
    address = data.get("server.address")
    if type(address) is not str or ":" not in address:
        return None  # it can stay
    return _host_and_port(address)[0]


def port_served(_: SpanRecord, data: Attributes) -> AttributeValue:
    """The port in the server's address, if it is written there."""
    return _host_and_port(text_of(data.get("server.address")))[1]


def request_url(data: Attributes) -> str:
    """The URL without query, fragment and user-info; empty if the attributes do not tell."""
    full = data.get("url.full")
    if isinstance(full, str) and full:
        return bare_url(full[:_MAX_URL_CHARS])
    path = text_of(data.get("url.path"))
    host = text_of(data.get("server.address"))
    if not host:
        return bare_url(path[:_MAX_URL_CHARS])
    scheme = text_of(data.get("url.scheme")) or "http"
    port = text_of(data.get("server.port"))
    # Some instrumentations put the port into the address already.
    if port and port != _DEFAULT_PORTS.get(scheme) and not host.endswith(f":{port}"):
        host = f"{host}:{port}"
    return bare_url(f"{scheme}://{host}{path}"[:_MAX_URL_CHARS])


@lru_cache(maxsize=512)
def bare_url(url: str) -> str:
    """``url`` without query, fragment and user-info."""
    bare = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = bare.partition("://")
    if not separator:
        return bare
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


@lru_cache(maxsize=512)
def _host_and_port(authority: str) -> tuple[str, int | None]:
    host, separator, port = authority.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or len(port) > 5:
        return authority, None
    # The colons of an IPv6 address stand inside brackets, if a port follows.
    return (authority, None) if ":" in host and host[-1:] != "]" else (host, int(port))
