"""What ``status()`` tells: figures for health checks, of the process and of each destination."""

from __future__ import annotations

import msgspec

from spanbridge.runtime.ledger import LedgerSnapshot


class DestinationStatus(msgspec.Struct, frozen=True):
    """How one destination fares."""

    name: str
    kind: str
    address: str
    """Where it sends to, without what is secret: of Sentry ``host/project``."""
    sample_rate: float
    queued: int
    """Items waiting to be sent, including spans that wait for their root."""
    ledger: LedgerSnapshot
    last_error: str | None = None
    """What goes wrong now, and ``None`` while nothing does: an attempt failed, a server did not
    take something or holds it back by a limit, or the queue is full.

    It stays until something of the same kind has arrived; at Sentry the kinds are errors, traces,
    logs, each by itself, but where nobody answered anything is enough. A full queue is told until
    it has caught up. What is lost before it gets to the destination is no part of it.
    """
    spooled: int = 0
    """Envelopes on disk: waiting for a server that is away, or copies of what is being retried."""
    sent_bytes: int = 0
    """Bodies of requests that were answered, as they went over the wire (gRPC: before they were
    compressed); of a file, what was appended. The console and Prometheus have none."""
    retries: int = 0
    """Attempts that were made again after one that failed."""
    redacted: dict[str, int] = {}
    """What the privacy policy cut out of the items for this destination, by kind: what a detector
    found, ``name``, ``credential``, ``content``, ``statement``. What many items share counts once.
    """


class Status(msgspec.Struct, frozen=True):
    """How telemetry fares, for health checks.

    ``failures`` counts spanbridge's own problems by cause; each is also logged once a minute.
    """

    enabled: bool
    """Whether anything is sent anywhere."""
    environment: str
    release: str | None
    destinations: dict[str, DestinationStatus]
    problems: tuple[str, ...] = ()
    """Settings that were left out, one sentence each."""
    failures: dict[str, int] = {}
    metrics: tuple[str, ...] = ()
    """Destinations that get what is recorded with OpenTelemetry's metrics API; Sentry gets none."""
    former: dict[str, LedgerSnapshot] = {}
    """What became of what earlier configurations of this process were given, by destination name.
    A change of the settings begins new figures; nothing that was owed disappears from these."""
