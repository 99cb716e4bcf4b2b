"""Finished spans made by hand, for tests of the stages behind the SDK."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from opentelemetry.sdk.trace import Span

from spanbridge.model.span import Resource, Scope, SpanEvent, SpanRecord
from spanbridge.process.local_trace import LocalTrace, SpanReference

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
_RESOURCE = Resource({"service.name": "tested"})
_SCOPE = Scope("tests", "1")


def local_trace(root_id: int = 1, *open_ids: int) -> LocalTrace:
    local = LocalTrace(TRACE_ID, root_id)
    mark_open(local, *open_ids)
    return local


class _Lost:
    """Stands for a span that nobody has any more."""


def mark_open(local: LocalTrace, *span_ids: int) -> None:
    """Let these spans be started and not ended."""
    for span_id in span_ids:
        local.open[span_id] = SpanReference(cast("Span", _Lost()))


def record(span_id: int, parent_id: int | None = None, **fields: Any) -> SpanRecord:
    """A finished span; a span without a parent is a local root."""
    span = SpanRecord(
        trace_id=f"{TRACE_ID:032x}",
        span_id=f"{span_id:016x}",
        parent_span_id=None if parent_id is None else f"{parent_id:016x}",
        name=f"span {span_id}",
        kind="internal",
        start_ns=1_700_000_000_000_000_000 + span_id,
        end_ns=1_700_000_000_001_000_000 + span_id,
        status="unset",
        status_message=None,
        attributes={},
        events=(),
        links=(),
        scope=_SCOPE,
        resource=_RESOURCE,
        is_local_root=parent_id is None,
        is_sampled=True,
    )
    return msgspec.structs.replace(span, **fields)


def exception_event(kind: str = "ValueError", message: str = "boom") -> SpanEvent:
    return SpanEvent(
        "exception",
        1_700_000_000_000_500_000,
        {
            "exception.type": kind,
            "exception.message": message,
            "exception.stacktrace": f"Traceback (most recent call last):\n{kind}: {message}\n",
        },
    )
