"""A finished SDK span becomes a :class:`SpanRecord`."""

from __future__ import annotations

from collections.abc import Mapping
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
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link

SPAN_BYTES: Final = 1024
"""What a span takes beside the texts of its attributes, about."""
_NO_SCOPE: Final = Scope("")


def read_span(span: ReadableSpan) -> SpanRecord:
    """Copy what ``span`` says, so that nothing of the SDK is referred to any longer."""
    context = span.get_span_context()
    if context is None:
        raise ValueError("a finished span without a context cannot be identified")
    parent = span.parent
    status = span.status
    state = context.trace_state
    end_ns = span.end_time or 0
    attributes = _attributes(span.attributes)
    events = span.events if _may_hold(span, "_events") else ()
    links = span.links if _may_hold(span, "_links") else ()
    size_bytes = SPAN_BYTES + _text_bytes(attributes)
    if events:
        size_bytes += sum([_text_bytes(event.attributes or {}) for event in events])
    return SpanRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=f"{parent.span_id:016x}" if parent is not None else None,
        name=span.name,
        kind=_kind(span.kind),
        start_ns=span.start_time or end_ns,
        end_ns=end_ns,
        status=_status(status.status_code),
        status_message=status.description,
        attributes=attributes,
        events=tuple([_event(event, end_ns) for event in events]) if events else (),
        links=tuple([_link(link) for link in links]) if links else (),
        scope=_scope(scope) if (scope := span.instrumentation_scope) else _NO_SCOPE,
        resource=_resource(span.resource),
        is_local_root=parent is None or parent.is_remote,
        is_sampled=bool(context.trace_flags & 1),
        trace_state=state.to_header() if state else "",
        dropped_attributes=span.dropped_attributes,
        dropped_events=span.dropped_events,
        dropped_links=span.dropped_links,
        size_bytes=size_bytes,
    )


def _may_hold(span: ReadableSpan, field: str) -> bool:
    """Whether a list of the span is worth reading; nearly all are empty.

    The public properties copy the list under a lock, twice per span and as costly as the rest of
    this module. The private field only saves that: without it everything works, more slowly.
    """
    return len(getattr(span, field, "?")) > 0


# Comparing identities: hashing an enumeration's member to look it up costs several times as much.
def _kind(kind: OtelKind) -> SpanKind:
    if kind is OtelKind.INTERNAL:
        return "internal"
    if kind is OtelKind.CLIENT:
        return "client"
    if kind is OtelKind.SERVER:
        return "server"
    return "producer" if kind is OtelKind.PRODUCER else "consumer"


def _status(code: StatusCode) -> SpanStatus:
    if code is StatusCode.UNSET:
        return "unset"
    return "error" if code is StatusCode.ERROR else "ok"


def _event(event: Event, end_ns: int) -> SpanEvent:
    return SpanEvent(event.name, event.timestamp or end_ns, _attributes(event.attributes))


def _link(link: Link) -> SpanLink:
    context = link.context
    return SpanLink(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        is_sampled=bool(context.trace_flags & 1),
        attributes=_attributes(link.attributes),
        trace_state=context.trace_state.to_header(),
    )


def _attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    if not attributes:
        return {}
    # The SDK's mapping copies itself at once; dict() would walk it in Python, key by key.
    copy = getattr(attributes, "copy", None)
    return copy() if copy is not None else dict(attributes)


def _text_bytes(attributes: Mapping[str, Any]) -> int:
    # Only texts can be large in practice; nested values count as if they were small.
    return sum([len(value) for value in attributes.values() if type(value) is str])


# A process has a handful of scopes and resources, shared by all of its spans. They are kept by
# identity, because hashing one costs more than copying it; an entry keeps its original alive, so
# that its id is not given to another object.
_MAX_KEPT: Final = 512
_scopes: dict[int, tuple[InstrumentationScope, Scope]] = {}
_resources: dict[int, tuple[OtelResource, Resource]] = {}


def _scope(scope: InstrumentationScope) -> Scope:
    entry = _scopes.get(id(scope))
    if entry is None:
        if len(_scopes) >= _MAX_KEPT:
            _scopes.clear()
        entry = (
            scope,
            Scope(
                scope.name, scope.version, scope.schema_url or None, _attributes(scope.attributes)
            ),
        )
        _scopes[id(scope)] = entry
    return entry[1]


def _resource(resource: OtelResource) -> Resource:
    entry = _resources.get(id(resource))
    if entry is None:
        if len(_resources) >= _MAX_KEPT:
            _resources.clear()
        entry = (resource, Resource(_attributes(resource.attributes), resource.schema_url or None))
        _resources[id(resource)] = entry
    return entry[1]
