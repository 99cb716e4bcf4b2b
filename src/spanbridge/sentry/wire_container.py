"""Sentry's containers of streamed spans ("span v2") and of logs as typed records.

Field names are the protocol's; what is optional is left out of the JSON when empty.

Source: Sentry develop docs, "Span Protocol", "Logs".
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from spanbridge.model.span import AttributeValue
from spanbridge.sentry.wire import Meta

SPAN_CONTENT_TYPE: Final = "application/vnd.sentry.items.span.v2+json"
LOG_CONTENT_TYPE: Final = "application/vnd.sentry.items.log+json"

AttributeType: TypeAlias = Literal["string", "boolean", "integer", "double", "array"]
LogLevel: TypeAlias = Literal["trace", "debug", "info", "warn", "error", "fatal"]
"""Words for logs; an event's ``warning`` is ``warn`` here."""


class TypedValue(msgspec.Struct, frozen=True, gc=False):
    """A value with its type. An integer has 64 bits; an array holds primitives of one kind."""

    type: AttributeType
    value: AttributeValue


TypedAttributes: TypeAlias = dict[str, TypedValue]


class StreamedLink(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A link to another span; attributes are typed on this wire."""

    trace_id: str
    span_id: str
    sampled: bool | None = None
    attributes: TypedAttributes = {}


class StreamedSpan(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A span by itself ("span v2"). Times are Unix time in seconds.

    ``attributes`` come last and are never empty: what many spans have in common is appended to
    them when the span is encoded already.
    """

    trace_id: str
    span_id: str
    name: str
    status: Literal["ok", "error"]
    is_segment: bool
    start_timestamp: float
    end_timestamp: float
    parent_span_id: str | None = None
    links: list[StreamedLink] = []
    meta: Meta = msgspec.field(default_factory=dict, name="_meta")
    attributes: TypedAttributes = {}


class LogItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One log. ``timestamp`` is Unix time in seconds."""

    timestamp: float
    trace_id: str
    level: LogLevel
    body: str
    span_id: str | None = None
    severity_number: int | None = None
    attributes: TypedAttributes = {}
    meta: Meta = msgspec.field(default_factory=dict, name="_meta")
