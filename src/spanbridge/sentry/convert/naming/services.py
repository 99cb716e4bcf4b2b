"""What is worked out of calls between services: RPC, messaging, functions, GraphQL."""

from __future__ import annotations

from typing import Final

from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.sentry.convert.naming.name import text_of

MESSAGING_OPERATIONS: Final = {
    "send": "send publish",
    "create": "create",
    "receive": "receive poll",
    "process": "process deliver",
    "settle": "settle ack nack commit complete abandon",
}
"""Operations of messaging by current name, and the words older or other instrumentations use."""

_OPERATION_OF_WORD: Final = {
    word: operation for operation, words in MESSAGING_OPERATIONS.items() for word in words.split()
}
_OPERATION_OF_KIND: Final = {"producer": "send", "consumer": "process"}
_GRAPHQL_PHASES: Final = ("parse", "validate", "resolve")


def qualified_method_of(_: SpanRecord, data: Attributes) -> str:
    """The method, if it names the service as well, as newer conventions have it."""
    method = text_of(data.get("rpc.method"))
    return method if "/" in method else ""


def messaging_operation_of(span: SpanRecord, data: Attributes) -> str:
    """What is done with a message."""
    for key in ("messaging.operation.type", "messaging.operation.name"):
        word = data.get(key)
        if word:
            known = _OPERATION_OF_WORD.get(text_of(word).lower())
            if known:
                return known
    return _OPERATION_OF_KIND.get(span.kind, "")


def destination_of(_: SpanRecord, data: Attributes) -> str:
    """The destination in words of low cardinality."""
    template = data.get("messaging.destination.template")
    if template:
        return text_of(template)
    if data.get("messaging.destination.temporary") is True:
        return "(temporary)"
    if data.get("messaging.destination.anonymous") is True:
        return "(anonymous)"
    return text_of(data.get("messaging.destination.name"))


def receive_latency_of(span: SpanRecord, data: Attributes) -> AttributeValue:
    """Milliseconds from the moment a message was enqueued to the start of the span."""
    for key in ENQUEUED_TIMES:
        enqueued_s = data.get(key)
        if isinstance(enqueued_s, int | float) and 0 < enqueued_s < 1e11:
            return max(0.0, round(span.start_ns / 1e6 - enqueued_s * 1e3, 3))
    return None


ENQUEUED_TIMES: Final = (
    "messaging.servicebus.message.enqueued_time",
    "messaging.eventhubs.message.enqueued_time",
)
"""When a message was accepted, in seconds since 1970."""


def celery_retries_of(_: SpanRecord, data: Attributes) -> AttributeValue:
    """How often a task that runs was tried before; the instrumentation writes no zero."""
    return data.get("celery.retries", 0) if data.get("celery.action") == "run" else None


def pubsub_retries_of(_: SpanRecord, data: Attributes) -> AttributeValue:
    """One less than the attempts to deliver."""
    attempts = data.get("messaging.gcp_pubsub.message.delivery_attempt")
    return attempts - 1 if isinstance(attempts, int) and attempts > 0 else None


def function_of(span: SpanRecord, data: Attributes) -> str:
    """The function's name, which may stand in the resource."""
    return text_of(
        data.get("faas.name")
        or data.get("faas.invoked_name")
        or span.resource.attributes.get("faas.name")
    )


def cloud_of(span: SpanRecord, data: Attributes) -> str:
    """Who runs the function, for example ``aws``."""
    provider = (
        data.get("cloud.provider")
        or data.get("faas.invoked_provider")
        or span.resource.attributes.get("cloud.provider")
    )
    return text_of(provider).partition("_")[0]


def graphql_phase_of(span: SpanRecord, data: Attributes) -> str:
    """Which step of an execution it is."""
    if "graphql.field.name" in data:
        return "resolve"
    lowered = span.name.lower()
    return next((word for word in _GRAPHQL_PHASES if word in lowered), "execute")
