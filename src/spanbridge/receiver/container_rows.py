"""Containers of streamed spans and of logs, row by row."""

from __future__ import annotations

from collections.abc import Iterator

from spanbridge.receiver.checks.fields import read_time
from spanbridge.receiver.records import (
    Json,
    JsonObject,
    SentLink,
    StoredItem,
    StoredLog,
    StreamedSpan,
    Violation,
)


def streamed_spans_of(item: StoredItem) -> list[StreamedSpan]:
    """The spans of an item of kind ``span``."""
    return [
        StreamedSpan(
            trace_id=_text(row.get("trace_id")),
            span_id=_text(row.get("span_id")),
            parent_span_id=_text(row.get("parent_span_id")) or None,
            name=_text(row.get("name")),
            start_s=read_time(row.get("start_timestamp")),
            end_s=read_time(row.get("end_timestamp")),
            status=_text(row.get("status")),
            is_segment=row.get("is_segment") is True,
            attributes=plain_attributes(row.get("attributes")),
            links=tuple(_links(row.get("links"))),
            payload=row,
            trace_header=_object(item.envelope_header.get("trace")),
            item_id=item.id,
            auth_key=item.auth_key,
            project_id=item.project_id,
            violations=_violations(item, index),
            received_at=item.received_at,
        )
        for index, row in _rows(item)
    ]


def logs_of(item: StoredItem) -> list[StoredLog]:
    """The entries of an item of kind ``log``."""
    return [
        StoredLog(
            timestamp_s=read_time(row.get("timestamp")),
            trace_id=_text(row.get("trace_id")),
            span_id=_text(row.get("span_id")) or None,
            level=_text(row.get("level")),
            body=_text(row.get("body")),
            severity_number=_whole(row.get("severity_number")),
            attributes=plain_attributes(row.get("attributes")),
            payload=row,
            trace_header=_object(item.envelope_header.get("trace")),
            item_id=item.id,
            auth_key=item.auth_key,
            project_id=item.project_id,
            violations=_violations(item, index),
            received_at=item.received_at,
        )
        for index, row in _rows(item)
    ]


def plain_attributes(attributes: Json) -> JsonObject:
    """Typed attributes by their values alone."""
    return {
        name: typed.get("value")
        for name, typed in _object(attributes).items()
        if isinstance(typed, dict)
    }


def _rows(item: StoredItem) -> Iterator[tuple[int, JsonObject]]:
    rows = item.payload.get("items")
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            yield index, row


def _links(links: Json) -> Iterator[SentLink]:
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict):
            yield SentLink(
                _text(link.get("trace_id")),
                _text(link.get("span_id")),
                plain_attributes(link.get("attributes")),
            )


def _violations(item: StoredItem, index: int) -> tuple[Violation, ...]:
    place = f"items[{index}]"
    return tuple(
        one for one in item.violations if one.where == place or one.where.startswith(f"{place}.")
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Json) -> int | None:
    return value if type(value) is int else None


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
