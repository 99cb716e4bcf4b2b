"""Database spans, and key-value stores that serve as a cache."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.naming.name import SpanName, text_of

CACHE_SYSTEMS: Final = frozenset({"redis", "valkey", "memcached", "keydb", "dragonfly"})

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

NOT_SQL: Final = CACHE_SYSTEMS | {
    "mongodb",
    "elasticsearch",
    "opensearch",
    "couchbase",
    "couchdb",
    "aws.dynamodb",
    "dynamodb",
    "neo4j",
    "azure.cosmosdb",
    "cosmosdb",
}

# Where a backslash escapes a quote, and double quotes enclose a text, not a name.
_BACKSLASH_SYSTEMS: Final = frozenset({"mysql", "mariadb", "clickhouse", "spark", "hive"})

_OP_OF_COMMAND: Final = {
    command: op for op, commands in CACHE_OPS.items() for command in commands.split()
}
_MANY_KEYS: Final = frozenset({"mget", "exists", "del", "unlink"})
_PLACEHOLDERS: Final = frozenset({"?", "%s", ""})
_MAX_KEYS: Final = 20

# A number is a literal unless it belongs to a name (t1), a placeholder ($1, :1, ?1) or a format.
_NUMBER: Final = r"(?<![\w$:?%@.])[-+]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\w)"
_ESCAPED_TEXT: Final = r"'(?:[^'\\]|\\.|'')*(?:'|\Z)"
# The named group is a quoted name and stays; whatever else matches is a literal. A text that does
# not end (the statement was cut) reaches to the end.
_STANDARD_LITERAL: Final = re.compile(
    rf"""(?P<name>"(?:[^"]|"")*")|[eE]{_ESCAPED_TEXT}|'(?:[^']|'')*(?:'|\Z)"""
    rf"""|\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)|{_NUMBER}""",
    re.DOTALL,
)
_BACKSLASH_LITERAL: Final = re.compile(
    rf"""(?P<name>`[^`]*`)|{_ESCAPED_TEXT}|"(?:[^"\\]|\\.|"")*(?:"|\Z)|{_NUMBER}""", re.DOTALL
)
_MAX_STATEMENT_CHARS: Final = 16_384
_MAX_CACHED_CHARS: Final = 2048


def name_database(span: SpanRecord, data: Attributes) -> SpanName:
    """The summary as the name, the statement without its literals as the description."""
    system = text_of(data.get("db.system.name"))
    statement = text_of(data.get("db.query.text"))
    if system in CACHE_SYSTEMS or _is_marked_as_cache(data):
        return _name_key_value(span, data, statement)
    name = text_of(data.get("db.query.summary")) or _operation(data) or span.name or system
    if statement and system not in NOT_SQL:
        statement = without_literals(statement, system in _BACKSLASH_SYSTEMS)
    return SpanName("db", name, statement or name, "task")


def _operation(data: Attributes) -> str:
    operation = data.get("db.operation.name")
    if not operation:
        return ""
    return f"{operation} {text_of(data.get('db.collection.name'))}".rstrip()


def without_literals(statement: str, has_backslash_escapes: bool = False) -> str:
    """An SQL statement with ``?`` for every text and number in it.

    Args:
        statement: The statement; one that has placeholders comes back as it is.
        has_backslash_escapes: The dialect escapes quotes by a backslash, as MySQL does.
    """
    if len(statement) <= _MAX_CACHED_CHARS:
        return _known_statement(statement, has_backslash_escapes)
    return _without_literals(statement[:_MAX_STATEMENT_CHARS], has_backslash_escapes)


def _without_literals(statement: str, has_backslash_escapes: bool) -> str:
    pattern = _BACKSLASH_LITERAL if has_backslash_escapes else _STANDARD_LITERAL
    return pattern.sub(lambda match: match["name"] or "?", statement)


_known_statement = lru_cache(maxsize=512)(_without_literals)


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
