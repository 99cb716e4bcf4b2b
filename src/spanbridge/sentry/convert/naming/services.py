"""Calls between services: RPC, messaging, functions, GraphQL."""

from __future__ import annotations

from typing import Final

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.naming.name import SpanName, text_of

QUEUE_OPS: Final = {
    "send": "queue.publish",
    "publish": "queue.publish",
    "create": "queue.create",
    "receive": "queue.receive",
    "process": "queue.process",
    "deliver": "queue.process",
    "settle": "queue.settle",
    "ack": "queue.settle",
    "nack": "queue.settle",
}
"""Messaging operations by the ops Sentry's Queues module knows."""

_QUEUE_OPERATION_OF_KIND: Final = {"producer": "publish", "consumer": "process"}
_FUNCTION_OPS: Final = {
    "aws": "function.aws",
    "gcp": "function.gcp",
    "azure": "function.azure",
}
_GRAPHQL_PHASES: Final = ("parse", "validate", "resolve")


def name_rpc(span: SpanRecord, data: Attributes) -> SpanName:
    """``service/method``."""
    service = text_of(data.get("rpc.service"))
    method = text_of(data.get("rpc.method"))
    # Newer conventions put the service into the method.
    parts = [method] if "/" in method else [part for part in (service, method) if part]
    name = "/".join(parts) or span.name
    return SpanName("rpc", name, name, "route")


def name_messaging(span: SpanRecord, data: Attributes) -> SpanName:
    """``operation destination``, described by the destination."""
    destination = text_of(
        data.get("messaging.destination.template") or data.get("messaging.destination.name")
    )
    operation = text_of(
        data.get("messaging.operation.type") or data.get("messaging.operation.name")
    ).lower() or _QUEUE_OPERATION_OF_KIND.get(span.kind, "")
    op = QUEUE_OPS.get(operation) or QUEUE_OPS.get(
        _QUEUE_OPERATION_OF_KIND.get(span.kind, ""), "queue"
    )
    name = f"{operation} {destination}".strip() if destination else span.name
    return SpanName(op, name, destination or name, "task")


def name_function(span: SpanRecord, data: Attributes) -> SpanName:
    """The function's name; what triggered it stays in the data."""
    provider = text_of(data.get("cloud.provider") or data.get("faas.invoked_provider"))
    if not provider:
        provider = text_of(span.resource.attributes.get("cloud.provider"))
    name = text_of(data.get("faas.name") or data.get("faas.invoked_name"))
    if not name:
        name = text_of(span.resource.attributes.get("faas.name")) or span.name
    return SpanName(
        _FUNCTION_OPS.get(provider.partition("_")[0], "function"), name, name, "component"
    )


def name_graphql(span: SpanRecord, data: Attributes) -> SpanName:
    """``GraphQL query Name``, described by the document."""
    lowered = span.name.lower()
    if "graphql.field.name" in data:
        phase = "resolve"
    else:
        phase = next((word for word in _GRAPHQL_PHASES if word in lowered), "execute")
    operation = " ".join(
        filter(
            None,
            (
                text_of(data.get("graphql.operation.type")),
                text_of(data.get("graphql.operation.name")),
            ),
        )
    )
    name = f"GraphQL {operation}" if operation else span.name
    document = text_of(data.get("graphql.document"))
    return SpanName(f"graphql.{phase}", name, document or name, "component")
