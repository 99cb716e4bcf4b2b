"""Database statements without the values in them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

KEY_VALUE_SYSTEMS: Final = frozenset({"redis", "valkey", "memcached", "keydb", "dragonfly"})
"""Their statements are a command, a key and values: ``SET greeting hello``."""

DOCUMENT_SYSTEMS: Final = frozenset({
    "mongodb", "elasticsearch", "opensearch", "couchbase", "couchdb", "aws.dynamodb", "dynamodb",
    "neo4j", "azure.cosmosdb", "cosmosdb",
})  # fmt: skip
"""Their statements are JSON, or a language with JSON's texts in it."""

# Where a backslash escapes a quote, and double quotes enclose a text, not a name.
_BACKSLASH_SYSTEMS: Final = frozenset({"mysql", "mariadb", "clickhouse", "spark", "hive"})
_PLACEHOLDERS: Final = frozenset({"?", "%s", ""})
_COMMANDS_OF_KEYS_ALONE: Final = frozenset({"mget", "exists", "del", "unlink"})
_COMMANDS_WITHOUT_A_KEY: Final = frozenset({"auth", "hello"})

# A number is a literal unless it belongs to a name (t1), a placeholder ($1, :1, ?1) or a format.
_NUMBER: Final = r"(?<![\w$:?%@.])[-+]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\w)"
_ESCAPED_TEXT: Final = r"'(?:[^'\\]|\\.|\\\Z|'')*+(?:'|\Z)"
_DOUBLE_QUOTED: Final = r'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)'
# The named group is a quoted name and stays; whatever else matches is a literal. A text that does
# not end (the statement was cut) reaches to the end.
_STANDARD_LITERAL: Final = re.compile(
    rf"""(?P<name>"(?:[^"]|"")*")|[eE]{_ESCAPED_TEXT}|'(?:[^']|'')*(?:'|\Z)"""
    rf"""|\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)|{_NUMBER}""",
    re.DOTALL,
)
_BACKSLASH_LITERAL: Final = re.compile(
    rf"""(?P<name>`[^`]*`)|{_ESCAPED_TEXT}|"(?:[^"\\]|\\.|\\\Z|"")*+(?:"|\Z)|{_NUMBER}""",
    re.DOTALL,
)
_DOCUMENT_LITERAL: Final = re.compile(
    rf"""(?P<name>{_DOUBLE_QUOTED}\s*+:)|{_DOUBLE_QUOTED}|{_ESCAPED_TEXT}|{_NUMBER}""", re.DOTALL
)
_MAX_CACHED_CHARS: Final = 2048


def without_literals(statement: str, has_backslash_escapes: bool = False) -> str:
    """An SQL statement with ``?`` for every text and number in it.

    Args:
        statement: The statement; one that has placeholders comes back as it is.
        has_backslash_escapes: The dialect escapes quotes by a backslash, as MySQL does.
    """
    return _replace(statement, _BACKSLASH_LITERAL if has_backslash_escapes else _STANDARD_LITERAL)


def without_values(statement: str, system: str) -> str:
    """A statement in the language of ``system`` without the values in it.

    Args:
        statement: The statement, possibly cut.
        system: The value of ``db.system.name``; a name that is not known here stands for SQL.
    """
    if len(statement) <= _MAX_CACHED_CHARS:
        return _known_statement(statement, system)
    return _without_values(statement, system)


def _without_values(statement: str, system: str) -> str:
    if system in KEY_VALUE_SYSTEMS:
        return _command_and_key(statement)
    if system in DOCUMENT_SYSTEMS:
        return _replace(statement, _DOCUMENT_LITERAL)
    return without_literals(statement, system in _BACKSLASH_SYSTEMS)


_known_statement = lru_cache(maxsize=512)(_without_values)


def _replace(statement: str, literal: re.Pattern[str]) -> str:
    return literal.sub(lambda match: match["name"] or "?", statement)


def _command_and_key(statement: str) -> str:
    """The command with its key or keys, ``?`` for the rest; of a pipeline, placeholders stay."""
    first, *others = statement.split("\n")
    lines = [_first_command(first)]
    # A line may as well be the rest of a value.
    lines += [line if _has_only_placeholders(line) else "?" for line in others]
    return "\n".join(lines)


def _first_command(line: str) -> str:
    command, *words = line.split(" ")
    keys = 1
    if command.lower() in _COMMANDS_OF_KEYS_ALONE:
        keys = len(words)
    elif command.lower() in _COMMANDS_WITHOUT_A_KEY:
        keys = 0
    return " ".join([command, *words[:keys], *("?" for _ in words[keys:])])


def _has_only_placeholders(line: str) -> bool:
    words = line.split(" ")[1:]
    return bool(words) and _PLACEHOLDERS.issuperset(words)
