"""Strict, pure checks of what was received: values in, violations out, no clock and no I/O."""

from __future__ import annotations

from collections.abc import Iterator

from spanbridge.receiver.checks.composition import check_composition, find_excess
from spanbridge.receiver.checks.container import check_container, trace_ids_of
from spanbridge.receiver.checks.event import check_error_event, trace_id_of
from spanbridge.receiver.checks.heads import url_named_heads
from spanbridge.receiver.checks.health import (
    check_check_in,
    check_client_report,
    check_session,
    check_sessions,
)
from spanbridge.receiver.checks.sampling import check_head_name, check_sampling_context
from spanbridge.receiver.checks.transaction import check_transaction
from spanbridge.receiver.checks.words import CONTAINER_CONTENT_TYPES
from spanbridge.receiver.envelope import Envelope, EnvelopeItem
from spanbridge.receiver.records import JsonObject, Violation

__all__ = ["check_envelope", "check_item", "find_excess", "trace_ids_of_item"]

# One trace header speaks for one trace; these may hold several.
_MAY_MIX_TRACES = frozenset({"log", "trace_metric"})
_OPAQUE_KINDS = frozenset(
    {"attachment", "replay_recording", "replay_video", "statsd", "unreal_report"}
)


def check_envelope(envelope: Envelope) -> tuple[Violation, ...]:
    """What the envelope breaks as a whole.

    Args:
        envelope: The envelope.
    """
    return (
        *envelope.violations,
        *check_composition(envelope),
        *_check_trace_header(envelope),
    )


def check_item(item: EnvelopeItem, header: JsonObject, now: float) -> tuple[Violation, ...]:
    """What one item breaks by itself.

    Args:
        item: The item.
        header: The envelope header it came under.
        now: Unix time in seconds.
    """
    return (*item.violations, *_check_json(item), *_check_payload(item, header, now))


def trace_ids_of_item(item: EnvelopeItem) -> frozenset[str]:
    """The traces that an item has to do with."""
    if item.kind in CONTAINER_CONTENT_TYPES:
        return trace_ids_of(item.payload)
    if item.kind in ("event", "transaction"):
        trace_id = trace_id_of(item.payload)
        return frozenset() if trace_id is None else frozenset({trace_id})
    return frozenset()


def _check_json(item: EnvelopeItem) -> Iterator[Violation]:
    for problem in item.json.problems:
        yield Violation("item.json", "payload", problem)
    for key in item.json.duplicate_keys:
        yield Violation("item.duplicate_key", "payload", f"{key!r} is given twice in one object")
    if item.kind not in _OPAQUE_KINDS and not isinstance(item.json.value, dict):
        yield Violation("item.json", "payload", "is not a JSON object")


def _check_payload(item: EnvelopeItem, header: JsonObject, now: float) -> Iterator[Violation]:
    match item.kind:
        case "event":
            return check_error_event(item.payload, header, now)
        case "transaction":
            return check_transaction(item.payload, header, len(item.body), now)
        case "span" | "log" | "trace_metric" as kind:
            return check_container(kind, item.header, item.payload, now)
        case "check_in":
            return check_check_in(item.payload)
        case "session":
            return check_session(item.payload)
        case "sessions":
            return check_sessions(item.payload)
        case "client_report":
            return check_client_report(item.payload)
        case _:
            return iter(())


def _check_trace_header(envelope: Envelope) -> Iterator[Violation]:
    kinds = {item.kind for item in envelope.items}
    trace = envelope.header.get("trace")
    if trace is None:
        if "span" in kinds:
            yield Violation(
                "dsc.missing", "envelope header trace", "is missing; the spans are rejected"
            )
        return
    trace_ids = frozenset().union(*map(trace_ids_of_item, envelope.items))
    if kinds & _MAY_MIX_TRACES and len(trace_ids) > 1:
        yield Violation(
            "dsc.mixed_traces", "envelope header trace", "is given, but the items mix traces"
        )
        return
    yield from check_sampling_context(trace, trace_ids)
    heads = frozenset().union(*map(url_named_heads, envelope.items))
    yield from check_head_name(trace, heads)
