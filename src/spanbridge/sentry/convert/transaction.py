"""A segment becomes a transaction: the root is the event, its descendants are spans."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, TypeVar

import msgspec

from spanbridge.model.failure import Level
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.attributes import cut_text, json_text
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from spanbridge.sentry.convert.interfaces import request_of, user_of
from spanbridge.sentry.convert.remarks import add_remarks
from spanbridge.sentry.convert.resource import resource_contexts
from spanbridge.sentry.convert.shape import MAX_MEASUREMENTS, MAX_TAGS
from spanbridge.sentry.wire import (
    ChildSpan,
    Contexts,
    Meta,
    TraceContext,
    Transaction,
    TransactionInfo,
)

MAX_NAME_CHARS: Final = 200

UNLABELED: Final = "<unlabeled transaction>"
"""What Sentry calls a transaction without a name."""

LEVELS: Final[dict[str, Level]] = {
    "fatal": "fatal",
    "critical": "fatal",
    "error": "error",
    "warning": "warning",
    "warn": "warning",
    "info": "info",
    "debug": "debug",
}
"""What ``sentry.level`` may say, and the word Sentry keeps."""

MAX_TRACE_CONTEXT_BYTES: Final = 7_600
"""Relay drops the description and the links of a trace context that is larger, without a word."""

FOLLOW_UP: Final = "spanbridge.follow_up"
"""Marks the root of a part of a trace whose first part was sent before."""

_Value = TypeVar("_Value")
_by_start: Final[Callable[[SpanRecord], int]] = attrgetter("start_ns")


def convert_transaction(segment: Segment, context: ConvertContext, *, event_id: str) -> Transaction:
    """The transaction of ``segment``, valid by construction.

    Tags and measurements of children are raised to the transaction where the tree agrees on one
    value; the root's own win.

    Args:
        segment: A segment within Sentry's limits, as :func:`split_segment` gives it.
        context: What is the same for all payloads of the destination.
        event_id: 32 hex characters, new for each transaction.
    """
    root = describe_span(segment.root)
    if segment.is_follow_up:
        root.data[FOLLOW_UP] = True
    spans: list[ChildSpan] = []
    spans_meta: Meta = {}
    for child in sorted(segment.children, key=_by_start):
        span, span_meta = convert_child(child)
        if span_meta:
            spans_meta[str(len(spans))] = span_meta
        spans.append(span)
    meta: Meta = {"spans": spans_meta} if spans_meta else {}
    given = root.name.name or segment.root.name
    name, annotation = cut_text(given if given.strip() else UNLABELED, MAX_NAME_CHARS)
    if annotation is not None:
        meta["transaction"] = {"": annotation}
    if segment.root.is_redacted:
        add_remarks(meta, {"transaction": name})
    contexts, contexts_meta = _contexts(segment.root, root)
    if contexts_meta:
        meta["contexts"] = contexts_meta
    return Transaction(
        event_id=event_id,
        transaction=name,
        transaction_info=TransactionInfo(root.name.source),
        start_timestamp=root.start_s,
        timestamp=root.end_s,
        contexts=contexts,
        spans=spans,
        sdk=context.sdk,
        platform="python",
        release=context.release,
        environment=context.environment,
        dist=context.dist,
        server_name=context.server_name,
        level=_take_level(root.data),
        fingerprint=_take_fingerprint(root.data),
        tags=_raised(root.tags, [span.tags for span in spans if span.tags], MAX_TAGS),
        measurements=_raised(
            root.measurements,
            [span.measurements for span in spans if span.measurements],
            MAX_MEASUREMENTS,
        ),
        user=user_of(root.data),
        request=request_of(segment.root, root.data),
        meta=meta,
    )


def transaction_name(root: SpanRecord) -> str | None:
    """The name a sampling context may carry; none if all there is is a raw URL."""
    name = describe_span(root).name
    return None if name.source == "url" else cut_text(name.name or root.name, MAX_NAME_CHARS)[0]


def convert_child(span: SpanRecord) -> tuple[ChildSpan, Meta]:
    """A span inside a transaction ("v1 span"), and the ``_meta`` of what was cut in it."""
    described = describe_span(span)
    child = ChildSpan(
        span.trace_id,
        described.span_id,
        described.start_s,
        described.end_s,
        described.parent_span_id,
        described.name.op,
        described.name.description,
        described.status,
        described.origin,
        described.data,
        described.tags,
        described.measurements,
        described.links,
    )
    return child, described.meta


def _contexts(span: SpanRecord, root: DescribedSpan) -> tuple[Contexts, Meta]:
    description = root.name.description
    trace = TraceContext(
        trace_id=span.trace_id,
        span_id=root.span_id,
        parent_span_id=root.parent_span_id,
        op=root.name.op,
        status=root.status,
        origin=root.origin,
        description=description if description != root.name.name else None,
        data=root.data,
        links=root.links,
    )
    if (trace.links or trace.description) and len(encode_json(trace)) > MAX_TRACE_CONTEXT_BYTES:
        trace = _within_data(trace)
    others, meta = resource_contexts(span.resource)
    contexts: Contexts = {"trace": trace, **others}
    trace_meta = _meta_of(trace, root.meta)
    return contexts, {"trace": trace_meta, **meta} if trace_meta else meta


def _meta_of(trace: TraceContext, meta: Meta) -> Meta:
    """``meta`` with what it says of the description where the description is."""
    if trace.description is not None or "description" not in meta:
        return meta
    moved = {field: value for field, value in meta.items() if field != "description"}
    of_data = moved.get("data", {})
    if "sentry.description" in trace.data and isinstance(of_data, dict):
        moved["data"] = {**of_data, "sentry.description": meta["description"]}
    return moved


def _within_data(trace: TraceContext) -> TraceContext:
    """The same with description and links among the data, which Relay does not shorten."""
    if trace.description:
        trace.data["sentry.description"] = trace.description
    if trace.links:
        trace.data["otel.links"] = msgspec.to_builtins(trace.links)
    return msgspec.structs.replace(trace, description=None, links=[])


def _raised(
    own: dict[str, _Value], below: Sequence[dict[str, _Value]], limit: int
) -> dict[str, _Value]:
    """The root's own values, and up to ``limit`` those on which its descendants all agree."""
    if not below:
        return own
    agreed: dict[str, _Value] = {}
    disputed: set[str] = set()
    for values in below:
        for key, value in values.items():
            if agreed.setdefault(key, value) != value:
                disputed.add(key)
    for key in disputed:
        del agreed[key]
    raised = {**own, **agreed, **own}
    return raised if len(raised) <= limit else dict(itertools.islice(raised.items(), limit))


def _take_level(data: Attributes) -> Level | None:
    wanted = data.get("sentry.level")
    level = LEVELS.get(wanted.lower()) if isinstance(wanted, str) else None
    if level is not None:
        del data["sentry.level"]
    return level


def _take_fingerprint(data: Attributes) -> list[str]:
    wanted = data.pop("sentry.fingerprint", None)
    if wanted is None:
        return []
    parts = wanted if isinstance(wanted, list | tuple) else [wanted]
    return [json_text(part) for part in parts]
