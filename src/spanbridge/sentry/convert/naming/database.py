"""Database spans, and key-value stores that serve as a cache."""

from __future__ import annotations

from typing import Final

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.privacy.sql import DOCUMENT_SYSTEMS, KEY_VALUE_SYSTEMS, without_values
from spanbridge.sentry.convert.naming.name import SpanName, text_of

CACHE_OPS: Final = {
    "cache.get": "get gets mget getex getrange hget hmget hgetall exists strlen get_many get_multi",
    "cache.put": (
        "set setex setnx psetex mset msetnx hset hmset hsetnx getset append add replace cas "
        "set_many set_multi"
    ),
    "cache.remove": "del unlink getdel hdel delete delete_many delete_multi",
    "cache.flush": "flushall flushdb flush_all",
}
"""Commands by the op of Sentry's Caches module they stand for."""

_OP_OF_COMMAND: Final = {
    command: op for op, commands in CACHE_OPS.items() for command in commands.split()
}
_MANY_KEYS: Final = frozenset({"mget", "exists", "del", "unlink"})
_PLACEHOLDERS: Final = frozenset({"?", "%s", ""})
_MAX_KEYS: Final = 20

_MAX_STATEMENT_CHARS: Final = 16_384


def name_database(span: SpanRecord, data: Attributes) -> SpanName:
    """The summary as the name, the statement without its literals as the description."""
    system = text_of(data.get("db.system.name"))
    statement = text_of(data.get("db.query.text"))
    if system in KEY_VALUE_SYSTEMS or _is_marked_as_cache(data):
        return _name_key_value(span, data, statement)
    name = text_of(data.get("db.query.summary")) or _operation(data) or span.name or system
    if statement and system not in DOCUMENT_SYSTEMS:
        # With content capture on the data keep the literals, but descriptions are grouped by.
        statement = without_values(statement[:_MAX_STATEMENT_CHARS], system)
    return SpanName("db", name, statement or name, "task")


def _operation(data: Attributes) -> str:
    operation = data.get("db.operation.name")
    if not operation:
        return ""
    return f"{operation} {text_of(data.get('db.collection.name'))}".rstrip()


def _name_key_value(span: SpanRecord, data: Attributes, statement: str) -> SpanName:
    command = text_of(data.get("db.operation.name")) or statement or span.name
    command = command.split(" ", 1)[0].lower()
    keys = _keys_of(data, statement, command)
    shown = ", ".join(keys)
    op = _OP_OF_COMMAND.get(command)
    if op is None and not _is_marked_as_cache(data):
        name = f"{command.upper()} {shown}".strip()
        return SpanName("db", command.upper() or span.name, name or span.name, "task")
    if keys:
        data["cache.key"] = keys
    if "server.address" in data:
        data.setdefault("network.peer.address", data["server.address"])
    if "server.port" in data:
        data.setdefault("network.peer.port", data["server.port"])
    name = shown or command.upper() or span.name
    return SpanName(op, name, name, "task")


def _is_marked_as_cache(data: Attributes) -> bool:
    op = data.get("sentry.op")
    return isinstance(op, str) and op.startswith("cache.")


def _keys_of(data: Attributes, statement: str, command: str) -> list[str]:
    """The keys a command names, never the values it writes."""
    given = data.get("cache.key")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list | tuple):
        return [str(key) for key in given]
    words = statement.partition("\n")[0].split(" ", _MAX_KEYS + 1)[1 : _MAX_KEYS + 1]
    if command not in _MANY_KEYS:
        words = words[:1]
    return [word for word in words if word not in _PLACEHOLDERS]
