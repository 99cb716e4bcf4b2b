"""What a finished span, an event or a log record says as a breadcrumb: one row per kind of work.

Names of the current semantic conventions stand before the older ones they replaced.

Source: OpenTelemetry semantic conventions 1.21 to 1.44; Sentry develop docs, "Breadcrumbs
Interface".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from spanbridge.conventions.generated import SPAN_OPS
from spanbridge.conventions.upstream import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
    GEN_AI_AGENT_NAME,
    GEN_AI_OPERATION_NAME,
    GEN_AI_PROVIDER_NAME,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    THREAD_ID,
    THREAD_NAME,
)
from spanbridge.model.failure import Breadcrumb, Level
from spanbridge.model.log import (
    SEVERITY_ERROR,
    SEVERITY_FATAL,
    SEVERITY_INFO,
    SEVERITY_WARN,
    LogRecord,
)
from spanbridge.model.span import Attributes, AttributeValue, SpanEvent, SpanRecord

MAX_DATA: Final = 32
"""Entries of a breadcrumb's data; further ones are left out."""
MAX_DEPTH: Final = 4
"""Values nested deeper are left out."""

_ELLIPSIS: Final = "..."
_NUMBERS: Final = frozenset({bool, int, float})
_STATUS_CODE: Final = ("http.response.status_code", "http.status_code")
_METHOD: Final = ("http.request.method", "http.method")
_URL: Final = ("url.full", "http.url")
_PATH: Final = ("url.path", "http.target")
_HOST: Final = ("server.address", "net.peer.name", "http.host", "net.host.name")
_SCHEME: Final = ("url.scheme", "http.scheme")
_GEN_AI_CATEGORIES: Final = {
    "invoke_agent": "agent",
    "create_agent": "agent",
    "execute_tool": "tool",
}
_BARE_URL: Final = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?(?:[^/?#]*@)?([^?#]*)")


class _Kind(NamedTuple):
    """Spans with one of ``marks`` become breadcrumbs like this."""

    marks: frozenset[str]
    category: str
    type: str = "default"
    message: tuple[str, ...] = ()
    """The attribute that is the message; without any it is the span's name."""
    data: tuple[tuple[str, ...], ...] = ()
    """Attributes that are told, each under the first of its names, wherever it is found."""


_HTTP: Final = _Kind(frozenset(_METHOD), "http", "http")
_GEN_AI: Final = _Kind(
    frozenset({GEN_AI_OPERATION_NAME, GEN_AI_PROVIDER_NAME, "gen_ai.system", "gen_ai.tool.name"}),
    "gen_ai",
    data=(
        (GEN_AI_OPERATION_NAME,),
        (GEN_AI_PROVIDER_NAME, "gen_ai.system"),
        (GEN_AI_REQUEST_MODEL,),
        (GEN_AI_AGENT_NAME,),
        ("gen_ai.tool.name",),
        (GEN_AI_USAGE_INPUT_TOKENS, "gen_ai.usage.prompt_tokens"),
        (GEN_AI_USAGE_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens"),
    ),
)
_COORDINATION: Final = _Kind(frozenset(SPAN_OPS), "")
_OTHER: Final = _Kind(frozenset(), "span")
_KINDS: Final = (
    _HTTP,
    _Kind(
        frozenset({"mcp.method.name"}), "mcp", data=(("mcp.method.name",), ("gen_ai.tool.name",))
    ),
    _GEN_AI,
    _COORDINATION,
    _Kind(
        frozenset({"cache.key", "cache.hit", "cache.operation"}),
        "cache",
        data=(("cache.operation",), ("cache.key",), ("cache.hit",)),
    ),
    _Kind(
        frozenset({"db.system.name", "db.system", "db.query.text", "db.statement"}),
        "query",
        "query",
        message=("db.query.text", "db.statement", "db.query.summary"),
        data=(
            ("db.system.name", "db.system"),
            ("db.namespace", "db.name"),
            ("db.operation.name", "db.operation"),
            ("db.collection.name", "db.sql.table", "db.mongodb.collection"),
        ),
    ),
    _Kind(
        frozenset({"messaging.system"}),
        "messaging",
        data=(
            ("messaging.system",),
            ("messaging.destination.name", "messaging.destination"),
            ("messaging.operation.type", "messaging.operation"),
            ("messaging.message.id", "messaging.message_id"),
        ),
    ),
    _Kind(
        frozenset({"rpc.system.name", "rpc.system", "rpc.service"}),
        "rpc",
        data=(
            ("rpc.system.name", "rpc.system"),
            ("rpc.service",),
            ("rpc.method",),
            ("rpc.response.status_code", "rpc.grpc.status_code"),
        ),
    ),
)


def span_breadcrumb(span: SpanRecord, max_chars: int) -> Breadcrumb:
    """What a finished span did, at the time it ended. Texts have at most ``max_chars``."""
    attributes = span.attributes
    kind = _kind_of(attributes)
    category = kind.category
    message = _first(attributes, kind.message) or span.name
    if kind is _HTTP:
        data = _request(attributes)
        message = f"{data['method']!s} {data['url']!s}" if "url" in data else span.name
    else:
        data = _named(attributes, kind.data)
        if kind is _GEN_AI:
            category = _gen_ai_category(attributes)
        elif kind is _COORDINATION:
            category = _coordination_category(attributes)
    return Breadcrumb(
        timestamp=span.end_ns / 1e9,
        category=category,
        message=cut(str(message), max_chars),
        level=_level_of(span, data.get("status_code")),
        type=kind.type,
        data=_short({**data, **_facts(span)}, max_chars),
    )


def event_breadcrumb(event: SpanEvent, span: SpanRecord, max_chars: int) -> Breadcrumb:
    """What a span noted while it ran."""
    return Breadcrumb(
        timestamp=event.time_ns / 1e9,
        category="event",
        message=cut(event.name, max_chars),
        data=_short({**event.attributes, "span_id": span.span_id}, max_chars),
    )


def exception_breadcrumb(
    event: SpanEvent,
    span: SpanRecord,
    log: LogRecord | None,
    max_chars: int,
    *,
    is_recovered: bool,
) -> Breadcrumb:
    """An exception that a span saw, with what the span did and what was logged about it.

    Args:
        event: The span's ``exception`` event.
        span: The span.
        log: The log record of the same exception.
        max_chars: Longest text.
        is_recovered: Whether the application went on as if nothing had happened.
    """
    data = {**span_breadcrumb(span, max_chars).data, "span": span.name}
    if log is not None:
        data |= {"logged": log.body, "logger": log.logger}
    if is_recovered:
        data["recovered"] = True
    return Breadcrumb(
        timestamp=event.time_ns / 1e9,
        category="exception",
        message=cut(_exception_text(event.attributes), max_chars),
        level="warning" if is_recovered else "error",
        type="error",
        data=_short(data, max_chars),
    )


_UNTOLD: Final = frozenset({EXCEPTION_STACKTRACE, THREAD_ID, THREAD_NAME, "color_message"})
"""Attributes of a log record that say nothing in a breadcrumb; the last is uvicorn's."""


def log_breadcrumb(record: LogRecord, max_chars: int) -> Breadcrumb:
    """What was logged. The body of an event stands with its data, as its name is the message."""
    data = {key: value for key, value in record.attributes.items() if key not in _UNTOLD}
    message = record.body
    if record.event_name:
        message = record.event_name
        if record.body:
            data["body"] = record.body
    return Breadcrumb(
        timestamp=record.time_ns / 1e9,
        category=record.logger or "log",
        message=cut(message, max_chars),
        level=_level_of_log(record.severity),
        data=_short(data, max_chars),
    )


def cut(text: str, max_chars: int) -> str:
    """``text`` within ``max_chars``, ending in ``...`` if it was cut.

    An address is not cut in the middle: without its end, a password in it could no longer be told
    from a host.
    """
    if len(text) <= max_chars:
        return text
    kept = text[: max(0, max_chars - len(_ELLIPSIS))]
    words = kept.rpartition(" ")
    scheme, separator, _ = words[2].rpartition("://")
    if separator:
        kept = f"{words[0]}{words[1]}{scheme}{separator}"
    return f"{kept}{_ELLIPSIS}"[:max_chars]


def bare_url(url: str) -> str:
    """``url`` without query, fragment and user-info."""
    found = _BARE_URL.match(url)
    return f"{found[1] or ''}{found[2]}" if found else ""


def _kind_of(attributes: Attributes) -> _Kind:
    for kind in _KINDS:
        if not kind.marks.isdisjoint(attributes):
            return kind
    return _OTHER


def _request(attributes: Attributes) -> Attributes:
    data: Attributes = {"method": _first(attributes, _METHOD)}
    if url := _url(attributes):
        data["url"] = url
    status_code = _first(attributes, _STATUS_CODE)
    if status_code is not None:
        data["status_code"] = status_code
    return data


def _url(attributes: Attributes) -> str:
    full = _first(attributes, _URL)
    if full:
        return bare_url(str(full))
    host, path = _first(attributes, _HOST), bare_url(str(_first(attributes, _PATH) or ""))
    return f"{_first(attributes, _SCHEME) or 'http'}://{host}{path}" if host else path


def _gen_ai_category(attributes: Attributes) -> str:
    operation = attributes.get(GEN_AI_OPERATION_NAME)
    if operation is None and "gen_ai.tool.name" in attributes:
        return "tool"
    return _GEN_AI_CATEGORIES.get(str(operation), "gen_ai")


def _coordination_category(attributes: Attributes) -> str:
    """The op Sentry shows for such a span, e.g. ``consensus.round``."""
    for name, ops in SPAN_OPS.items():
        if (value := attributes.get(name)) is not None:
            return ops.get(str(value), name.removesuffix(".operation.name"))
    return _OTHER.category


def _facts(span: SpanRecord) -> Attributes:
    facts: Attributes = {
        "duration_ms": round((span.end_ns - span.start_ns) / 1e6, 3),
        "span_id": span.span_id,
    }
    if span.status == "error" and span.status_message:
        facts["status_message"] = span.status_message
    return facts


def _level_of(span: SpanRecord, status_code: AttributeValue) -> Level:
    if span.status == "error":
        return "error"
    if isinstance(status_code, int) and status_code >= 400:
        return "error" if status_code >= 500 else "warning"
    return "info"


def _level_of_log(severity: int) -> Level:
    if severity >= SEVERITY_FATAL:
        return "fatal"
    if severity >= SEVERITY_ERROR:
        return "error"
    if severity >= SEVERITY_WARN:
        return "warning"
    return "debug" if 0 < severity < SEVERITY_INFO else "info"


def _exception_text(attributes: Attributes) -> str:
    name = str(attributes.get(EXCEPTION_TYPE) or "exception").rpartition(".")[2]
    message = str(attributes.get(EXCEPTION_MESSAGE) or "")
    return f"{name}: {message}" if message else name


def _first(attributes: Attributes, names: Sequence[str]) -> AttributeValue:
    for name in names:
        if (value := attributes.get(name)) is not None:
            return value
    return None


def _named(attributes: Attributes, wanted: Sequence[tuple[str, ...]]) -> Attributes:
    found = {names[0]: _first(attributes, names) for names in wanted}
    return {name: value for name, value in found.items() if value is not None}


def _short(data: Attributes, max_chars: int) -> Attributes:
    """The last entries of ``data``, which are ours, and as many of the first as there is room."""
    if len(data) > MAX_DATA:
        names = list(data)
        data = {name: data[name] for name in (*names[: MAX_DATA - 4], *names[-4:])}
    return {name: _short_value(value, max_chars) for name, value in data.items()}


def _short_value(value: AttributeValue, max_chars: int, depth: int = 0) -> AttributeValue:
    if isinstance(value, str):
        return value if len(value) <= max_chars else cut(value, max_chars)
    if value is None or type(value) in _NUMBERS:
        return value
    if isinstance(value, bytes):
        return value[:max_chars]
    if depth >= MAX_DEPTH:
        return _ELLIPSIS
    if isinstance(value, Mapping):
        entries = list(value.items())[:MAX_DATA]
        return {key: _short_value(inner, max_chars, depth + 1) for key, inner in entries}
    if isinstance(value, list | tuple):
        return [_short_value(inner, max_chars, depth + 1) for inner in value[:MAX_DATA]]
    return cut(str(value), max_chars)  # whatever else a logger was given
