"""Each span is sent once: by whichever wire to a project, and once to an OTLP backend.

Source: our own rule. Sentry shows and counts a span as often as it arrives in envelopes of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from spanbridge.receiver.envelope import EnvelopeItem
from spanbridge.receiver.records import Json, JsonObject, Violation

_NAMES: Final = {
    "transaction": "a transaction",
    "span": "a container of streamed spans",
    "otlp_span": "an OTLP request",
}


class SentSpan(NamedTuple):
    """A span that an item holds."""

    trace_id: str
    span_id: str
    where: str
    """Its place in the item."""


class Repeat(NamedTuple):
    """A span that came before."""

    span: SentSpan
    earlier_kind: str
    """What it came in: ``"transaction"``, ``"span"`` or ``"otlp_span"``."""


def sent_spans(item: EnvelopeItem) -> list[SentSpan]:
    """The spans of a transaction or of a container, each id once."""
    match item.kind:
        case "transaction":
            found = _of_transaction(item.payload)
        case "span":
            found = _of_list(item.payload.get("items"), "items")
        case _:
            return []
    # Within one item a repetition has a rule of its own.
    return list({(one.trace_id, one.span_id): one for one in found}.values())


def check_repeats(kind: str, repeats: Iterable[Repeat]) -> Iterator[Violation]:
    """No span came before.

    Args:
        kind: The kind of the item that holds them.
        repeats: Its spans that did.
    """
    for span, earlier_kind in repeats:
        yield Violation(
            "span.sent_twice",
            span.where,
            f"{span.span_id} of trace {span.trace_id} is in {_NAMES[kind]},"
            f" and came before in {_NAMES[earlier_kind]}",
        )


def _of_transaction(payload: JsonObject) -> Iterator[SentSpan]:
    contexts = payload.get("contexts")
    root = contexts.get("trace") if isinstance(contexts, dict) else None
    yield from _of_one(root, "contexts.trace.span_id")
    yield from _of_list(payload.get("spans"), "spans")


def _of_list(spans: Json, where: str) -> Iterator[SentSpan]:
    for index, span in enumerate(spans if isinstance(spans, list) else []):
        yield from _of_one(span, f"{where}[{index}].span_id")


def _of_one(span: Json, where: str) -> Iterator[SentSpan]:
    if not isinstance(span, dict):
        return
    trace_id, span_id = span.get("trace_id"), span.get("span_id")
    if isinstance(trace_id, str) and isinstance(span_id, str):
        yield SentSpan(trace_id, span_id, where)
