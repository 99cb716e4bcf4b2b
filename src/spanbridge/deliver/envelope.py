"""What the encoder hands over: one complete envelope and what it is worth."""

from __future__ import annotations

import enum
from datetime import UTC, datetime

import msgspec

from spanbridge.model.outcome import Signal


class Priority(enum.IntEnum):
    """Order under pressure: the lower number is sent first and evicted last."""

    ERROR = 0
    CHECK_IN = 1
    DECISION = 2
    """A trace that carries a governance decision which must be kept."""
    SESSION = 3
    LOG = 4
    TRACE = 5
    METRIC = 6


class OutgoingEnvelope(msgspec.Struct, frozen=True):
    """One encoded envelope. It is delivered or lost as a whole.

    Source: Sentry develop docs, "Envelopes".
    """

    body: bytes
    """The complete envelope, not compressed: header line, then item header and payload lines."""
    priority: Priority
    quantities: tuple[tuple[str, int], ...]
    """Sentry data category and amount, e.g. ``(("transaction", 1), ("span", 9))``.

    The first category is the one the envelope is rate limited by; all of them appear in the client
    report if it is lost.
    """
    counts: tuple[tuple[Signal, int], ...]
    """How many accepted items of the ledger travel in it."""

    @property
    def limited_by(self) -> str:
        """The data category that decides whether it may be sent."""
        return self.quantities[0][0] if self.quantities else "default"

    @property
    def items(self) -> int:
        """How many items it takes of the queue's bound, at least one."""
        return max(1, sum(count for _, count in self.counts))


def sent_at_anew(body: bytes, now: datetime) -> bytes:
    """``body`` with a current ``sent_at`` in its header, if it has one.

    The server takes an old one for a wrong clock and moves every time in the envelope.

    Source: Sentry develop docs, "Envelopes"; Relay's clock drift correction.
    """
    line, newline, rest = body.partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return body
    if "sent_at" not in header:
        return body
    text = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    header["sent_at"] = msgspec.Raw(msgspec.json.encode(text))
    return msgspec.json.encode(header) + newline + rest
