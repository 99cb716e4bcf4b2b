"""A finished SDK span becomes a :class:`SpanRecord`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace import StatusCode

from spanbridge.model.span import (
    Attributes,
    Resource,
    Scope,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanRecord,
    SpanStatus,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource as OtelResource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

_KINDS: Final[dict[OtelKind, SpanKind]] = {
    OtelKind.INTERNAL: "internal",
    OtelKind.SERVER: "server",
    OtelKind.CLIENT: "client",
    OtelKind.PRODUCER: "producer",
    OtelKind.CONSUMER: "consumer",
}
_STATUSES: Final[dict[StatusCode, SpanStatus]] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}
_NO_SCOPE: Final = Scope("")


def read_span(span: ReadableSpan) -> SpanRecord:
    """Copy what ``span`` says, so that nothing of the SDK is referred to any longer."""
    context = span.get_span_context()
    if context is None:
        raise ValueError("a finished span without a context cannot be identified")
    parent = span.parent
    status = span.status
    events, links = span.events, span.links
    end_ns = span.end_time or 0
    return SpanRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=f"{parent.span_id:016x}" if parent is not None else None,
        name=span.name,
        kind=_KINDS[span.kind],
        start_ns=span.start_time or end_ns,
        end_ns=end_ns,
        status=_STATUSES[status.status_code],
        status_message=status.description,
        attributes=_attributes(span.attributes),
        events=tuple(
            SpanEvent(event.name, event.timestamp or end_ns, _attributes(event.attributes))
            for event in events
        )
        if events
        else (),
        links=tuple(
            SpanLink(
                trace_id=f"{link.context.trace_id:032x}",
                span_id=f"{link.context.span_id:016x}",
                is_sampled=bool(link.context.trace_flags & 1),
                attributes=_attributes(link.attributes),
                trace_state=link.context.trace_state.to_header(),
            )
            for link in links
        )
        if links
        else (),
        scope=_scope(span.instrumentation_scope) if span.instrumentation_scope else _NO_SCOPE,
        resource=_resource(span.resource),
        is_local_root=parent is None or parent.is_remote,
        is_sampled=bool(context.trace_flags & 1),
        trace_state=context.trace_state.to_header() if context.trace_state else "",
        dropped_attributes=span.dropped_attributes,
        dropped_events=span.dropped_events if events else 0,
        dropped_links=span.dropped_links if links else 0,
    )


def _attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    return dict(attributes) if attributes else {}


# A process has a handful of scopes and resources, shared by all of its spans.
@lru_cache(maxsize=512)
def _scope(scope: InstrumentationScope) -> Scope:
    return Scope(scope.name, scope.version, scope.schema_url or None, _attributes(scope.attributes))


_resources: dict[int, tuple[OtelResource, Resource]] = {}


def _resource(resource: OtelResource) -> Resource:
    # Keyed by identity, because hashing a resource serialises it to JSON each time. The entry
    # keeps the resource alive, so its id cannot be given to another one.
    entry = _resources.get(id(resource))
    if entry is None:
        if len(_resources) >= 64:
            _resources.clear()
        entry = (resource, Resource(_attributes(resource.attributes), resource.schema_url or None))
        _resources[id(resource)] = entry
    return entry[1]
