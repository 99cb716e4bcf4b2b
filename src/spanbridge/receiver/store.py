"""Everything received, in SQLite: written at once, committed in batches, bounded by bytes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from spanbridge.receiver.checks.repetition import Repeat, SentSpan
from spanbridge.receiver.database import TABLES, open_database
from spanbridge.receiver.otlp import SpanGroup, SpanRow, parse_stored_request, to_stored_span
from spanbridge.receiver.records import (
    JsonObject,
    StoredItem,
    StoredSpan,
    StoredViolation,
    Violation,
)
from spanbridge.receiver.strict_json import read_stored_json

SPAN_KIND = "otlp_span"
_MOST_VIOLATIONS = 10_000
_MOST_PATHS = 1_000
_EVICTED_SHARE = 10  # one tenth of the rows goes at a time, so that eviction is rare

_violations_of = msgspec.json.Decoder(tuple[Violation, ...])


class ItemRow(NamedTuple):
    """One item to be stored."""

    kind: str
    header: JsonObject
    body: bytes
    envelope_header: JsonObject
    auth_key: str | None
    project_id: str | None
    content_encoding: str
    violations: tuple[Violation, ...]
    received_at: float
    trace_ids: frozenset[str] = frozenset()
    """The traces it has to do with."""


class Store:
    """Items, spans and violations. Safe to use from any thread.

    Args:
        database: Path of a file, or ``":memory:"``.
        stored_bytes: Payload bytes kept; the oldest go first.
    """

    def __init__(self, database: str, stored_bytes: int) -> None:
        self._stored_bytes = stored_bytes
        self._connection = open_database(database)
        self._changed = threading.Condition(threading.RLock())
        self._version = 0
        self._is_closed = False
        self._requests: Counter[str] = Counter()
        self._counts = self._count_rows()
        self._size_bytes = self._sum_sizes()

    @property
    def version(self) -> int:
        """Grows with every change."""
        with self._changed:
            return self._version

    @property
    def counts(self) -> dict[str, int]:
        """How many items were received by kind, and how many of all ``evicted``."""
        with self._changed:
            return dict(self._counts)

    @property
    def requests(self) -> dict[str, int]:
        """How many requests came in by path, refused and faulted ones included."""
        with self._changed:
            return dict(self._requests)

    def wait_for_change(self, seen_version: int, timeout_s: float) -> bool:
        """Wait until the store differs from ``seen_version``; false if the time ran out."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._version == seen_version:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return self._version != seen_version
            return True

    def add_request(self, path: str) -> None:
        """Count a request."""
        with self._changed:
            is_known = path in self._requests or len(self._requests) < _MOST_PATHS
            self._requests[path if is_known else "(other)"] += 1
            self._notify()

    def add_items(self, rows: Sequence[ItemRow]) -> None:
        """Store items."""
        with self._changed:
            for row in rows:
                self._insert_item(row)
                self._insert_violations(row.kind, row.violations, row.received_at)
            self._evict()
            self._notify()

    def remember_sent(self, project_id: str, kind: str, spans: Sequence[SentSpan]) -> list[Repeat]:
        """Remember that these spans were sent to a project; those that had been before.

        Args:
            project_id: The project.
            kind: The kind of the item that holds them.
            spans: The spans.
        """
        repeats = []
        with self._changed:
            for span in spans:
                ids = (project_id, span.trace_id, span.span_id)
                is_new = self._connection.execute(
                    "INSERT INTO sent_span (project_id, trace_id, span_id, kind)"
                    " VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
                    (*ids, kind),
                ).rowcount
                if not is_new:
                    [earlier_kind] = self._connection.execute(
                        "SELECT kind FROM sent_span"
                        " WHERE project_id = ? AND trace_id = ? AND span_id = ?",
                        ids,
                    ).fetchone()
                    repeats.append(Repeat(span, earlier_kind))
        return repeats

    def add_spans(self, groups: Sequence[SpanGroup], auth_key: str | None) -> None:
        """Store OTLP spans."""
        with self._changed:
            for group in groups:
                context_id = self._connection.execute(
                    "INSERT INTO span_context (body, auth_key) VALUES (?, ?)",
                    (group.context, auth_key),
                ).lastrowid
                for index, row in enumerate(group.spans):
                    size_bytes = len(row.body) + (len(group.context) if index == 0 else 0)
                    self._insert_span(row, context_id, size_bytes)
                    self._insert_violations(SPAN_KIND, row.violations, row.received_at)
            self._evict()
            self._notify()

    def add_violation(self, kind: str, violation: Violation, received_at: float) -> None:
        """Store a violation of something that is not kept itself."""
        with self._changed:
            self._insert_violations(kind, (violation,), received_at)
            self._notify()

    def items(self, kind: str | None = None, limit: int = -1) -> list[StoredItem]:
        """Items in order of arrival.

        Args:
            kind: Only items of this kind.
            limit: At most so many, the newest; -1 means all.
        """
        with self._changed:
            rows = self._connection.execute(
                "SELECT * FROM (SELECT id, kind, header, body, envelope_header, auth_key,"
                " project_id, content_encoding, violations, received_at FROM item"
                " WHERE :kind IS NULL OR kind = :kind ORDER BY id DESC LIMIT :most) ORDER BY id",
                {"kind": kind, "most": limit},
            ).fetchall()
        return [_item_of(row) for row in rows]

    def items_by_trace(self, limit: int = -1) -> list[tuple[str, list[StoredItem]]]:
        """Items by trace: the trace that got something last at the end.

        A trace that was sent to several projects is there once for each of them, since each shows
        it by itself. An item of several traces stands with each of those.

        Args:
            limit: At most so many traces, those that got something last; -1 means all.
        """
        with self._changed:
            rows = self._connection.execute(
                "SELECT newest.trace_id, id, kind, header, body, envelope_header, auth_key,"
                " project_id, content_encoding, violations, received_at FROM"
                " (SELECT trace_id, project_id AS project, max(item_id) AS last_id FROM item_trace"
                "  JOIN item ON item.id = item_id GROUP BY trace_id, project_id"
                "  ORDER BY last_id DESC LIMIT ?) AS newest"
                " JOIN item_trace ON item_trace.trace_id = newest.trace_id"
                " JOIN item ON item.id = item_id AND project_id IS project"
                " ORDER BY last_id, newest.trace_id, id",
                (limit,),
            ).fetchall()
        traces: dict[tuple[str, str | None], list[StoredItem]] = {}
        items: dict[int, StoredItem] = {}
        for trace_id, *row in rows:
            item = items.get(row[0]) or items.setdefault(row[0], _item_of(tuple(row)))
            traces.setdefault((trace_id, item.project_id), []).append(item)
        return [(trace_id, members) for (trace_id, _), members in traces.items()]

    def count_traces(self) -> int:
        """How many traces the items have to do with, one of several projects counted for each."""
        with self._changed:
            [count] = self._connection.execute(
                "SELECT count(*) FROM (SELECT DISTINCT trace_id, project_id FROM item_trace"
                " JOIN item ON item.id = item_id)"
            ).fetchone()
        return int(count)

    def count_logs(self) -> int:
        """How many logs the containers say they hold."""
        with self._changed:
            [count] = self._connection.execute(
                "SELECT total(json_extract(CAST(header AS TEXT), '$.item_count')) FROM item"
                " WHERE kind = 'log'"
            ).fetchone()
        return int(count)

    def spans(self, limit: int = -1) -> list[StoredSpan]:
        """OTLP spans in order of arrival; with ``limit`` the newest."""
        with self._changed:
            rows = self._connection.execute(
                "SELECT * FROM (SELECT span.id AS id, span.body, trace_id, span_id, violations,"
                " received_at, span_context.body, auth_key FROM span"
                " JOIN span_context ON span_context.id = context_id"
                " ORDER BY span.id DESC LIMIT ?) ORDER BY id",
                (limit,),
            ).fetchall()
        return [
            to_stored_span(
                SpanRow(body, trace_id, span_id, _violations_of.decode(violations), received_at),
                context,
                auth_key,
            )
            for _, body, trace_id, span_id, violations, received_at, context, auth_key in rows
        ]

    def violations(self) -> list[StoredViolation]:
        """The first 10,000 violations in order of arrival; ``counts`` knows of further ones."""
        with self._changed:
            rows = self._connection.execute(
                "SELECT rule, place, message, kind, received_at FROM violation ORDER BY id"
            ).fetchall()
        return [
            StoredViolation(rule, place, message, kind=kind, received_at=received_at)
            for rule, place, message, kind, received_at in rows
        ]

    def clear(self) -> None:
        """Forget everything received."""
        with self._changed:
            for table in TABLES:
                self._connection.execute(f"DELETE FROM {table}")
            self._connection.commit()
            self._requests.clear()
            self._counts = self._count_rows()
            self._size_bytes = 0
            self._notify()

    def commit(self) -> None:
        """Make what was added durable."""
        with self._changed:
            if self._connection.in_transaction:
                self._connection.commit()

    def close(self) -> None:
        """Commit and close; nothing can be read afterwards. Safe to call twice."""
        with self._changed:
            if not self._is_closed:
                self._is_closed = True
                self._connection.commit()
                self._connection.close()

    def _insert_item(self, row: ItemRow) -> None:
        header = msgspec.json.encode(row.header)
        envelope_header = msgspec.json.encode(row.envelope_header)
        size_bytes = len(row.body) + len(header) + len(envelope_header)
        item_id = self._connection.execute(
            "INSERT INTO item (kind, header, body, envelope_header, auth_key, project_id,"
            " content_encoding, violations, received_at, size) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                row.kind,
                header,
                row.body,
                envelope_header,
                row.auth_key,
                row.project_id,
                row.content_encoding,
                msgspec.json.encode(row.violations),
                row.received_at,
                size_bytes,
            ),
        ).lastrowid
        self._connection.executemany(
            "INSERT INTO item_trace (trace_id, item_id) VALUES (?,?)",
            [(trace_id, item_id) for trace_id in row.trace_ids],
        )
        self._counts[row.kind] += 1
        self._size_bytes += size_bytes

    def _insert_span(self, row: SpanRow, context_id: int | None, size_bytes: int) -> None:
        self._connection.execute(
            "INSERT INTO span (context_id, trace_id, span_id, body, violations, received_at, size)"
            " VALUES (?,?,?,?,?,?,?)",
            (
                context_id,
                row.trace_id,
                row.span_id,
                row.body,
                msgspec.json.encode(row.violations),
                row.received_at,
                size_bytes,
            ),
        )
        self._counts[SPAN_KIND] += 1
        self._size_bytes += size_bytes

    def _insert_violations(
        self, kind: str, violations: tuple[Violation, ...], received_at: float
    ) -> None:
        for violation in violations:
            self._counts["violations"] += 1
            if self._counts["violations"] <= _MOST_VIOLATIONS:
                self._connection.execute(
                    "INSERT INTO violation (rule, place, message, kind, received_at)"
                    " VALUES (?,?,?,?,?)",
                    (violation.rule, violation.where, violation.message, kind, received_at),
                )

    def _evict(self) -> None:
        while self._size_bytes > self._stored_bytes:
            evicted = sum(self._evict_oldest(table) for table in ("item", "span"))
            if evicted == 0:
                return
            self._connection.execute(
                "DELETE FROM span_context WHERE id NOT IN (SELECT context_id FROM span)"
            )
            self._connection.execute(
                "DELETE FROM item_trace WHERE item_id < (SELECT coalesce(min(id), 1e18) FROM item)"
            )
            self._evict_oldest("sent_span")
            self._counts["evicted"] += evicted
            self._size_bytes = self._sum_sizes()

    def _evict_oldest(self, table: str) -> int:
        return self._connection.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id"
            f" LIMIT (SELECT (count(*) + {_EVICTED_SHARE - 1}) / {_EVICTED_SHARE} FROM {table}))"
        ).rowcount

    def _sum_sizes(self) -> int:
        [size_bytes] = self._connection.execute(
            "SELECT (SELECT coalesce(sum(size), 0) FROM item)"
            " + (SELECT coalesce(sum(size), 0) FROM span)"
        ).fetchone()
        return int(size_bytes)

    def _count_rows(self) -> Counter[str]:
        counts = Counter(
            dict(self._connection.execute("SELECT kind, count(*) FROM item GROUP BY kind"))
        )
        for name, table in ((SPAN_KIND, "span"), ("violations", "violation")):
            [counts[name]] = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        counts["evicted"] = 0
        return counts

    def _notify(self) -> None:
        self._version += 1
        self._changed.notify_all()


def _item_of(row: tuple[int, str, bytes, bytes, bytes, str, str, str, bytes, float]) -> StoredItem:
    item_id, kind, header, body, envelope_header, key, project, encoding, violations, at = row
    return StoredItem(
        id=item_id,
        kind=kind,
        header=msgspec.json.decode(header),
        payload=_payload_of(kind, body),
        body=body,
        envelope_header=msgspec.json.decode(envelope_header),
        auth_key=key,
        project_id=project,
        content_encoding=encoding,
        violations=_violations_of.decode(violations),
        received_at=at,
    )


def _payload_of(kind: str, body: bytes) -> JsonObject:
    match kind:
        case "otlp_logs":
            return parse_stored_request("logs", body)
        case "otlp_metrics":
            return parse_stored_request("metrics", body)
        case _:
            value = read_stored_json(body)
            return value if isinstance(value, dict) else {}
