"""How a span ended, where neither its status nor OpenTelemetry's conventions tell it."""

from __future__ import annotations

import msgspec

from spanbridge.conventions import SPANBRIDGE_OUTCOME
from spanbridge.conventions.upstream import EXCEPTION_TYPE
from spanbridge.model.ending import EndingWord, ending_word
from spanbridge.model.span import SpanRecord


def with_outcome(span: SpanRecord, seen: EndingWord | None) -> SpanRecord:
    """The span with its outcome, if it has one.

    Args:
        span: A finished span.
        seen: How it was seen to be left. If it was not, its last recorded exception tells.
    """
    outcome = seen or _recorded(span)
    if outcome is None or SPANBRIDGE_OUTCOME in span.attributes:
        return span
    attributes = {**span.attributes, SPANBRIDGE_OUTCOME: outcome}
    return msgspec.structs.replace(span, attributes=attributes)


def _recorded(span: SpanRecord) -> EndingWord | None:
    if span.status != "error":
        return None
    for event in reversed(span.events):
        if event.name == "exception":
            return ending_word(str(event.attributes.get(EXCEPTION_TYPE)))
    return None
