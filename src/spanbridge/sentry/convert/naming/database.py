"""What is worked out of a database span: the statement, and the command of a key-value store."""

from __future__ import annotations

from typing import Final

from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.privacy.sql import without_values
from spanbridge.sentry.convert.naming.name import text_of

CACHE_COMMANDS: Final = {
    "cache.get": "get gets mget getex getrange hget hmget hgetall exists strlen get_many get_multi",
    "cache.put": (
        "set setex setnx psetex mset msetnx hset hmset hsetnx getset append add replace cas "
        "set_many set_multi"
    ),
    "cache.remove": "del unlink getdel hdel delete delete_many delete_multi",
    "cache.flush": "flushall flushdb flush_all",
}
"""Commands by the op of Sentry's Caches module they stand for."""

CACHE_OPS: Final = {
    command: op for op, commands in CACHE_COMMANDS.items() for command in commands.upper().split()
}

_MANY_KEYS: Final = frozenset({"MGET", "EXISTS", "DEL", "UNLINK"})
_PLACEHOLDERS: Final = frozenset({"?", "%s", ""})
_MAX_KEYS: Final = 20

_MAX_STATEMENT_CHARS: Final = 16_384


def operation_of(_: SpanRecord, data: Attributes) -> str:
    """The operation; SQLAlchemy's instrumentation appends the database to it."""
    operation = text_of(data.get("db.operation.name"))
    if " " not in operation:
        return operation
    namespace = text_of(data.get("db.namespace"))
    return operation.removesuffix(f" {namespace}") if namespace else operation


def statement_of(_: SpanRecord, data: Attributes) -> str:
    """The statement without its literals.

    With content capture on the data keep them, but descriptions are grouped by.
    """
    statement = text_of(data.get("db.query.text"))
    if not statement:
        return ""
    return without_values(statement[:_MAX_STATEMENT_CHARS], text_of(data.get("db.system.name")))


def command_of(span: SpanRecord, data: Attributes) -> str:
    """The command of a key-value store, in upper case."""
    command = (
        text_of(data.get("db.operation.name")) or text_of(data.get("db.query.text")) or span.name
    )
    return command.split(" ", 1)[0].upper()


def shown_keys_of(span: SpanRecord, data: Attributes) -> str:
    """The keys, joined by commas."""
    return ", ".join(_keys_of(span, data))


def cache_key_of(span: SpanRecord, data: Attributes) -> AttributeValue:
    """The keys as the list Sentry reads."""
    return _keys_of(span, data) or None


def _keys_of(span: SpanRecord, data: Attributes) -> list[str]:
    """The keys a command names, never the values it writes."""
    given = data.get("cache.key")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list | tuple):
        return [str(key) for key in given]
    statement = text_of(data.get("db.query.text"))
    words = statement.partition("\n")[0].split(" ", _MAX_KEYS + 1)[1 : _MAX_KEYS + 1]
    if command_of(span, data) not in _MANY_KEYS:
        words = words[:1]
    return [word for word in words if word not in _PLACEHOLDERS]
