"""What OpenTelemetry knows of a span and Sentry has no field for, kept as ``otel.*`` attributes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spanbridge.model import span as model
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, AttributeValue, SpanEvent, SpanKind, SpanRecord
from spanbridge.sentry.convert.attributes import json_value
from spanbridge.sentry.wire import SpanLink

MAX_SCOPE_CHARS: Final = 256
MAX_LINKS_BYTES: Final = 32 * 1024

_STACKTRACE: Final = "exception.stacktrace"
_NO_TRACE_ID: Final = "0" * 32
_NO_SPAN_ID: Final = "0" * 16


@lru_cache(maxsize=512)
def constant_facts(scope_name: str, scope_version: str | None, kind: SpanKind) -> dict[str, str]:
    """Kind and instrumentation scope, the same for all spans of a tracer; not to be changed."""
    facts: dict[str, str] = {"sentry.kind": kind}
    if scope_name:
        facts["otel.scope.name"] = scope_name[:MAX_SCOPE_CHARS]
    if scope_version:
        facts["otel.scope.version"] = scope_version[:MAX_SCOPE_CHARS]
    return facts


def add_own_facts(span: SpanRecord, data: Attributes) -> None:
    """Add what a span has beyond attributes: status, events, trace state, dropped counts.

    Events become the list ``otel.events``. Of an exception its stack trace is left out: it leaves
    as an error of its own.
    """
    if span.status != "unset":
        data["otel.status_code"] = span.status.upper()
        if span.status_message:
            data["sentry.status.message"] = span.status_message
    if span.events:
        data["otel.events"] = [_event(event) for event in span.events]
    if span.trace_state:
        data["otel.trace_state"] = span.trace_state
    if span.dropped_attributes:
        data["otel.dropped_attributes_count"] = span.dropped_attributes
    if span.dropped_events:
        data["otel.dropped_events_count"] = span.dropped_events
    if span.dropped_links:
        data["otel.dropped_links_count"] = span.dropped_links
    if span.scope.attributes:
        data["otel.scope.attributes"] = span.scope.attributes


def links_of(span: SpanRecord, data: Attributes) -> list[SpanLink]:
    """The span's links within ``MAX_LINKS_BYTES``; what is left out is counted in ``data``.

    A link without valid ids, which Relay would refuse, is kept in ``data``.
    """
    links: list[SpanLink] = []
    invalid: list[AttributeValue] = []
    room, cut_attributes, dropped = MAX_LINKS_BYTES, 0, 0
    for link in span.links:
        attributes = _link_attributes(link)
        if link.trace_id == _NO_TRACE_ID or link.span_id == _NO_SPAN_ID:
            invalid.append(attributes)
            continue
        converted = SpanLink(link.trace_id, link.span_id, link.is_sampled, attributes)
        size = len(encode_json(converted)) + 1
        if size > room and attributes:
            cut_attributes += len(attributes)
            converted = SpanLink(link.trace_id, link.span_id, link.is_sampled)
            size = len(encode_json(converted)) + 1
        if size > room:
            dropped += 1
            continue
        room -= size
        links.append(converted)
    if invalid:
        data["otel.links_without_context"] = invalid
    if cut_attributes:
        data["otel.links.dropped_attributes_count"] = cut_attributes
    if dropped:
        data["otel.links.dropped_by_size_count"] = dropped
    return links


def _link_attributes(link: model.SpanLink) -> Attributes:
    attributes: Attributes = {key: json_value(value) for key, value in link.attributes.items()}
    if link.trace_state:
        attributes["otel.trace_state"] = link.trace_state
    return attributes


def _event(event: SpanEvent) -> dict[str, AttributeValue]:
    entry: dict[str, AttributeValue] = {
        "name": event.name,
        "timestamp": event.time_ns / 1_000_000_000,
    }
    attributes: Attributes = {
        key: value for key, value in event.attributes.items() if key != _STACKTRACE
    }
    if attributes:
        entry["attributes"] = attributes
    return entry
