"""Spans of any kind on their way through both tiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Any, TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanbridge.testing import Receiver
from tests.peers.collector import Collector
from tests.peers.otlp_requests import send

ARRIVAL_S = 30.0
Through: TypeAlias = Callable[[Sequence[Span]], list[Any]]
"""What becomes of spans on their way, in their order."""


def sent_through(agent: Collector, sentry: Receiver, spans: Sequence[Span]) -> list[Any]:
    already = len(sentry.spans)
    now = time_ns()
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.append(attribute("service.name", "shop"))
    scope_spans = resource_spans.scope_spans.add()
    for number, span in enumerate(spans):
        span.trace_id = (already + number + 1).to_bytes(16, "big")
        span.span_id = (already + number + 1).to_bytes(8, "big")
        span.name = span.name or "work"
        span.start_time_unix_nano = span.end_time_unix_nano = now
        scope_spans.spans.append(span)
    send(agent, request)
    sentry.wait_for(lambda one: len(one.spans) == already + len(spans), ARRIVAL_S)
    return sorted(sentry.spans, key=lambda span: int(span.span_id, 16))[already:]


def any_value(value: object) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, Mapping):
        members = [KeyValue(key=name, value=any_value(one)) for name, one in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=members))
    if isinstance(value, list | tuple):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return (
        AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=str(value))
    )


def attribute(name: str, value: object) -> KeyValue:
    return KeyValue(key=name, value=any_value(value))
