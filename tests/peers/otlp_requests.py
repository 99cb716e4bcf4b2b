"""Requests of OTLP as any program may send them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from time import time_ns
from types import MappingProxyType
from typing import TypeAlias

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.peers.collector import Collector


def spans(
    number: int,
    attributes: Mapping[str, str] = MappingProxyType({}),
    *,
    is_failed: bool = False,
    resource: Mapping[str, str] = MappingProxyType({}),
) -> ExportTraceServiceRequest:
    """So many traces of one span each, of the service ``shop`` unless the resource says another."""
    now = time_ns()
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(_texts({"service.name": "shop", **resource}))
    scope_spans = resource_spans.scope_spans.add()
    for _ in range(number):
        span = scope_spans.spans.add(
            trace_id=secrets.token_bytes(16),
            span_id=secrets.token_bytes(8),
            name="order",
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=now - 1_000_000,
            end_time_unix_nano=now,
            attributes=_texts(attributes),
        )
        if is_failed:
            span.status.code = span.status.STATUS_CODE_ERROR
    return request


def _texts(attributes: Mapping[str, str]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()
    ]


Request: TypeAlias = ExportTraceServiceRequest | ExportMetricsServiceRequest


def answer_to(to: Collector, request: Request) -> int:
    """Send it, and tell the status of the answer."""
    signal = "traces" if isinstance(request, ExportTraceServiceRequest) else "metrics"
    answer = httpx.post(
        f"http://127.0.0.1:{to.http}/v1/{signal}",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=60,
    )
    return answer.status_code


def send(to: Collector, request: Request) -> None:
    """Send it to a Collector that takes it."""
    assert answer_to(to, request) == 200
