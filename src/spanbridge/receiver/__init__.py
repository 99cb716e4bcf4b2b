"""A real server on loopback that takes what a Sentry or an OTLP backend would, and checks it."""

from __future__ import annotations

from spanbridge.receiver.faults import Endpoint, Fault, FaultKind
from spanbridge.receiver.records import (
    ReceiverLimits,
    SentLink,
    StoredItem,
    StoredLog,
    StoredSpan,
    StoredViolation,
    StreamedSpan,
    Violation,
)
from spanbridge.receiver.server import Receiver
from spanbridge.receiver.traces import Trace, TraceSpan, Wire

__all__ = [
    "Endpoint",
    "Fault",
    "FaultKind",
    "Receiver",
    "ReceiverLimits",
    "SentLink",
    "StoredItem",
    "StoredLog",
    "StoredSpan",
    "StoredViolation",
    "StreamedSpan",
    "Trace",
    "TraceSpan",
    "Violation",
    "Wire",
]
