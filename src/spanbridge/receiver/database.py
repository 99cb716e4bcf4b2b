"""The tables in which everything received is kept."""

from __future__ import annotations

import sqlite3
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS item (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, header BLOB NOT NULL, body BLOB NOT NULL,
    envelope_header BLOB NOT NULL, auth_key TEXT, project_id TEXT, content_encoding TEXT NOT NULL,
    violations BLOB NOT NULL, received_at REAL NOT NULL, size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS item_kind ON item (kind, id);
CREATE TABLE IF NOT EXISTS item_trace (
    trace_id TEXT NOT NULL, item_id INTEGER NOT NULL, PRIMARY KEY (trace_id, item_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS item_trace_item ON item_trace (item_id);
CREATE TABLE IF NOT EXISTS sent_span (
    id INTEGER PRIMARY KEY, project_id TEXT NOT NULL, trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL, kind TEXT NOT NULL, UNIQUE (project_id, trace_id, span_id)
);
CREATE TABLE IF NOT EXISTS span_context (
    id INTEGER PRIMARY KEY, body BLOB NOT NULL, auth_key TEXT
);
CREATE TABLE IF NOT EXISTS span (
    id INTEGER PRIMARY KEY, context_id INTEGER NOT NULL, trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL, body BLOB NOT NULL, violations BLOB NOT NULL,
    received_at REAL NOT NULL, size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS span_trace ON span (trace_id);
CREATE TABLE IF NOT EXISTS violation (
    id INTEGER PRIMARY KEY, rule TEXT NOT NULL, place TEXT NOT NULL, message TEXT NOT NULL,
    kind TEXT NOT NULL, received_at REAL NOT NULL
);
"""

TABLES: Final = ("item", "item_trace", "sent_span", "span", "span_context", "violation")


def open_database(database: str) -> sqlite3.Connection:
    """Open a file, or ``":memory:"``, and make what tables it lacks.

    Raises:
        sqlite3.Error: It is no database, or cannot be written.
    """
    connection = sqlite3.connect(database, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A crash of this process loses nothing committed; a power cut may, which a local tool can
        # bear, while waiting for the disk in the event loop would slow every sender.
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
