"""What may stand together in one envelope, and how large it may be.

Source: Sentry develop docs, "Envelopes"; size and count limits of Relay, July 2026.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from spanbridge.receiver.checks import words
from spanbridge.receiver.checks.words import KIB, MIB
from spanbridge.receiver.envelope import Envelope, EnvelopeItem
from spanbridge.receiver.records import Violation


class _Limit(msgspec.Struct, frozen=True):
    item_bytes: int
    count: int
    total_bytes: int


_EVENT = _Limit(MIB, 1, MIB)
_PROFILE = _Limit(50 * MIB, 1, 50 * MIB)
_SESSION = _Limit(10 * MIB, 100, 10 * MIB)
_ATTACHMENT = _Limit(200 * MIB, 30, 200 * MIB)
# Kinds that share a limit share its name; for containers the item size is the average of what they
# hold.
_LIMITS: dict[str, tuple[str, _Limit]] = {
    "event": ("event", _EVENT),
    "transaction": ("event", _EVENT),
    "feedback": ("event", _EVENT),
    "security": ("event", _EVENT),
    "replay_event": ("event", _EVENT),
    "attachment": ("attachment", _ATTACHMENT),
    "user_report": ("attachment", _ATTACHMENT),
    "session": ("session", _SESSION),
    "sessions": ("session", _SESSION),
    "client_report": ("client_report", _Limit(100 * KIB, 100, 100 * KIB)),
    "check_in": ("check_in", _Limit(100 * KIB, 1, 100 * KIB)),
    "profile": ("profile", _PROFILE),
    "profile_chunk": ("profile", _PROFILE),
    "span": ("span", _Limit(10 * MIB, 1, 12 * MIB)),
    "log": ("log", _Limit(2 * MIB, 1, 12 * MIB)),
    "trace_metric": ("trace_metric", _Limit(MIB, 1, 12 * MIB)),
}
_STANDALONE_SPAN = ("standalone span", _Limit(10 * MIB, 25, 12 * MIB))
_EVENT_KINDS = frozenset({"event", "transaction", "feedback"})


def find_excess(envelope: Envelope) -> Violation | None:
    """The first item for which Relay answers 413 and loses the whole envelope."""
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for index, item in enumerate(envelope.items):
        if item.kind not in _LIMITS:
            continue
        is_container = _is_container(item)
        name, limit = (
            _STANDALONE_SPAN if item.kind == "span" and not is_container else _LIMITS[item.kind]
        )
        size_bytes = len(item.body)
        counts[name] += 1
        totals[name] += size_bytes
        each_bytes = size_bytes // _item_count(item) if is_container else size_bytes
        where = f"items[{index}]"
        if each_bytes > limit.item_bytes:
            return Violation(
                "limit.item_bytes",
                where,
                f"{item.kind} of {each_bytes} bytes, above {limit.item_bytes}",
            )
        if counts[name] > limit.count:
            return Violation("limit.count", where, f"more than {limit.count} of {name}")
        if totals[name] > limit.total_bytes:
            return Violation(
                "limit.total_bytes", where, f"{name}: more than {limit.total_bytes} bytes"
            )
    return None


def check_composition(envelope: Envelope) -> Iterator[Violation]:
    """Kinds of telemetry are not mixed, and every kind is known."""
    kinds = {item.kind for item in envelope.items}
    if not envelope.items:
        yield Violation("envelope.empty", "envelope", "holds no item")
    for kind in sorted(kinds - words.ITEM_KINDS):
        yield Violation("item.type", "item header type", f"{kind!r} is unknown; it is skipped")
    # sentry_sdk itself sends streamed spans of AI calls beside their transaction: let that pass.
    telemetry = kinds & (_EVENT_KINDS | {"span", "log", "trace_metric"})
    if len(telemetry) > 1 and telemetry != {"transaction", "span"}:
        yield Violation(
            "envelope.mixed", "envelope", f"mixes {', '.join(sorted(telemetry))} in one envelope"
        )


def _is_container(item: EnvelopeItem) -> bool:
    expected_type = words.CONTAINER_CONTENT_TYPES.get(item.kind)
    return expected_type is not None and item.header.get("content_type") == expected_type


def _item_count(item: EnvelopeItem) -> int:
    count = item.header.get("item_count")
    return count if type(count) is int and count > 0 else 1
