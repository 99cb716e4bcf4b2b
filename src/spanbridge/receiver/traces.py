"""All that one project got of a trace, joined: the same shape whatever the wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import msgspec

from spanbridge.receiver.checks.fields import read_time
from spanbridge.receiver.container_rows import logs_of, streamed_spans_of
from spanbridge.receiver.records import (
    Json,
    JsonObject,
    SentLink,
    StoredItem,
    StoredLog,
    StreamedSpan,
)
from spanbridge.receiver.tree_order import in_tree_order

Wire: TypeAlias = Literal["transactions", "spans"]


class TraceSpan(msgspec.Struct, frozen=True):
    """A span as Sentry's trace view would show it, from a transaction or streamed."""

    span_id: str
    parent_span_id: str | None
    op: str
    name: str
    """The transaction's name, or the description; of a streamed span its description or name."""
    start_s: float | None
    """Unix time in seconds."""
    end_s: float | None
    """Unix time in seconds."""
    status: str
    """A word of the wire it came on: a streamed span knows ``"ok"`` and ``"error"`` alone."""
    is_segment: bool
    """Whether it is the top of the trace within one service."""
    wire: Wire
    attributes: JsonObject
    links: tuple[SentLink, ...]
    tags: JsonObject
    """Of a transaction; a streamed span has none."""
    measurements: JsonObject
    """Of a transaction and the spans in it; a streamed span has none."""
    item_id: int
    """The :class:`~spanbridge.receiver.StoredItem` it came in."""

    @property
    def duration_s(self) -> float | None:
        """How long it took, if both ends are known."""
        if self.start_s is None or self.end_s is None:
            return None
        return self.end_s - self.start_s


class Trace(msgspec.Struct, frozen=True):
    """What arrived of one trace at one project, by whatever items."""

    trace_id: str
    project_id: str | None
    spans: tuple[TraceSpan, ...]
    """From the root down, each before its children, by start."""
    logs: tuple[StoredLog, ...]
    """By time."""
    issues: tuple[StoredItem, ...]
    """Error events, in order of arrival."""
    violations: int
    """How many rules its items broke."""

    @property
    def segments(self) -> tuple[TraceSpan, ...]:
        """The tops of the trace within each service, and of what followed later."""
        return tuple(one for one in self.spans if one.is_segment)

    @property
    def wires(self) -> frozenset[Wire]:
        """How its spans came."""
        return frozenset(one.wire for one in self.spans)

    @property
    def outline(self) -> list[str]:
        """The tree in lines of ``op name``, two spaces deeper for each level."""
        return [
            "  " * depth + " ".join(filter(None, (one.op, one.name)))
            for depth, one in in_tree_order(self.spans)
        ]


def join_trace(trace_id: str, items: Sequence[StoredItem]) -> Trace:
    """Join what items have to do with one trace.

    Args:
        trace_id: The trace.
        items: Items of one project, of any kind, that have to do with it, perhaps with others too.
    """
    logs = [log for item in items if item.kind == "log" for log in logs_of(item)]
    return Trace(
        trace_id=trace_id,
        project_id=items[0].project_id if items else None,
        spans=tuple(one for _, one in in_tree_order(list(_spans(trace_id, items)))),
        logs=tuple(
            sorted(
                (log for log in logs if log.trace_id == trace_id),
                key=_moment_of,
            )
        ),
        issues=tuple(item for item in items if item.kind == "event"),
        violations=sum(len(item.violations) for item in items),
    )


def _moment_of(log: StoredLog) -> tuple[float, int]:
    """What is of one instant is told apart by a number that grows."""
    sequence = log.attributes.get("sentry.timestamp.sequence")
    return log.timestamp_s or 0.0, sequence if type(sequence) is int else 0


def _spans(trace_id: str, items: Sequence[StoredItem]) -> Iterator[TraceSpan]:
    for item in items:
        if item.kind == "transaction":
            yield _root_of(item)
            yield from _children_of(item)
        elif item.kind == "span":
            for row in streamed_spans_of(item):
                if row.trace_id == trace_id:
                    yield _of_streamed(row)


def _root_of(item: StoredItem) -> TraceSpan:
    payload = item.payload
    contexts = _object(payload.get("contexts"))
    trace = _object(contexts.get("trace"))
    named = {"description": payload.get("transaction")}
    times = {name: payload.get(name) for name in ("start_timestamp", "timestamp")}
    measured = {"measurements": payload.get("measurements"), "tags": payload.get("tags")}
    return _of_transaction(trace | named | times | measured, item.id, is_segment=True)


def _children_of(item: StoredItem) -> Iterator[TraceSpan]:
    spans = item.payload.get("spans")
    for one in spans if isinstance(spans, list) else []:
        if isinstance(one, dict):
            yield _of_transaction(one, item.id, is_segment=False)


def _of_transaction(span: JsonObject, item_id: int, *, is_segment: bool) -> TraceSpan:
    parent_span_id = span.get("parent_span_id")
    return TraceSpan(
        span_id=_shown(span.get("span_id")),
        parent_span_id=None if parent_span_id is None else _shown(parent_span_id),
        op=_shown(span.get("op")),
        name=_shown(span.get("description")),
        start_s=read_time(span.get("start_timestamp")),
        end_s=read_time(span.get("timestamp")),
        status=_shown(span.get("status")),
        is_segment=is_segment,
        wire="transactions",
        attributes=_object(span.get("data")),
        links=tuple(_plain_links(span.get("links"))),
        tags=_object(span.get("tags")),
        measurements=_object(span.get("measurements")),
        item_id=item_id,
    )


def _of_streamed(row: StreamedSpan) -> TraceSpan:
    return TraceSpan(
        span_id=row.span_id,
        parent_span_id=row.parent_span_id,
        op=_shown(row.attributes.get("sentry.op")),
        name=_shown(row.attributes.get("sentry.description") or row.name),
        start_s=row.start_s,
        end_s=row.end_s,
        status=row.status,
        is_segment=row.is_segment,
        wire="spans",
        attributes=row.attributes,
        links=row.links,
        tags={},
        measurements={},
        item_id=row.item_id,
    )


def _plain_links(links: Json) -> Iterator[SentLink]:
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict):
            yield SentLink(
                _shown(link.get("trace_id")),
                _shown(link.get("span_id")),
                _object(link.get("attributes")),
            )


def _shown(value: Json) -> str:
    return "" if value is None else str(value)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
