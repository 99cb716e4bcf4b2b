"""A real server on loopback that takes what a Sentry or an OTLP backend would, and checks it."""

from __future__ import annotations

from spanbridge.receiver.faults import Endpoint, Fault, FaultKind
from spanbridge.receiver.records import (
    ReceiverLimits,
    StoredItem,
    StoredSpan,
    StoredViolation,
    Violation,
)
from spanbridge.receiver.server import Receiver

__all__ = [
    "Endpoint",
    "Fault",
    "FaultKind",
    "Receiver",
    "ReceiverLimits",
    "StoredItem",
    "StoredSpan",
    "StoredViolation",
    "Violation",
]
