"""HTTP spans: requests served and requests made."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.naming.name import SpanName, text_of
from spanbridge.sentry.wire import TransactionSource

_OPS: Final = {"server": "http.server", "client": "http.client"}
_MAX_URL_CHARS: Final = 2048
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def name_http(span: SpanRecord, data: Attributes) -> SpanName:
    """``METHOD route`` for a server, ``METHOD url`` for a client."""
    method = text_of(data["http.request.method"])
    if method == "_OTHER":
        method = text_of(data.get("http.request.method_original")) or "HTTP"
    if span.kind == "client":
        return _name_client(span, data, method)
    target, source = _served_target(data)
    name = f"{method} {target}" if target else span.name
    operation = _graphql_operation(data)
    if operation:
        name = f"{name} ({operation})"
    return SpanName(_OPS.get(span.kind, "http"), name, name, source)


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


def _name_client(span: SpanRecord, data: Attributes, method: str) -> SpanName:
    url = request_url(data)
    template = text_of(data.get("url.template"))
    description = f"{method} {url}" if url else span.name
    name = f"{method} {template}" if template else description
    return SpanName("http.client", name, description, "route" if template else "url")


def _served_target(data: Attributes) -> tuple[str, TransactionSource]:
    route = text_of(data.get("http.route"))
    if route:
        return route, "route"
    path = bare_url(text_of(data.get("url.path"))[:_MAX_URL_CHARS])
    if not path:
        url = request_url(data)
        path = "/" + url.partition("://")[2].partition("/")[2] if "://" in url else url
    return path, "route" if path == "/" else "url"


def _graphql_operation(data: Attributes) -> str:
    kind = text_of(data.get("graphql.operation.type"))
    return f"{kind} {text_of(data.get('graphql.operation.name'))}".strip() if kind else ""
