"""Take a Sentry envelope apart.

Source: Sentry develop docs, "Envelopes"; what Relay refuses with 400 raises here.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from spanbridge.receiver.records import Json, JsonObject, Violation
from spanbridge.receiver.strict_json import JsonReading, read_json

# Keys Relay reads into typed fields: given twice, its parser refuses the header.
_TYPED_ENVELOPE_KEYS = frozenset({"event_id", "dsn", "sent_at", "trace", "retention"})
_TYPED_ITEM_KEYS = frozenset(
    {"type", "length", "item_count", "content_type", "filename", "attachment_type"}
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_EVENT_ID = re.compile(
    r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)


class MalformedEnvelopeError(ValueError):
    """The envelope cannot be taken apart; Relay answers 400.

    Args:
        violation: What is wrong.
    """

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.rule} at {violation.where}: {violation.message}")
        self.violation = violation


class EnvelopeItem(msgspec.Struct, frozen=True):
    """One item: its header and its payload, as bytes and decoded as far as it is JSON."""

    header: JsonObject
    body: bytes
    json: JsonReading
    violations: tuple[Violation, ...] = ()
    """Those of the framing; what the payload breaks is found by the checks."""

    @property
    def kind(self) -> str:
        """The item type."""
        kind = self.header["type"]
        assert isinstance(kind, str)
        return kind

    @property
    def payload(self) -> JsonObject:
        """The JSON object it holds; empty for anything else."""
        return self.json.value if isinstance(self.json.value, dict) else {}


class Envelope(msgspec.Struct, frozen=True):
    """An envelope taken apart."""

    header: JsonObject
    items: tuple[EnvelopeItem, ...]
    violations: tuple[Violation, ...] = ()


_BINARY_KINDS = frozenset(
    {"attachment", "replay_recording", "replay_video", "statsd", "unreal_report"}
)


def parse_envelope(body: bytes) -> Envelope:
    """Take an envelope apart.

    Raises:
        MalformedEnvelopeError: It breaks the framing in a way Relay refuses.
    """
    header_line, position = _line(body, 0)
    header, violations = _header(header_line, "envelope header", _TYPED_ENVELOPE_KEYS)
    _require_valid_envelope_header(header)
    items: list[EnvelopeItem] = []
    while position < len(body):
        item, position = _item(body, position, f"items[{len(items)}]")
        items.append(item)
    return Envelope(header, tuple(items), violations)


def _item(body: bytes, position: int, where: str) -> tuple[EnvelopeItem, int]:
    header_line, position = _line(body, position)
    header, violations = _header(header_line, f"{where} header", _TYPED_ITEM_KEYS)
    if not isinstance(header.get("type"), str):
        raise _malformed("item.type", f"{where} header", f"is {header.get('type')!r}, not a text")
    if "length" not in header:
        payload, position = _line(body, position)
        violations += (Violation("item.length", f"{where} header", "is missing"),)
    else:
        payload, position = _payload_of_length(body, position, header["length"], where)
    reading = JsonReading(None) if header["type"] in _BINARY_KINDS else read_json(payload)
    return EnvelopeItem(header, payload, reading, violations), position


def _payload_of_length(body: bytes, position: int, length: Json, where: str) -> tuple[bytes, int]:
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise _malformed("item.length", f"{where} header", f"is {length!r}, not a count of bytes")
    end = position + length
    if end > len(body):
        raise _malformed(
            "item.length", where, f"says {length} bytes, but {len(body) - position} are left"
        )
    if body[end : end + 1] not in (b"\n", b""):
        raise _malformed(
            "item.length", where, f"says {length} bytes, but no newline or end follows there"
        )
    return body[position:end], end + 1


def _line(body: bytes, position: int) -> tuple[bytes, int]:
    end = body.find(b"\n", position)
    return (body[position:], len(body)) if end < 0 else (body[position:end], end + 1)


def _header(
    line: bytes, where: str, typed_keys: frozenset[str]
) -> tuple[JsonObject, tuple[Violation, ...]]:
    reading = read_json(line)
    if reading.problems or not isinstance(reading.value, dict):
        shown = line[:80].decode("utf-8", "replace")
        reason = reading.problems[0] if reading.problems else "not a JSON object"
        raise _malformed("envelope.framing", where, f"{shown!r}: {reason}")
    for key in reading.duplicate_keys:
        if key in typed_keys:
            raise _malformed("envelope.duplicate_key", where, f"{key!r} is given twice")
    return reading.value, tuple(
        Violation("envelope.duplicate_key", where, f"{key!r} is given twice")
        for key in reading.duplicate_keys
    )


def _require_valid_envelope_header(header: JsonObject) -> None:
    event_id = header.get("event_id")
    if event_id is not None and not is_event_id(event_id):
        raise _malformed(
            "envelope.event_id", "envelope header", f"is {event_id!r}, not 32 hex characters"
        )
    sent_at = header.get("sent_at")
    if sent_at is not None and parse_rfc3339(sent_at) is None:
        raise _malformed(
            "envelope.sent_at", "envelope header", f"is {sent_at!r}, not an RFC 3339 time"
        )


def is_event_id(value: Json) -> bool:
    """Whether it is 32 hex characters, or a UUID with dashes."""
    return isinstance(value, str) and _EVENT_ID.fullmatch(value) is not None


def parse_rfc3339(value: Json) -> float | None:
    """Unix time in seconds, or ``None`` if ``value`` is no RFC 3339 time."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        return None
    try:
        return datetime.fromisoformat(value.upper().replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def _malformed(rule: str, where: str, message: str) -> MalformedEnvelopeError:
    return MalformedEnvelopeError(Violation(rule, where, message))
