"""Envelopes leave the process: queue, rate limits, retry, HTTP, client reports, ledger."""

from __future__ import annotations

from spanbridge.deliver.dispatch import SenderStatus
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.sender import EnvelopeSender

__all__ = ["Endpoint", "EnvelopeSender", "OutgoingEnvelope", "Priority", "SenderStatus"]
