"""An issue becomes an error event, tied to the span that raised it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.model.failure import Breadcrumb, Issue
from spanbridge.model.span import Attributes, SpanRecord
from spanbridge.sentry.convert.attributes import cut_text, json_value
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from spanbridge.sentry.convert.exception_values import convert_exceptions
from spanbridge.sentry.convert.interfaces import request_of, user_of
from spanbridge.sentry.convert.resource import resource_contexts
from spanbridge.sentry.convert.shape import MAX_TAGS
from spanbridge.sentry.convert.tags import tag_key, tag_value
from spanbridge.sentry.convert.times import MAX_NS
from spanbridge.sentry.strict_json import encode_json
from spanbridge.sentry.wire import Meta, MetaAnnotation, TransactionInfo, TransactionSource
from spanbridge.sentry.wire_error import (
    BreadcrumbValues,
    ErrorContexts,
    ErrorEvent,
    ErrorTraceContext,
)

MAX_TRANSACTION_CHARS: Final = 200
MAX_FINGERPRINT_PARTS: Final = 32
MAX_FINGERPRINT_CHARS: Final = 256
MAX_BREADCRUMBS: Final = 100
MAX_BREADCRUMBS_BYTES: Final = 96 * 1024
MAX_BREADCRUMB_CHARS: Final = 1_024
MAX_BREADCRUMB_DATA_BYTES: Final = 1_900
MAX_CATEGORY_CHARS: Final = 128
MAX_CONTEXT_BYTES: Final = 7_600
"""Relay keeps 8 KiB of a context."""
MAX_CONTEXT_VALUE_CHARS: Final = 1_000
MAX_PATH_SPANS: Final = 30
MAX_MODULES: Final = 500

_RESOURCE_CONTEXTS: Final = {"otel": "otel_resource", "otel_resource": "otel_resource_rest"}
_NO_MODULES: Final[Mapping[str, str]] = {}


def convert_error(
    issue: Issue, context: ConvertContext, modules: Mapping[str, str] = _NO_MODULES
) -> ErrorEvent:
    """The error event of ``issue``, valid and within all limits by construction.

    Args:
        issue: A decided failure, scrubbed already.
        context: What is the same for all payloads of the destination.
        modules: Installed distributions and their versions.
    """
    span = describe_span(issue.span)
    root_record = _root_of(issue)
    if root_record is issue.span:
        root: DescribedSpan | None = span
    else:
        root = describe_span(root_record) if root_record else None
    meta: Meta = {}
    exception, exception_meta = convert_exceptions(
        issue.exceptions, mechanism=issue.mechanism, is_handled=issue.is_handled
    )
    if exception_meta:
        meta["exception"] = exception_meta
    source: TransactionSource = root.name.source if root else "custom"
    transaction, annotation = cut_text(
        (root.name.name if root else "") or issue.root_name, MAX_TRANSACTION_CHARS
    )
    if annotation is not None:
        meta["transaction"] = {"": annotation}
    breadcrumbs, breadcrumbs_meta = _breadcrumbs(issue.breadcrumbs)
    if breadcrumbs_meta:
        meta["breadcrumbs"] = breadcrumbs_meta
    contexts, contexts_meta = _contexts(issue, span)
    if contexts_meta:
        meta["contexts"] = contexts_meta
    return ErrorEvent(
        event_id=issue.event_id,
        timestamp=min(max(issue.time_ns, 0), MAX_NS) / 1e9,
        platform="python",
        level=issue.level,
        exception=exception,
        contexts=contexts,
        sdk=context.sdk,
        transaction=transaction or None,
        transaction_info=TransactionInfo(source) if transaction else None,
        release=context.release,
        environment=context.environment,
        dist=context.dist,
        server_name=context.server_name,
        fingerprint=_fingerprint(issue),
        tags=_tags(issue, span, root),
        user=user_of(span.data) or (user_of(root.data) if root else None),
        request=request_of(root_record, root.data) if root and root_record else None,
        breadcrumbs=breadcrumbs,
        modules=dict(list(modules.items())[:MAX_MODULES]),
        meta=meta,
    )


def _root_of(issue: Issue) -> SpanRecord | None:
    if issue.local_root is None:
        return issue.span if issue.span.is_local_root else None
    is_same = issue.local_root.span_id == issue.span.span_id
    return issue.span if is_same else issue.local_root


def _contexts(issue: Issue, span: DescribedSpan) -> tuple[ErrorContexts, Meta]:
    record = issue.span
    contexts: ErrorContexts = {
        "trace": ErrorTraceContext(
            trace_id=record.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            op=span.name.op,
            status=span.status,
            origin=span.origin,
            description=span.name.description or None,
            sampled=issue.is_sampled,
        )
    }
    meta: Meta = {}
    attributes = {key: value for key, value in span.data.items() if key != "otel.events"}
    fitting, fitting_meta = fit_context(attributes)
    if fitting:
        contexts["otel"] = {"attributes": fitting}
    if fitting_meta:
        meta["otel"] = {"attributes": fitting_meta}
    _add_resource(contexts, meta, record)
    if len(issue.span_path) > 1:
        names = issue.span_path[-MAX_PATH_SPANS:]
        contexts["span_path"] = {"names": [cut_text(name, 200)[0] for name in names]}
        if len(names) < len(issue.span_path):
            meta["span_path"] = {"names": {"": MetaAnnotation(len=len(issue.span_path))}}
    return contexts, meta


def _add_resource(contexts: ErrorContexts, meta: Meta, span: SpanRecord) -> None:
    """Add the resource in contexts of its own: beside attributes it would be what gets lost."""
    found, found_meta = resource_contexts(span.resource)
    for key, context in found.items():
        name = _RESOURCE_CONTEXTS.get(key, key)
        contexts[name] = context
        if key in found_meta:
            meta[name] = found_meta[key]


def fit_context(
    attributes: Attributes, max_bytes: int = MAX_CONTEXT_BYTES
) -> tuple[Attributes, Meta]:
    """The attributes that fit into one context, the smallest first, and the ``_meta`` of the rest.

    Values are made safe for JSON; nested ones become text where Relay would not keep their depth.
    """
    candidates: list[tuple[int, str, Attributes, MetaAnnotation | None]] = []
    for key, value in attributes.items():
        if value is None or value == "":
            continue
        safe = json_value(value)
        annotation = None
        if isinstance(safe, str):
            safe, annotation = cut_text(safe, MAX_CONTEXT_VALUE_CHARS)
        elif not isinstance(safe, bool | int | float):
            text = encode_json(safe).decode()
            safe, annotation = cut_text(text, MAX_CONTEXT_VALUE_CHARS)
        entry: Attributes = {key: safe}
        candidates.append((len(encode_json(entry)), key, entry, annotation))
    candidates.sort(key=lambda candidate: candidate[0])
    fitting: Attributes = {}
    meta: Meta = {}
    for size, key, entry, annotation in candidates:
        max_bytes -= size
        if max_bytes < 0:
            meta[""] = MetaAnnotation(len=len(candidates))
            break
        fitting.update(entry)
        if annotation is not None:
            meta[key] = {"": annotation}
    return fitting, meta


def _tags(issue: Issue, span: DescribedSpan, root: DescribedSpan | None) -> dict[str, str]:
    """Tags of the issue win over those of its span, those over the root's."""
    tags = {**root.tags, **span.tags} if root else dict(span.tags)
    for name, text in issue.tags.items():
        key, value = tag_key(name), tag_value(text)
        if key is not None and value is not None:
            tags[key] = value
    return dict(list(tags.items())[-MAX_TAGS:])


def _fingerprint(issue: Issue) -> list[str]:
    return [part[:MAX_FINGERPRINT_CHARS] for part in issue.fingerprint[:MAX_FINGERPRINT_PARTS]]


def _breadcrumbs(crumbs: tuple[Breadcrumb, ...]) -> tuple[BreadcrumbValues | None, Meta]:
    """The latest breadcrumbs that fit, oldest first."""
    if not crumbs:
        return None, {}
    newest_first: list[tuple[Breadcrumb, Meta]] = []
    room = MAX_BREADCRUMBS_BYTES
    for crumb in reversed(crumbs[-MAX_BREADCRUMBS:]):
        converted, crumb_meta = _breadcrumb(crumb)
        room -= len(encode_json(converted))
        if room < 0:
            break
        newest_first.append((converted, crumb_meta))
    kept = newest_first[::-1]
    meta: Meta = {
        str(position): crumb_meta for position, (_, crumb_meta) in enumerate(kept) if crumb_meta
    }
    if len(kept) < len(crumbs):
        meta[""] = MetaAnnotation(len=len(crumbs))
    return BreadcrumbValues([crumb for crumb, _ in kept]), {"values": meta} if meta else {}


def _breadcrumb(crumb: Breadcrumb) -> tuple[Breadcrumb, Meta]:
    meta: Meta = {}
    message, annotation = cut_text(crumb.message, MAX_BREADCRUMB_CHARS)
    if annotation is not None:
        meta["message"] = {"": annotation}
    data, data_meta = fit_context(crumb.data, MAX_BREADCRUMB_DATA_BYTES)
    if data_meta:
        meta["data"] = data_meta
    return (
        Breadcrumb(
            timestamp=min(max(crumb.timestamp, 0.0), MAX_NS / 1e9),
            category=crumb.category[:MAX_CATEGORY_CHARS],
            message=message,
            level=crumb.level,
            type=crumb.type[:MAX_CATEGORY_CHARS],
            data=data,
        ),
        meta,
    )
