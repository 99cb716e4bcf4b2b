"""One span as Sentry sees it, before it is known whether it is a root or a child."""

from __future__ import annotations

from typing import Final, cast, get_args

import msgspec

from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.attributes import MAX_DATA_BYTES, cut_text, make_json_safe
from spanbridge.sentry.convert.measurements import measurement
from spanbridge.sentry.convert.naming.name import SpanName, text_of
from spanbridge.sentry.convert.origin import custom_origin, origin_of
from spanbridge.sentry.convert.otel_facts import add_own_facts, constant_facts, links_of
from spanbridge.sentry.convert.remarks import add_remarks
from spanbridge.sentry.convert.renames import add_url_parts, rename
from spanbridge.sentry.convert.shape import Shape, shape_of
from spanbridge.sentry.convert.status import given_status, status_word
from spanbridge.sentry.convert.tags import tag_value
from spanbridge.sentry.convert.times import times_of
from spanbridge.sentry.wire import (
    Measurement,
    Meta,
    SpanLink,
    SpanStatusWord,
    TransactionSource,
)

MAX_OP_CHARS: Final = 128
MAX_DESCRIPTION_CHARS: Final = 4096
"""Sentry sets no limit; the full text of a long statement stays in the span's data."""

SOURCES: Final = frozenset(get_args(TransactionSource))

_NO_ID: Final = "0" * 16
_NO_TAGS: Final[dict[str, str]] = {}
_NO_MEASUREMENTS: Final[dict[str, Measurement]] = {}
_NO_LINKS: Final[list[SpanLink]] = []


class DescribedSpan(msgspec.Struct, frozen=True, gc=False):
    """A span in Sentry's words; shared by every item a span can become. Times in seconds."""

    span_id: str
    parent_span_id: str | None
    start_s: float
    end_s: float
    name: SpanName
    status: SpanStatusWord
    origin: str
    data: Attributes
    tags: dict[str, str]
    measurements: dict[str, Measurement]
    links: list[SpanLink]
    meta: Meta
    """What was cut, by field of the payload."""


def describe_span(span: SpanRecord, max_data_bytes: int = MAX_DATA_BYTES) -> DescribedSpan:
    """Name, classify and clean ``span``; its attributes are copied, never changed.

    Args:
        span: The span, scrubbed.
        max_data_bytes: Largest encoded size of its attributes; longer values are cut.
    """
    data = span.attributes.copy()
    shape = shape_of(tuple(data), span.kind)
    if shape.renames:
        rename(data, shape.renames)
    if shape.has_target:
        add_url_parts(data)
    cut = shape.dialect.apply(data) if shape.dialect is not None else {}
    name = shape.rule(span, data)
    scope = span.scope
    status = status_word(span, data) if shape.has_outcome or span.status == "error" else "ok"
    if shape.has_overrides:
        name, origin = _overridden(span, name, data)
        status = given_status(data) or status
    else:
        origin = origin_of(scope.name, name.op)
    tags = _tags(shape, data) if shape.tags else _NO_TAGS
    measurements = _measurements(shape, data) if shape.measurements else _NO_MEASUREMENTS
    links = links_of(span, data) if span.links else _NO_LINKS
    start_s, end_s = times_of(span, data)
    add_own_facts(span, data)
    data_meta = make_json_safe(data, shape.key_chars, max_data_bytes)
    if cut:
        data_meta = {**cut, **data_meta}
    meta: Meta = {"data": data_meta} if data_meta else {}
    data |= constant_facts(scope.name, scope.version, span.kind)
    if len(name.description) > MAX_DESCRIPTION_CHARS or len(name.op or "") > MAX_OP_CHARS:
        name = _within_limits(name, meta)
    if span.is_redacted:
        add_remarks(meta, {"data": data, "description": name.description})
    parent_span_id = span.parent_span_id
    return DescribedSpan(
        span.span_id if span.span_id != _NO_ID else _made_up_span_id(span, data),
        # A parent with the span's own id, of a faulty generator, would make a circle of it.
        parent_span_id if parent_span_id not in (_NO_ID, span.span_id) else None,
        start_s,
        end_s,
        name,
        status,
        origin,
        data,
        tags,
        measurements,
        links,
        meta,
    )


def _overridden(span: SpanRecord, name: SpanName, data: Attributes) -> tuple[SpanName, str]:
    """The name with the application's own choices; what was used leaves ``data``."""
    op = _take(data, "sentry.op")
    if op and len(op) > MAX_OP_CHARS:
        data["sentry.op"] = op
    custom_name = (
        _take(data, "sentry.name")
        or _take(data, "sentry.custom_span_name")
        or (text_of(data.get("sentry.segment.name")) if span.is_local_root else "")
    )
    description = _take(data, "sentry.description") or custom_name
    source = _take(data, "sentry.segment.name.source") or _take(data, "sentry.source")
    if source and source not in SOURCES:
        data["sentry.source"], source = source, ""
    name = SpanName(
        op or name.op,
        custom_name or name.name,
        description or name.description,
        cast("TransactionSource", source or ("custom" if custom_name else name.source)),
    )
    origin = _take(data, "sentry.origin")
    return name, custom_origin(origin) if origin else origin_of(span.scope.name, name.op)


def _take(data: Attributes, key: str) -> str:
    return text_of(data.pop(key, None))


def _tags(shape: Shape, data: Attributes) -> dict[str, str]:
    tags = {}
    for source in shape.tags:
        value = tag_value(data[source.attribute])
        if value is not None:
            tags[source.key] = value
            if source.is_own and value == data[source.attribute]:
                del data[source.attribute]
    return tags


def _measurements(shape: Shape, data: Attributes) -> dict[str, Measurement]:
    measurements = {}
    for source in shape.measurements:
        measured = measurement(data[source.attribute], source.unit)
        if measured is not None:
            measurements[source.name] = measured
            if source.is_own:
                del data[source.attribute]
    return measurements


def _within_limits(name: SpanName, meta: Meta) -> SpanName:
    description, annotation = cut_text(name.description, MAX_DESCRIPTION_CHARS)
    if annotation is not None:
        meta["description"] = {"": annotation}
    op = name.op and name.op[:MAX_OP_CHARS]
    return SpanName(op, name.name, description, name.source)


def _made_up_span_id(span: SpanRecord, data: Attributes) -> str:
    # Only a faulty id generator makes the zero id, but Relay then refuses the whole transaction.
    data["otel.span_id"] = span.span_id
    return f"{(span.start_ns & (2**64 - 1)) or 1:016x}"
