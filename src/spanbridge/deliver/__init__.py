"""Envelopes leave the process: queue, rate limits, retry, spool, HTTP, client reports, ledger."""

from __future__ import annotations

from spanbridge.deliver.dispatch import SenderStatus
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.sender import EnvelopeSender
from spanbridge.deliver.spool import SpoolPlace
from spanbridge.deliver.spool_folder import spool_folder_name

__all__ = [
    "Endpoint",
    "EnvelopeSender",
    "OutgoingEnvelope",
    "Priority",
    "SenderStatus",
    "SpoolPlace",
    "spool_folder_name",
]
