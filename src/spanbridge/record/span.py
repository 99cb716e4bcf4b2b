"""A finished SDK span becomes a :class:`SpanRecord`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import ReadableSpan
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
    from opentelemetry.sdk.trace import Event
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link

_NO_SCOPE: Final = Scope("")

# Half the time of an f-string (0.1 us).
_trace_id_text: Final = "%032x".__mod__
_span_id_text: Final = "%016x".__mod__


def read_span(span: ReadableSpan, resource: Resource | None = None) -> SpanRecord:
    """Copy what ``span`` says, so that nothing of the SDK is referred to any longer.

    Args:
        span: A span, usually a finished one.
        resource: What stands for its resource; unset, a copy of that.
    """
    if resource is None:
        resource = read_resource(span.resource)
    if type(span) is ReadableSpan:
        try:
            return _by_fields(span, resource)
        except (AttributeError, TypeError, ValueError, OverflowError):
            pass  # a field, or an id, is not what it was: the properties still tell
    return _by_properties(span, resource)


def _by_fields(span: Any, resource: Resource) -> SpanRecord:
    """By the private fields of the SDK's own class, in half the time that its properties take."""
    trace_id, span_id, _, flags, state, _ = span._context
    if (parent := span._parent) is not None:
        _, above, is_local_root, _, _, _ = parent
        parent_span_id = above.to_bytes(8, "big").hex()
    else:
        parent_span_id, is_local_root = None, True
    status, scope = span._status, span._instrumentation_scope
    attributes, events, links = span._attributes, span._events, span._links
    end_ns = span._end_time or 0
    # By position: naming so many fields takes 1.1 us, six times as long as making the record.
    return SpanRecord(
        trace_id.to_bytes(16, "big").hex(),
        span_id.to_bytes(8, "big").hex(),
        parent_span_id,
        span._name,
        _kind(span._kind),
        span._start_time or end_ns,
        end_ns,
        _status(status._status_code),
        status._description,
        attributes._dict.copy(),
        _events(span, end_ns) if events._dq else (),
        _links(span) if links._dq else (),
        read_scope(scope) if scope is not None else _NO_SCOPE,
        resource,
        is_local_root,
        bool(flags & 1),
        state.to_header() if state else "",
        attributes.dropped,
        events.dropped,
        links.dropped,
    )


def _by_properties(span: ReadableSpan, resource: Resource) -> SpanRecord:
    context = span.get_span_context()
    if context is None:
        raise ValueError("a finished span without a context cannot be identified")
    parent = span.parent
    status = span.status
    state = context.trace_state
    end_ns = span.end_time or 0
    scope = span.instrumentation_scope
    return SpanRecord(
        _trace_id_text(context.trace_id),
        _span_id_text(context.span_id),
        _span_id_text(parent.span_id) if parent is not None else None,
        span.name,
        _kind(span.kind),
        span.start_time or end_ns,
        end_ns,
        _status(status.status_code),
        status.description,
        read_attributes(span.attributes),
        _events(span, end_ns) if _may_hold(span, "_events") else (),
        _links(span) if _may_hold(span, "_links") else (),
        read_scope(scope) if scope is not None else _NO_SCOPE,
        resource,
        parent is None or parent.is_remote,
        bool(context.trace_flags & 1),
        state.to_header() if state else "",
        span.dropped_attributes,
        span.dropped_events,
        span.dropped_links,
    )


def has_events(span: ReadableSpan) -> bool:
    """Whether anything was noted on a span while it ran."""
    return _may_hold(span, "_events") and len(span.events) > 0


def _may_hold(span: ReadableSpan, field: str) -> bool:
    """Whether a list of the span is worth reading; nearly all are empty.

    The public properties copy the list under a lock, twice per span and as costly as the rest of
    this module. The private field only saves that: without it everything works, more slowly.
    """
    return len(getattr(span, field, "?")) > 0


# Comparing identities: hashing an enumeration's member to look it up costs several times as much.
_INTERNAL, _CLIENT, _SERVER, _PRODUCER = (
    OtelKind.INTERNAL,
    OtelKind.CLIENT,
    OtelKind.SERVER,
    OtelKind.PRODUCER,
)
_UNSET, _ERROR = StatusCode.UNSET, StatusCode.ERROR


def _kind(kind: OtelKind) -> SpanKind:
    if kind is _INTERNAL:
        return "internal"
    if kind is _CLIENT:
        return "client"
    if kind is _SERVER:
        return "server"
    return "producer" if kind is _PRODUCER else "consumer"


def _status(code: StatusCode) -> SpanStatus:
    if code is _UNSET:
        return "unset"
    return "error" if code is _ERROR else "ok"


def _events(span: ReadableSpan, end_ns: int) -> tuple[SpanEvent, ...]:
    return tuple([_event(event, end_ns) for event in span.events])


def _event(event: Event, end_ns: int) -> SpanEvent:
    return SpanEvent(event.name, event.timestamp or end_ns, read_attributes(event.attributes))


def _links(span: ReadableSpan) -> tuple[SpanLink, ...]:
    return tuple([_link(link) for link in span.links])


def _link(link: Link) -> SpanLink:
    context = link.context
    return SpanLink(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        is_sampled=bool(context.trace_flags & 1),
        attributes=read_attributes(link.attributes),
        trace_state=context.trace_state.to_header(),
    )


def read_attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    """A copy of what the SDK holds as attributes."""
    if attributes is None:
        return {}
    # The SDK's mapping copies itself at once; dict() would walk it in Python, key by key.
    copy = getattr(attributes, "copy", None)
    return copy() if copy is not None else dict(attributes)


# A process has a handful of scopes and resources, shared by all of its spans. They are kept by
# identity, because hashing one costs more than copying it; an entry keeps its original alive, so
# that its id is not given to another object.
_MAX_KEPT: Final = 512
_scopes: dict[int, tuple[InstrumentationScope, Scope]] = {}
_resources: dict[int, tuple[OtelResource, Resource]] = {}


def read_scope(scope: InstrumentationScope) -> Scope:
    """The scope as ours, one object for one of the SDK's."""
    entry = _scopes.get(id(scope))
    if entry is None:
        if len(_scopes) >= _MAX_KEPT:
            _scopes.clear()
        entry = (
            scope,
            Scope(
                scope.name,
                scope.version,
                scope.schema_url or None,
                read_attributes(scope.attributes),
            ),
        )
        _scopes[id(scope)] = entry
    return entry[1]


def read_resource(resource: OtelResource) -> Resource:
    """The resource as ours, one object for one of the SDK's."""
    entry = _resources.get(id(resource))
    if entry is None:
        if len(_resources) >= _MAX_KEPT:
            _resources.clear()
        entry = (
            resource,
            Resource(read_attributes(resource.attributes), resource.schema_url or None),
        )
        _resources[id(resource)] = entry
    return entry[1]
