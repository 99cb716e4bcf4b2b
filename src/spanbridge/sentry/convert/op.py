"""Sentry's operation of a span, for rules that ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanbridge.model.span import Resource, Scope, SpanRecord
from spanbridge.sentry.convert.describe import describe_span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanbridge.model.span import SpanKind

DEFAULT_OP: Final = "default"
"""What Sentry takes where nothing tells the operation."""
_SCOPE: Final = Scope("")
_RESOURCE: Final = Resource({})


def op_of(span: SpanRecord) -> str:
    """The operation that Sentry is told."""
    return describe_span(span).name.op or DEFAULT_OP


def op_at_start(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> str:
    """The operation as far as it is known when a span starts."""
    record = SpanRecord(
        trace_id="",
        span_id="",
        parent_span_id=None,
        name=name,
        kind=kind,
        start_ns=0,
        end_ns=0,
        status="unset",
        status_message=None,
        attributes=dict(attributes),
        events=(),
        links=(),
        scope=_SCOPE,
        resource=_RESOURCE,
        is_local_root=True,
        is_sampled=True,
    )
    return op_of(record)
