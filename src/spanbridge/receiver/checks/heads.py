"""Roots of whole traces in what was received, and what they are named after."""

from __future__ import annotations

from collections.abc import Iterator

from spanbridge.receiver.checks.container import attribute_of
from spanbridge.receiver.envelope import EnvelopeItem
from spanbridge.receiver.records import JsonObject

# The attribute had three names within a year.
_SOURCE_ATTRIBUTES = ("sentry.segment.name.source", "sentry.span.source", "sentry.source")


def url_named_heads(item: EnvelopeItem) -> frozenset[str]:
    """Names of the roots without a parent in ``item`` that are made of a URL."""
    match item.kind:
        case "transaction":
            return frozenset(_of_transaction(item.payload))
        case "span":
            return frozenset(_of_container(item.payload))
        case _:
            return frozenset()


def _of_transaction(payload: JsonObject) -> Iterator[str]:
    info, contexts = payload.get("transaction_info"), payload.get("contexts")
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    has_parent = isinstance(trace, dict) and trace.get("parent_span_id") is not None
    name = payload.get("transaction")
    if isinstance(info, dict) and info.get("source") == "url" and not has_parent:
        yield str(name)


def _of_container(payload: JsonObject) -> Iterator[str]:
    items = payload.get("items")
    for span in items if isinstance(items, list) else []:
        if not isinstance(span, dict) or span.get("parent_span_id") is not None:
            continue
        if any(attribute_of(span, name) == "url" for name in _SOURCE_ATTRIBUTES):
            yield str(attribute_of(span, "sentry.segment.name") or span.get("name"))
