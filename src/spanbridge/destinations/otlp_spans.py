"""Records of spans as the SDK's objects, which OpenTelemetry's exporters read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.resources import Resource as OtelResource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from spanbridge.model.plain_json import plain_text
from spanbridge.model.span import Resource, Scope, SpanLink, SpanRecord

_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_STATUSES: Final = {code.name.lower(): code for code in StatusCode}


def rebuild_spans(records: Sequence[SpanRecord]) -> list[ReadableSpan]:
    """The records as the SDK's spans."""
    return [rebuild_span(record) for record in records]


def rebuild_span(record: SpanRecord) -> ReadableSpan:
    """The record as the SDK's span, for exporters that read nothing else."""
    span = _Rebuilt(
        name=plain_text(record.name),
        context=_context(record.trace_id, record.span_id, record.is_sampled, record.trace_state),
        parent=_context(
            record.trace_id, record.parent_span_id, record.is_sampled, "", record.is_local_root
        )
        if record.parent_span_id
        else None,
        resource=rebuild_resource(record.resource),
        attributes=record.attributes,
        events=[
            Event(plain_text(event.name), event.attributes, event.time_ns)
            for event in record.events
        ],
        links=[_link(link) for link in record.links],
        kind=_KINDS[record.kind],
        status=Status(
            _STATUSES[record.status],
            plain_text(record.status_message)
            if record.status_message and record.status == "error"
            else None,
        ),
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=rebuild_scope(record.scope),
    )
    span.record = record
    return span


class _Rebuilt(ReadableSpan):
    """The SDK's span takes no word for what its limits dropped: it counts by itself."""

    record: SpanRecord

    @property
    def dropped_attributes(self) -> int:
        """How many attributes were too many."""
        return self.record.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """How many events were."""
        return self.record.dropped_events

    @property
    def dropped_links(self) -> int:
        """How many links were."""
        return self.record.dropped_links


def _context(
    trace_id: str, span_id: str, is_sampled: bool, trace_state: str, is_remote: bool = False
) -> SpanContext:
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([trace_state]) if trace_state else None,
    )


def _link(link: SpanLink) -> Link:
    context = _context(link.trace_id, link.span_id, link.is_sampled, link.trace_state)
    return Link(context, link.attributes)


def rebuild_scope(scope: Scope) -> InstrumentationScope:
    """The scope as the SDK's, one object for one of ours."""
    known = _scopes.get(id(scope))
    if known is None or known[0] is not scope:
        if len(_scopes) >= 512:
            _scopes.clear()
        known = (
            scope,
            InstrumentationScope(scope.name, scope.version, scope.schema_url, scope.attributes),
        )
        _scopes[id(scope)] = known
    return known[1]


def rebuild_resource(resource: Resource) -> OtelResource:
    """The resource as the SDK's, one object for one of ours."""
    known = _resources.get(id(resource))
    if known is None or known[0] is not resource:
        if len(_resources) >= 64:
            _resources.clear()
        known = (resource, OtelResource(resource.attributes, resource.schema_url))
        _resources[id(resource)] = known
    return known[1]


# One object per scope and resource: the encoder groups spans by them.
_scopes: dict[int, tuple[Scope, InstrumentationScope]] = {}
_resources: dict[int, tuple[Resource, OtelResource]] = {}
