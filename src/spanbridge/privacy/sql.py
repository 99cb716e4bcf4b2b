"""Database statements, and documents of GraphQL, without the values in them."""

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

GRAPHQL: Final = "graphql"
"""Its documents are no statements of a database, but have values in the same way."""

# Where a backslash escapes a quote, double quotes enclose a text, and # begins a comment.
_BACKSLASH_SYSTEMS: Final = frozenset({
    "mysql", "mariadb", "clickhouse", "spark", "hive", "databricks",
})  # fmt: skip
# The same, and three quotes enclose a text.
_GOOGLE_SYSTEMS: Final = frozenset({"gcp.spanner", "spanner", "gcp.bigquery", "bigquery"})
# Where brackets enclose a name.
_BRACKET_SYSTEMS: Final = frozenset({"microsoft.sql_server", "mssql", "mssqlcompact"})
_PLACEHOLDERS: Final = frozenset({"?", "%s", ""})
_COMMANDS_OF_KEYS_ALONE: Final = frozenset({"mget", "exists", "del", "unlink"})
_COMMANDS_WITHOUT_A_KEY: Final = frozenset({"auth", "hello"})

_DIGITS: Final = (
    r"[-+]?(?:0[xX][\da-fA-F_]++|0[bBoO][0-7_]++"
    r"|(?:\d[\d_]*+(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?)(?!\w)"
)
# A number is a literal unless it belongs to a name (t1), a placeholder ($1, :1, ?1) or a format.
_NUMBER: Final = rf"(?<![\w$:?%@.]){_DIGITS}"
_NUMBER_IN_DOCUMENT: Final = rf"(?<![\w$?%@.]){_DIGITS}"
# A text or comment that does not end (the statement was cut) reaches to the end.
_TEXT: Final = r"'(?:[^']|'')*+(?:'|\Z)"
_ESCAPED_TEXT: Final = r"'(?:[^'\\]|\\.|\\\Z|'')*+(?:'|\Z)"
_DOUBLE_QUOTED: Final = r'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)'
_DOUBLE_QUOTED_TEXT: Final = r'"(?:[^"\\]|\\.|\\\Z|"")*+(?:"|\Z)'
_TRIPLE_QUOTED: Final = (
    r"(?P<quote>[\"'])(?P=quote){2}(?:\\.|(?!(?P=quote){3}).)*+(?:(?P=quote){3}|\Z)"
)
_DOLLAR_QUOTED: Final = r"\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
_ORACLE_QUOTED: Final = (
    r"(?<!\w)[nN]?[qQ]'(?:\[.*?(?:\]'|\Z)|\{.*?(?:\}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z)"
    r"|(?P<mark>.).*?(?:(?P=mark)'|\Z))"
)
_NAME: Final = r'"(?:[^"]|"")*+"'
_BACKTICKS: Final = r"`[^`]*+`"
_BRACKETS: Final = r"\[(?:[^\]]|\]\])*+\]"
_CUT_BRACKETS: Final = r"\[(?:[^\]]|\]\])*+\Z"
# What begins like a comment, which ends earlier.
_KEY_BLOCK: Final = r"-----BEGIN[^-]*+-----.*?(?:-----END[^-]*+-----|\Z)"
# Some systems nest them; within two levels a quote in one begins no text.
_BLOCK_COMMENT: Final = (
    r"/\*(?:[^*/]++|\*(?!/)|/(?!\*)|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z))*+(?:\*/|\Z)"
)


def _literals(*literals: str, names: str, line_comment: str = "--") -> re.Pattern[str]:
    """What has to be replaced, and names and comments: a quote in those begins no text.

    Args:
        literals: Patterns of texts and numbers.
        names: The pattern of quoted names, which stay.
        line_comment: The pattern of what begins a comment to the end of the line.
    """
    comment = rf"{_BLOCK_COMMENT}|(?:{line_comment})[^\r\n]*+"
    others = "|".join(literals)
    return re.compile(rf"(?P<name>{names})|{_KEY_BLOCK}|(?P<comment>{comment})|{others}", re.DOTALL)


_STANDARD: Final = (
    rf"(?<!\w)[eE]{_ESCAPED_TEXT}", _ORACLE_QUOTED, _TEXT, _DOLLAR_QUOTED, _NUMBER
)  # fmt: skip
_STANDARD_LITERAL: Final = _literals(*_STANDARD, names=_NAME)
_BRACKET_LITERAL: Final = _literals(*_STANDARD, _CUT_BRACKETS, names=f"{_NAME}|{_BRACKETS}")
# A name between double quotes that no column has is a text there.
_SQLITE_LITERAL: Final = _literals(
    *_STANDARD, _DOUBLE_QUOTED_TEXT, _CUT_BRACKETS, names=f"{_BACKTICKS}|{_BRACKETS}"
)
_BACKSLASH_LITERAL: Final = _literals(
    _ESCAPED_TEXT, _DOUBLE_QUOTED_TEXT, _NUMBER, names=_BACKTICKS, line_comment="--|#"
)
_GOOGLE_LITERAL: Final = _literals(
    _TRIPLE_QUOTED, _ESCAPED_TEXT, _DOUBLE_QUOTED_TEXT, _NUMBER, names=_BACKTICKS,
    line_comment="--|#",
)  # fmt: skip
_DOCUMENT_LITERAL: Final = _literals(
    _DOUBLE_QUOTED, _ESCAPED_TEXT, _NUMBER_IN_DOCUMENT,
    names=rf"{_DOUBLE_QUOTED}\s*+:|{_BACKTICKS}", line_comment="--|//",
)  # fmt: skip
# Only three quotes are escaped in a block of text, and any other text ends with its line. A server
# may tell a document that it cannot read, so what is a value in another language is one here too.
_GRAPHQL_LITERAL: Final = _literals(
    r'"""(?:\\"""|(?!""").)*+(?:"""|\Z)',
    r'"(?:[^"\\\r\n]|\\[^\r\n])*+(?:"|\\?(?=[\r\n])|\\?\Z)',
    r"'[^'\r\n]*+'?",
    r"(?<![\w$])[-+]?\.?\d[\w.]*+",
    names=r"(?!)",
    line_comment="#",
)
_LITERALS: Final = {
    **dict.fromkeys(_BACKSLASH_SYSTEMS, _BACKSLASH_LITERAL),
    **dict.fromkeys(_GOOGLE_SYSTEMS, _GOOGLE_LITERAL),
    **dict.fromkeys(_BRACKET_SYSTEMS, _BRACKET_LITERAL),
    **dict.fromkeys(DOCUMENT_SYSTEMS, _DOCUMENT_LITERAL),
    "sqlite": _SQLITE_LITERAL,
    GRAPHQL: _GRAPHQL_LITERAL,
}
_MAX_CACHED_CHARS: Final = 2048


def without_values(statement: str, system: str) -> str:
    """A statement in the language of ``system`` without the values in it.

    Args:
        statement: The statement, possibly cut.
        system: The value of ``db.system.name``, or :data:`GRAPHQL`; a name that is not known here
            stands for SQL.
    """
    if len(statement) <= _MAX_CACHED_CHARS:
        return _known_statement(statement, system)
    return _without_values(statement, system)


def _without_values(statement: str, system: str) -> str:
    system = system.lower()
    if system in KEY_VALUE_SYSTEMS:
        return _command_and_key(statement)
    return _LITERALS.get(system, _STANDARD_LITERAL).sub(_replacement, statement)


def _replacement(found: re.Match[str]) -> str:
    if comment := found["comment"]:
        return "/*?*/" if comment.startswith("/*") else f"{comment[: 1 + (comment[0] != '#')]}?"
    return found["name"] or "?"


_known_statement = lru_cache(maxsize=512)(_without_values)


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
