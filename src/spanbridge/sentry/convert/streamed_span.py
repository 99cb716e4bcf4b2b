"""A finished span becomes a streamed span ("span v2"), whole in itself.

What a transaction says once, release, environment, tags, measurements, the name of the segment,
stands among the attributes of each span here.

Source: Sentry develop docs, "Span Protocol".
"""

from __future__ import annotations

from typing import Final, Literal

from spanbridge.model.span import Attributes, Resource, SpanRecord
from spanbridge.model.trace import SegmentName
from spanbridge.sentry.convert.attributes import cut_text, json_value
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from spanbridge.sentry.convert.typed import text_value, typed_attributes, typed_meta
from spanbridge.sentry.wire import Meta, MetaAnnotation, SpanLink
from spanbridge.sentry.wire_container import (
    StreamedLink,
    StreamedSpan,
    TypedAttributes,
    TypedValue,
)

MAX_ATTRIBUTES_BYTES: Final = 512 * 1024
"""Largest attributes of one span. Relay trims a span to about 1 MB, the largest of them first."""
MAX_NAME_CHARS: Final = 200
MAX_RESOURCE_CHARS: Final = 1_000
"""Of one value of the resource, such as a command line."""

_GOOD: Final = frozenset({"ok", "cancelled"})
_CALLERS_FAULT: Final = frozenset(
    {
        "invalid_argument",
        "unauthenticated",
        "permission_denied",
        "not_found",
        "already_exists",
        "failed_precondition",
        "resource_exhausted",
        "aborted",
        "out_of_range",
    }
)
"""What HTTP's codes from 400 to 499 and the like of RPC stand for: no failure of the server."""
_OF_SEGMENT: Final = ("sentry.segment.id", "sentry.segment.name", "sentry.trace_lifecycle")
"""Ours alone: with anything else there the server would take the trace apart."""
_MAX_CACHED: Final = 64
_resources: dict[int, tuple[Resource, TypedAttributes, TypedAttributes]] = {}


def segment_name(root: SpanRecord) -> SegmentName:
    """How the segment of a local root is named; the root may be still open."""
    return _segment(describe_span(root, MAX_ATTRIBUTES_BYTES), root)


def convert_streamed(
    span: SpanRecord, segment: SegmentName | None
) -> tuple[StreamedSpan, SegmentName]:
    """The streamed form of ``span``, but for the attributes that it shares with others.

    Args:
        span: The span, scrubbed.
        segment: Its segment; ``None`` if ``span`` is the segment's root itself.

    Returns:
        The span, and the segment it is in.
    """
    described = describe_span(span, MAX_ATTRIBUTES_BYTES)
    attributes = typed_attributes(described.data)
    for key, measurement in described.measurements.items():
        if key not in attributes:
            attributes[key] = TypedValue("double", measurement.value)
    for key, tag in described.tags.items():
        if key not in attributes:
            attributes[key] = TypedValue("string", tag)
    name, name_annotation = _name(described, span)
    status = _status(span, described)
    attributes |= _facts(described, name, status)
    for key in _OF_SEGMENT:
        attributes.pop(key, None)
    is_segment = segment is None
    if segment is None:
        segment = _segment(described, span)
        attributes |= _root_facts(segment, span.resource)
    meta = typed_meta(_data_meta(described)) if described.meta else {}
    if name_annotation is not None:
        meta["name"] = {"": name_annotation}
    streamed = StreamedSpan(
        span.trace_id,
        described.span_id,
        name,
        status,
        is_segment,
        described.start_s,
        described.end_s,
        described.parent_span_id,
        [_link(link) for link in described.links] if described.links else [],
        meta,
        attributes,
    )
    return streamed, segment


def shared_attributes(
    common: TypedAttributes, resource: Resource, segment: SegmentName
) -> TypedAttributes:
    """What all spans of a segment have in common; a span's own values win over these."""
    return {
        **common,
        **resource_attributes(resource)[0],
        "sentry.trace_lifecycle": text_value("stream"),
        "sentry.segment.id": text_value(segment.span_id),
        "sentry.segment.name": text_value(segment.name),
    }


def common_attributes(context: ConvertContext) -> TypedAttributes:
    """What every span and log of a destination says about the program."""
    known = {
        "sentry.sdk.name": context.sdk.name,
        "sentry.sdk.version": context.sdk.version,
        "sentry.platform": "python",
        "sentry.release": context.release,
        "sentry.environment": context.environment,
        "sentry.dist": context.dist,
        "server.address": context.server_name,
        "process.runtime.name": context.runtime_name,
        "process.runtime.version": context.runtime_version,
    }
    return {key: text_value(value) for key, value in known.items() if value}


def resource_attributes(resource: Resource) -> tuple[TypedAttributes, TypedAttributes]:
    """What a resource adds to each span, and what only to the root of a segment.

    The whole resource on every span would be half of what is sent. The result is shared and must
    not be changed.
    """
    known = _resources.get(id(resource))
    if known is None or known[0] is not resource:
        if len(_resources) >= _MAX_CACHED:
            _resources.clear()
        known = (resource, *_resource(resource.attributes))
        _resources[id(resource)] = known
    return known[1], known[2]


def _resource(attributes: Attributes) -> tuple[TypedAttributes, TypedAttributes]:
    safe: Attributes = {}
    for key, value in attributes.items():
        plain = json_value(value)
        safe[key] = cut_text(plain, MAX_RESOURCE_CHARS)[0] if isinstance(plain, str) else plain
    typed = typed_attributes(safe)
    of_all = {key: typed[key] for key in ("service.name",) if key in typed}
    return of_all, {f"resource.{key}": value for key, value in typed.items()}


def _facts(described: DescribedSpan, name: str, status: str) -> TypedAttributes:
    """What a transaction has fields for."""
    facts = {"sentry.origin": text_value(described.origin)}
    if described.name.op is not None:
        facts["sentry.op"] = text_value(described.name.op)
    if described.name.description != name:
        facts["sentry.description"] = text_value(described.name.description)
    if status == "error" and "sentry.status.message" not in described.data:
        facts["sentry.status.message"] = text_value(described.status)
    return facts


def _root_facts(segment: SegmentName, resource: Resource) -> TypedAttributes:
    source = text_value(segment.source)
    return {
        "sentry.segment.name.source": source,
        # Servers before August 2026 know the predecessor only.
        "sentry.span.source": source,
        **resource_attributes(resource)[1],
    }


def _segment(described: DescribedSpan, span: SpanRecord) -> SegmentName:
    return SegmentName(described.span_id, _name(described, span)[0], described.name.source)


def _name(described: DescribedSpan, span: SpanRecord) -> tuple[str, MetaAnnotation | None]:
    # A span may have no name at all, which Relay would not take.
    return cut_text(described.name.name or span.name or span.span_id, MAX_NAME_CHARS)


def _status(span: SpanRecord, described: DescribedSpan) -> Literal["ok", "error"]:
    word = described.status
    if word in _GOOD:
        return "ok"
    if span.status == "unset" and span.kind == "server" and word in _CALLERS_FAULT:
        return "ok"
    return "error"


def _data_meta(described: DescribedSpan) -> Meta:
    found = described.meta.get("data")
    return found if isinstance(found, dict) else {}


def _link(link: SpanLink) -> StreamedLink:
    return StreamedLink(
        link.trace_id, link.span_id, link.sampled, typed_attributes(link.attributes)
    )
