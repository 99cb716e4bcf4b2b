"""Read OTLP/HTTP requests, protobuf and JSON, and turn spans into plain records.

Source: OTLP specification 1.x, "OTLP/HTTP"; JSON differs from protobuf's mapping in that ids are
hex.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from spanbridge.model.span import (
    Attributes,
    AttributeValue,
    Resource,
    Scope,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanStatus,
)
from spanbridge.receiver.records import Json, JsonObject, StoredSpan, Violation

OtlpSignal: TypeAlias = Literal["traces", "logs", "metrics"]

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_SAMPLED_FLAG = 0x01
_INVALID_ARGUMENT = 3
_REQUESTS: dict[OtlpSignal, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_RESPONSES: dict[OtlpSignal, type[Message]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
_KINDS: dict[int, SpanKind] = {
    Span.SPAN_KIND_INTERNAL: "internal",
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
    Span.SPAN_KIND_PRODUCER: "producer",
    Span.SPAN_KIND_CONSUMER: "consumer",
}
_STATUSES: dict[int, SpanStatus] = {0: "unset", 1: "ok", 2: "error"}
_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})


class DamagedOtlpError(ValueError):
    """The body is not the OTLP request its content type and path promise."""


class SpanRow(msgspec.Struct, frozen=True):
    """A span as it is stored: its own bytes, and where it came from."""

    body: bytes
    trace_id: str
    span_id: str
    violations: tuple[Violation, ...]
    received_at: float


class SpanGroup(msgspec.Struct, frozen=True):
    """Spans of one resource and scope."""

    context: bytes
    """A ``ResourceSpans`` message with the resource and the scope, without spans."""
    spans: tuple[SpanRow, ...]


def read_request(signal: OtlpSignal, body: bytes, content_type: str) -> Message:
    """Decode an export request.

    Args:
        signal: What the path says it holds.
        body: The plain body.
        content_type: :data:`PROTOBUF` or :data:`JSON`.

    Raises:
        DamagedOtlpError: It cannot be decoded.
    """
    request = _REQUESTS[signal]()
    try:
        if content_type == JSON:
            json_format.ParseDict(
                _with_base64_ids(json.loads(body)), request, ignore_unknown_fields=True
            )
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise DamagedOtlpError(f"not an OTLP {signal} request: {error}") from error
    return request


def success_body(signal: OtlpSignal, content_type: str) -> bytes:
    """The answer to a request that was taken whole."""
    return b"{}" if content_type == JSON else _RESPONSES[signal]().SerializeToString()


def failure_body(message: str, content_type: str) -> bytes:
    """The answer to a request that was refused: a ``google.rpc.Status``."""
    status = Status(code=_INVALID_ARGUMENT, message=message)
    if content_type == JSON:
        return json_format.MessageToJson(status).encode()
    encoded: bytes = status.SerializeToString()
    return encoded


def to_json_object(request: Message) -> JsonObject:
    """A decoded request in protobuf's JSON mapping (ids are base64)."""
    return json_format.MessageToDict(request)


def parse_stored_request(signal: OtlpSignal, body: bytes) -> JsonObject:
    """A stored protobuf request in protobuf's JSON mapping."""
    return to_json_object(read_request(signal, body, PROTOBUF))


def scope_contexts(request: Message) -> Iterator[tuple[bytes, Iterable[Span]]]:
    """The spans of a trace request, by resource and scope."""
    assert isinstance(request, ExportTraceServiceRequest)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            context = ResourceSpans(
                resource=resource_spans.resource, schema_url=resource_spans.schema_url
            )
            context.scope_spans.add(scope=scope_spans.scope, schema_url=scope_spans.schema_url)
            yield context.SerializeToString(), scope_spans.spans


def to_stored_span(row: SpanRow, context: bytes, auth_key: str | None) -> StoredSpan:
    """The readable form of a stored span."""
    span = Span.FromString(row.body)
    resource_spans = ResourceSpans.FromString(context)
    [scope_spans] = resource_spans.scope_spans
    return StoredSpan(
        trace_id=row.trace_id,
        span_id=row.span_id,
        parent_span_id=span.parent_span_id.hex() or None,
        name=span.name,
        kind=_KINDS.get(span.kind),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=_STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        events=tuple(
            SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ),
        links=tuple(_link(link) for link in span.links),
        scope=Scope(
            name=scope_spans.scope.name,
            version=scope_spans.scope.version or None,
            schema_url=scope_spans.schema_url or None,
            attributes=_attributes(scope_spans.scope.attributes),
        ),
        resource=Resource(
            attributes=_attributes(resource_spans.resource.attributes),
            schema_url=resource_spans.schema_url or None,
        ),
        trace_state=span.trace_state,
        flags=span.flags,
        dropped_attributes=span.dropped_attributes_count,
        dropped_events=span.dropped_events_count,
        dropped_links=span.dropped_links_count,
        auth_key=auth_key,
        violations=row.violations,
        received_at=row.received_at,
    )


def _link(link: Span.Link) -> SpanLink:
    return SpanLink(
        trace_id=link.trace_id.hex(),
        span_id=link.span_id.hex(),
        is_sampled=bool(link.flags & _SAMPLED_FLAG),
        attributes=_attributes(link.attributes),
        trace_state=link.trace_state,
    )


def _attributes(attributes: Iterable[KeyValue]) -> Attributes:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> AttributeValue:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case name:
            plain: str | bool | int | float | bytes = getattr(value, name)
            return plain


def _with_base64_ids(node: Json) -> Json:
    if isinstance(node, list):
        return [_with_base64_ids(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode()
        if key in _ID_KEYS and isinstance(value, str)
        else _with_base64_ids(value)
        for key, value in node.items()
    }
