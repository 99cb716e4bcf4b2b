"""An issue becomes an error event, tied to the span that raised it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from spanbridge.model.failure import Issue
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import SpanRecord
from spanbridge.sentry.convert.attributes import cut_text
from spanbridge.sentry.convert.breadcrumbs import convert_breadcrumbs
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.describe import DescribedSpan, describe_span
from spanbridge.sentry.convert.error_contexts import error_contexts
from spanbridge.sentry.convert.exception_values import convert_exceptions
from spanbridge.sentry.convert.fitting import fit_texts
from spanbridge.sentry.convert.interfaces import request_of, user_of
from spanbridge.sentry.convert.remarks import add_remarks
from spanbridge.sentry.convert.shape import MAX_TAGS
from spanbridge.sentry.convert.tags import tag_key, tag_value
from spanbridge.sentry.convert.times import MAX_NS
from spanbridge.sentry.wire import Meta, MetaAnnotation, TransactionInfo, TransactionSource
from spanbridge.sentry.wire_error import ErrorEvent, ExceptionValues, LogEntry

MAX_TRANSACTION_CHARS: Final = 200
MAX_LOGGER_CHARS: Final = 64
MAX_MESSAGE_CHARS: Final = 8_192
MAX_MESSAGE_BYTES: Final = 24 * 1024
MAX_FINGERPRINT_PARTS: Final = 32
MAX_FINGERPRINT_CHARS: Final = 256
MAX_FINGERPRINT_BYTES: Final = 16 * 1024
MAX_TAGS_BYTES: Final = 32 * 1024
MAX_MODULES: Final = 500
MAX_MODULES_BYTES: Final = 32 * 1024


class Modules(NamedTuple):
    """Installed distributions with their versions, as many as an event has room for."""

    versions: dict[str, str]
    found: int
    """How many there were."""


NO_MODULES: Final = Modules({}, 0)


def fit_modules(found: Mapping[str, str]) -> Modules:
    """The distributions that fit into each event of the process."""
    some = dict(list(found.items())[:MAX_MODULES])
    return Modules(fit_texts(some, MAX_MODULES_BYTES), len(found))


def convert_error(
    issue: Issue, context: ConvertContext, modules: Modules = NO_MODULES
) -> ErrorEvent:
    """The error event of ``issue``, valid and within all limits by construction.

    Each part has a limit of encoded bytes; together they stay below the 1 MiB an event may have.

    Args:
        issue: A decided failure, scrubbed already.
        context: What is the same for all payloads of the destination.
        modules: Installed distributions, made to fit once and for all.
    """
    meta: Meta = {}
    root_record = _root_of(issue)
    span = describe_span(issue.span) if issue.span is not None else None
    if root_record is issue.span:
        root = span
    else:
        root = describe_span(root_record) if root_record is not None else None
    exception = _exception(issue, meta)
    breadcrumbs, breadcrumbs_meta = convert_breadcrumbs(issue.breadcrumbs)
    if breadcrumbs_meta:
        meta["breadcrumbs"] = breadcrumbs_meta
    contexts, contexts_meta = error_contexts(issue, span)
    if contexts_meta:
        meta["contexts"] = contexts_meta
    source: TransactionSource = root.name.source if root else "custom"
    transaction = _cut(
        (root.name.name if root else "") or issue.root_name,
        MAX_TRANSACTION_CHARS,
        "transaction",
        meta,
    )
    user = user_of(issue.user) or (user_of(span.data) if span else None)
    if modules.found > len(modules.versions):
        meta["modules"] = {"": MetaAnnotation(len=modules.found)}
    event = ErrorEvent(
        event_id=issue.event_id,
        timestamp=min(max(issue.time_ns, 0), MAX_NS) / 1e9,
        platform="python",
        level=issue.level,
        contexts=contexts,
        sdk=context.sdk,
        exception=exception,
        logentry=_log_entry(issue, meta),
        logger=_cut(_one_line(issue.logger), MAX_LOGGER_CHARS, "logger", meta) or None,
        transaction=transaction or None,
        transaction_info=TransactionInfo(source) if transaction else None,
        release=context.release,
        environment=context.environment,
        dist=context.dist,
        server_name=context.server_name,
        fingerprint=_fingerprint(issue),
        tags=_tags(issue, span, root, meta),
        user=user or (user_of(root.data) if root else None),
        request=request_of(root_record, root.data) if root and root_record else None,
        breadcrumbs=breadcrumbs,
        modules=modules.versions,
        meta=meta,
    )
    if issue.is_redacted:
        add_remarks(meta, _texts_of(event))
    return event


def _texts_of(event: ErrorEvent) -> dict[str, object]:
    """The parts of an event that came through the privacy policy, as they are encoded."""
    parts = {
        "exception": event.exception,
        "logentry": event.logentry,
        "transaction": event.transaction,
        "logger": event.logger,
        "contexts": event.contexts,
        "tags": event.tags,
        "user": event.user,
        "request": event.request,
        "breadcrumbs": event.breadcrumbs,
    }
    found = msgspec.to_builtins(parts)
    assert isinstance(found, dict)
    return found


def _root_of(issue: Issue) -> SpanRecord | None:
    span, root = issue.span, issue.local_root
    if span is None:
        return root
    if root is None:
        return span if span.is_local_root else None
    return span if root.span_id == span.span_id else root


def _exception(issue: Issue, meta: Meta) -> ExceptionValues | None:
    if not issue.exceptions:
        return None
    exception, exception_meta = convert_exceptions(
        issue.exceptions, mechanism=issue.mechanism, is_handled=issue.is_handled
    )
    if exception_meta:
        meta["exception"] = exception_meta
    return exception


def _log_entry(issue: Issue, meta: Meta) -> LogEntry | None:
    if not issue.message:
        return None
    entry_meta: Meta = {}
    entry = LogEntry(
        message=_cut_message(issue.template or issue.message, "message", entry_meta),
        formatted=_cut_message(issue.message, "formatted", entry_meta),
    )
    if entry_meta:
        meta["logentry"] = entry_meta
    return entry


def _cut_message(message: str, field: str, meta: Meta) -> str:
    text, annotation = cut_text(message, MAX_MESSAGE_CHARS)
    while len(encode_json(text)) > MAX_MESSAGE_BYTES:
        text, annotation = cut_text(message, len(text) // 2)
    if annotation is not None:
        meta[field] = {"": annotation}
    return text


def _cut(text: str, max_chars: int, field: str, meta: Meta) -> str:
    short, annotation = cut_text(text, max_chars)
    if annotation is not None:
        meta[field] = {"": annotation}
    return short


def _one_line(text: str) -> str:
    """``text`` without line breaks, for which Relay removes a logger's whole name."""
    return " ".join(text.split())


def _tags(
    issue: Issue, span: DescribedSpan | None, root: DescribedSpan | None, meta: Meta
) -> dict[str, str]:
    """Tags of the issue win over those of its span, those over the root's."""
    tags = {**(root.tags if root else {}), **(span.tags if span else {})}
    for name, text in issue.tags.items():
        key, value = tag_key(name), tag_value(text)
        if key is not None and value is not None:
            tags.pop(key, None)
            tags[key] = value
    strongest_first = dict(list(reversed(tags.items()))[:MAX_TAGS])
    kept = fit_texts(strongest_first, MAX_TAGS_BYTES)
    if len(kept) < len(tags):
        meta["tags"] = {"": MetaAnnotation(len=len(tags))}
    return dict(reversed(kept.items()))


def _fingerprint(issue: Issue) -> list[str]:
    parts = [part[:MAX_FINGERPRINT_CHARS] for part in issue.fingerprint[:MAX_FINGERPRINT_PARTS]]
    while len(encode_json(parts)) > MAX_FINGERPRINT_BYTES:
        parts.pop()
    return parts
