"""One log record as every stage reads it."""

from __future__ import annotations

from typing import Final

import msgspec

from spanbridge.model.span import Attributes

SEVERITY_INFO: Final = 9
SEVERITY_WARN: Final = 13
SEVERITY_ERROR: Final = 17
SEVERITY_FATAL: Final = 21


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A log record, immutable and independent of whoever wrote it.

    ``severity`` is OpenTelemetry's number from 1 (trace) to 24 (fatal), 0 if unknown.
    ``time_ns`` is Unix time in nanoseconds. Ids are lower-case hex, empty outside of spans.
    """

    time_ns: int
    severity: int
    body: str
    logger: str
    """The name of the logger, OpenTelemetry's instrumentation scope."""
    attributes: Attributes = {}
    event_name: str = ""
    trace_id: str = ""
    span_id: str = ""
