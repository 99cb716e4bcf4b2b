"""The contexts of an error event: its span, what it has to do with, and what it ran on."""

from __future__ import annotations

import platform
import re
from functools import cache
from typing import Final

from spanbridge.model.failure import FeatureFlag, Issue
from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Attributes, AttributeValue, SpanRecord
from spanbridge.sentry.convert.attributes import cut_text, json_value
from spanbridge.sentry.convert.describe import DescribedSpan
from spanbridge.sentry.convert.fitting import MAX_CONTEXT_BYTES, fit_context
from spanbridge.sentry.convert.resource import resource_contexts
from spanbridge.sentry.wire import Meta, MetaAnnotation
from spanbridge.sentry.wire_error import ErrorContexts, ErrorTraceContext

MAX_TRACE_DESCRIPTION_CHARS: Final = 1_000
MAX_SUBJECTS: Final = 32
"""Contexts by subject, beside those of our own."""
MAX_SUBJECTS_BYTES: Final = 64 * 1024
MAX_SUBJECT_CHARS: Final = 64
MAX_PATH_SPANS: Final = 30
MAX_PATH_NAME_CHARS: Final = 200
MAX_FLAGS: Final = 100
MAX_FLAGS_BYTES: Final = 16 * 1024
MAX_FLAG_CHARS: Final = 200

TYPED_CONTEXTS: Final = frozenset({
    "app", "browser", "chromium_stability_report", "cloud_resource", "culture", "device",
    "feedback", "flags", "gpu", "memory_info", "nel", "os", "ota_updates", "otel",
    "performance_score", "profile", "replay", "response", "runtime", "spring", "threadpool",
    "threadpool_info", "trace", "unity", "user_report_v2",
})  # fmt: skip
"""Contexts whose fields Relay knows: it removes values of another type than it expects.

Subjects of the application that are named so hold whatever it likes, so they get another name.
Source: Relay's ``Context`` types; Sentry develop docs, "Contexts Interface".
"""

_RESOURCE_CONTEXTS: Final = {"otel": "otel_resource", "otel_resource": "otel_resource_rest"}
# Relay removes the whole flag if its name holds another character.
_FORBIDDEN_IN_FLAG: Final = re.compile(r"[^a-zA-Z0-9_.:\-]")
_OF_APPLICATION: Final = "_data"
_NO_END: Final = frozenset({"otel.start_time_unix_nano", "otel.end_time_unix_nano"})


def error_contexts(issue: Issue, span: DescribedSpan | None) -> tuple[ErrorContexts, Meta]:
    """The contexts of ``issue``, and the ``_meta`` of what was cut in them.

    Args:
        issue: A decided failure, scrubbed already.
        span: Its span as Sentry sees it, if it is known.
    """
    contexts: ErrorContexts = {}
    meta: Meta = {}
    room = MAX_SUBJECTS_BYTES
    for subject, attributes in list(issue.contexts.items())[:MAX_SUBJECTS]:
        untyped = _untyped(attributes)
        fitting, fitting_meta = fit_context(untyped, min(room, MAX_CONTEXT_BYTES))
        if subject and fitting:
            _add(contexts, meta, _subject_name(subject, contexts), fitting, fitting_meta)
            room -= len(encode_json(fitting)) + len(encode_json(fitting_meta))
    contexts.update(_system_contexts())
    record = issue.span if issue.span is not None else issue.local_root
    if record is not None:
        _add_resource(contexts, meta, record)
    if issue.span is not None and span is not None:
        left_out = {"otel.events"} | (_NO_END if _is_open(issue.span) else set())
        own = {key: value for key, value in span.data.items() if key not in left_out}
        fitting, fitting_meta = fit_context(own)
        if fitting:
            nested_meta: Meta = {"attributes": fitting_meta} if fitting_meta else {}
            _add(contexts, meta, "otel", {"attributes": fitting}, nested_meta)
    if len(issue.span_path) > 1:
        _add(contexts, meta, "span_path", *_path(issue.span_path))
    if issue.flags:
        _add(contexts, meta, "flags", *_flags(issue.flags))
    contexts["trace"] = _trace(issue, span)
    return contexts, meta


def _subject_name(subject: str, taken: ErrorContexts) -> str:
    name = subject[:MAX_SUBJECT_CHARS]
    while name in TYPED_CONTEXTS or name in taken:
        name += _OF_APPLICATION
    return name


def _untyped(attributes: Attributes) -> Attributes:
    """The attributes without a ``type`` that Relay would take for the type of the context."""
    kind = attributes.get("type")
    if not isinstance(kind, str) or kind not in TYPED_CONTEXTS:
        return attributes
    return {
        key + _OF_APPLICATION if key == "type" else key: value for key, value in attributes.items()
    }


def _add(
    contexts: ErrorContexts, meta: Meta, name: str, context: Attributes, context_meta: Meta
) -> None:
    contexts[name] = context
    meta.pop(name, None)
    if context_meta:
        meta[name] = context_meta


def _trace(issue: Issue, span: DescribedSpan | None) -> ErrorTraceContext:
    if span is None or issue.span is None:
        return ErrorTraceContext(issue.trace_id, issue.span_id, sampled=issue.is_sampled)
    description, _ = cut_text(span.name.description, MAX_TRACE_DESCRIPTION_CHARS)
    return ErrorTraceContext(
        trace_id=issue.span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        op=span.name.op,
        status=None if _is_open(issue.span) else span.status,
        origin=span.origin,
        description=description or None,
        sampled=issue.is_sampled,
    )


def _is_open(span: SpanRecord) -> bool:
    """Whether the span had not ended when the issue was made."""
    return span.end_ns == 0


def _add_resource(contexts: ErrorContexts, meta: Meta, span: SpanRecord) -> None:
    """Add the resource in contexts of its own: beside attributes it would be what gets lost."""
    found, found_meta = resource_contexts(span.resource)
    for key, context in found.items():
        name = _RESOURCE_CONTEXTS.get(key, key)
        context_meta = found_meta.get(key)
        _add(contexts, meta, name, context, context_meta if isinstance(context_meta, dict) else {})


@cache
def _system_contexts() -> dict[str, Attributes]:
    """What this process runs on; a resource that tells more takes its place."""
    return {
        "runtime": {
            "name": platform.python_implementation(),
            "version": platform.python_version(),
        },
        "os": {"name": platform.system(), "version": platform.release()},
    }


def _path(names: tuple[str, ...]) -> tuple[Attributes, Meta]:
    """The innermost spans of the path that fit into a context."""
    kept: list[AttributeValue] = []
    room = MAX_CONTEXT_BYTES
    for name in reversed(names[-MAX_PATH_SPANS:]):
        short, _ = cut_text(name, MAX_PATH_NAME_CHARS)
        room -= len(encode_json(short)) + 1
        if room < 0:
            break
        kept.append(short)
    kept.reverse()
    meta: Meta = {"names": {"": MetaAnnotation(len=len(names))}} if len(kept) < len(names) else {}
    return {"names": kept}, meta


def _flags(flags: tuple[FeatureFlag, ...]) -> tuple[Attributes, Meta]:
    """The latest evaluations that fit, oldest first, as Sentry's context of flags holds them."""
    newest_first: list[AttributeValue] = []
    room = MAX_FLAGS_BYTES
    for flag in reversed(flags[-MAX_FLAGS:]):
        name = _FORBIDDEN_IN_FLAG.sub("-", flag.flag[:MAX_FLAG_CHARS])
        result = json_value(flag.result)
        if isinstance(result, str):  # likewise if there is a line break in it
            result, _ = cut_text(" ".join(result.split()), MAX_FLAG_CHARS)
        entry: AttributeValue = {"flag": name, "result": result}
        room -= len(encode_json(entry)) + 1
        if room < 0:
            break
        newest_first.append(entry)
    kept = newest_first[::-1]
    meta: Meta = {"values": {"": MetaAnnotation(len=len(flags))}} if len(kept) < len(flags) else {}
    return {"values": kept}, meta
