"""What was noted while a span ran becomes a log item, linked to the span.

An event that is an exception is none of them: it leaves as an error.

Source: Sentry develop docs, "Logs"; OpenTelemetry's OTEP 4430, which replaces span events by logs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from spanbridge.conventions.upstream import GEN_AI_CONVERSATION_ID, SESSION_ID
from spanbridge.model.span import Attributes, AttributeValue, SpanEvent, SpanRecord
from spanbridge.model.trace import SegmentName
from spanbridge.sentry.convert.attributes import cut_text, make_json_safe
from spanbridge.sentry.convert.interfaces import USER_ATTRIBUTES
from spanbridge.sentry.convert.streamed_span import resource_attributes
from spanbridge.sentry.convert.times import MAX_NS
from spanbridge.sentry.convert.typed import text_value, typed_attributes, typed_meta
from spanbridge.sentry.wire_container import LogItem, LogLevel, TypedAttributes

EXCEPTION: Final = "exception"
STARTED: Final = "spanbridge.segment.started"
"""The name of the log that tells of a local root which is still open."""
ORIGIN: Final = "auto.log.otel.span_event"
STARTED_ORIGIN: Final = "auto.log.spanbridge"
MAX_BODY_CHARS: Final = 8192

LEVELS: Final[dict[str, tuple[LogLevel, int]]] = {
    "trace": ("trace", 1),
    "debug": ("debug", 5),
    "info": ("info", 9),
    "warn": ("warn", 13),
    "warning": ("warn", 13),
    "error": ("error", 17),
    "fatal": ("fatal", 21),
    "critical": ("fatal", 21),
}
"""What ``sentry.level`` of an event may say: the log's level, and OpenTelemetry's number."""

_OF_SPAN: Final = (*sorted(USER_ATTRIBUTES), SESSION_ID, GEN_AI_CONVERSATION_ID)
"""What an event says of its surroundings if it does not say so itself."""
_NS_PER_S: Final = 1_000_000_000
_NO_SPAN_ID: Final = "0" * 16
# Tells events of one instant apart; it only has to grow.
_sequence: Final = itertools.count()


def has_logs(span: SpanRecord) -> bool:
    """Whether anything but exceptions was noted on the span."""
    return any(event.name != EXCEPTION for event in span.events)


def convert_events(span: SpanRecord, common: TypedAttributes) -> Iterator[LogItem]:
    """A log for each event of ``span`` that is no exception.

    Args:
        span: The span, scrubbed.
        common: What is the same for all items of the destination.
    """
    around = {key: span.attributes[key] for key in _OF_SPAN if key in span.attributes}
    of_all, _ = resource_attributes(span.resource)
    shared = {**common, **of_all, "sentry.origin": text_value(ORIGIN)}
    if span.scope.name:
        shared["otel.scope.name"] = text_value(span.scope.name)
    for event in span.events:
        if event.name != EXCEPTION:
            yield _log(event, span, around, shared)


def convert_started(segment: SegmentName, root: SpanRecord, common: TypedAttributes) -> LogItem:
    """Tells that a segment began whose root is open while parts of it arrive already.

    Should the process die, this is by what the run can be found.
    """
    of_all, _ = resource_attributes(root.resource)
    attributes = {
        **common,
        **of_all,
        "sentry.origin": text_value(STARTED_ORIGIN),
        "event.name": text_value(STARTED),
        "sentry.segment.id": text_value(segment.span_id),
        "sentry.segment.name": text_value(segment.name),
    }
    level, number = LEVELS["info"]
    return LogItem(
        root.start_ns / _NS_PER_S,
        root.trace_id,
        level,
        f"{segment.name} started",
        segment.span_id,
        number,
        attributes,
    )


def _log(
    event: SpanEvent, span: SpanRecord, around: Attributes, shared: TypedAttributes
) -> LogItem:
    data: Attributes = {**around, **event.attributes}
    level, number = _level(data.pop("sentry.level", None))
    body, body_annotation = cut_text(event.name, MAX_BODY_CHARS)
    data_meta = make_json_safe(data, sum(map(len, data)))
    meta = typed_meta(data_meta)
    if body_annotation is not None:
        meta["body"] = {"": body_annotation}
    time_ns = event.time_ns
    if not 0 < time_ns <= MAX_NS:  # what no server would take; an event is of its span's time
        data["otel.time_unix_nano"] = time_ns
        time_ns = min(max(span.start_ns, 0), MAX_NS)
    attributes = {**shared, **typed_attributes(data), "event.name": text_value(body)}
    attributes["sentry.timestamp.sequence"] = typed_attributes({"": next(_sequence)})[""]
    return LogItem(
        time_ns / _NS_PER_S,
        span.trace_id,
        level,
        body,
        span.span_id if span.span_id != _NO_SPAN_ID else None,
        number,
        attributes,
        meta,
    )


def _level(wanted: AttributeValue) -> tuple[LogLevel, int]:
    return LEVELS.get(wanted.lower() if isinstance(wanted, str) else "", LEVELS["info"])
