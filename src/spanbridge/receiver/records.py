"""What the receiver keeps and gives back."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from spanbridge.model.span import (
    Attributes,
    Resource,
    Scope,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanStatus,
)

# JSON of somebody else: its shape is what the checks are there to find out.
Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Json]

MIB = 1024 * 1024

_OF_EVERY_LOG = (
    "sentry.", "process.", "server.", "service.", "otel.", "code.", "thread.", "deployment.",
    "event.name", "logger.name",
)  # fmt: skip


class Violation(msgspec.Struct, frozen=True):
    """One way in which something received breaks the protocol."""

    rule: str
    """A stable name, ``<subject>.<field or aspect>``, e.g. ``"dsc.public_key"``."""
    where: str
    """The place in the item, as a path: ``"spans[3].span_id"``."""
    message: str
    """What is wrong, with the value seen."""


class StoredViolation(Violation, frozen=True, kw_only=True):
    """A violation with the thing that holds it.

    ``kind`` is the item's kind, ``"otlp_span"``, or ``"request"`` if the whole request was refused.
    ``received_at`` is Unix time in seconds.
    """

    kind: str
    received_at: float


class StoredItem(msgspec.Struct, frozen=True):
    """One envelope item, or one OTLP request for logs or metrics."""

    id: int
    """Counts up in the order of arrival."""
    kind: str
    """The item type (``"event"``, ``"transaction"``, …), ``"otlp_logs"`` or ``"otlp_metrics"``."""
    header: JsonObject
    payload: JsonObject
    """The decoded JSON object; empty if the item holds anything else (see ``body``)."""
    body: bytes
    """The payload as received, after decompression; for OTLP the request as protobuf."""
    envelope_header: JsonObject
    auth_key: str | None
    """The DSN's public key the request was sent with."""
    project_id: str | None
    content_encoding: str
    """How the request was compressed; ``"identity"`` if it was not."""
    violations: tuple[Violation, ...]
    """Violations of the item; those of the envelope stand with its first item."""
    received_at: float
    """Unix time in seconds."""


class StoredSpan(msgspec.Struct, frozen=True):
    """One OTLP span. Ids are lower-case hex; times are Unix time in nanoseconds."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind | None
    """``None`` if the sender left it unspecified."""
    start_ns: int
    end_ns: int
    status: SpanStatus
    status_message: str
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    scope: Scope
    resource: Resource
    trace_state: str
    flags: int
    """OTLP's flag word: W3C flags in the low 8 bits, bits 8 and 9 tell of a remote parent."""
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
    auth_key: str | None
    violations: tuple[Violation, ...]
    received_at: float
    """Unix time in seconds."""


class SentLink(msgspec.Struct, frozen=True):
    """A link from a span of Sentry's protocol to another, on either wire."""

    trace_id: str
    span_id: str
    attributes: JsonObject
    """Plain values, whatever the wire."""


class StreamedSpan(msgspec.Struct, frozen=True):
    """One span of a container of streamed spans.

    Where the sender broke the protocol, a text is empty and a time ``None``; ``violations`` and
    ``payload`` tell what it was.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_s: float | None
    """Unix time in seconds."""
    end_s: float | None
    """Unix time in seconds."""
    status: str
    """``"ok"`` or ``"error"``."""
    is_segment: bool
    attributes: JsonObject
    """Plain values; the types stand in ``payload``."""
    links: tuple[SentLink, ...]
    payload: JsonObject
    """The span as received."""
    trace_header: JsonObject
    """The dynamic sampling context its envelope came under; empty if there was none."""
    item_id: int
    """The :class:`StoredItem` that held it."""
    auth_key: str | None
    project_id: str | None
    violations: tuple[Violation, ...]
    """Those of this span; those of its container stand with the item."""
    received_at: float
    """Unix time in seconds."""


class StoredLog(msgspec.Struct, frozen=True):
    """One entry of a container of logs; see :class:`StreamedSpan` for broken ones."""

    timestamp_s: float | None
    """Unix time in seconds."""
    trace_id: str
    span_id: str | None
    level: str
    body: str
    severity_number: int | None
    """OpenTelemetry's number, 1 to 24."""
    attributes: JsonObject
    """Plain values; the types stand in ``payload``."""
    payload: JsonObject
    """The entry as received."""
    trace_header: JsonObject
    """The dynamic sampling context its envelope came under; empty if there was none."""
    item_id: int
    """The :class:`StoredItem` that held it."""
    auth_key: str | None
    project_id: str | None
    violations: tuple[Violation, ...]
    """Those of this entry; those of its container stand with the item."""
    received_at: float
    """Unix time in seconds."""

    @property
    def own_attributes(self) -> JsonObject:
        """What it says itself, without what all logs of a program say and how it came about.

        Of an event, names lose the event's own name as a beginning.
        """
        return {
            name.removeprefix(f"{self.body}."): value
            for name, value in self.attributes.items()
            if not name.startswith(_OF_EVERY_LOG)
        }


class ReceiverLimits(msgspec.Struct, frozen=True):
    """Sizes above which a request is refused or old items are dropped.

    The defaults for a request are those Sentry states for its ingestion.
    """

    body_bytes: int = 40 * MIB
    """The body as sent. Larger: 413."""
    decompressed_bytes: int = 200 * MIB
    """The body after decompression. Larger: 413."""
    stored_bytes: int = 512 * MIB
    """Payload bytes kept. Beyond it the oldest go, counted as ``evicted``."""
