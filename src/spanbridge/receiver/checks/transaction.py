"""Transactions with the spans inside.

Source: Sentry develop docs, "Transaction Payloads"; what rejects a transaction or changes a span is
taken from Relay's normaliser.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from spanbridge.receiver.checks import words
from spanbridge.receiver.checks.event import (
    check_event_fields,
    check_trace_context,
    trace_id_of,
)
from spanbridge.receiver.checks.fields import (
    check_pattern,
    check_span_times,
    check_text,
    check_trace_ids,
    check_word,
    is_number,
)
from spanbridge.receiver.records import Json, JsonObject, Violation


def check_transaction(
    payload: JsonObject, header: JsonObject, body_bytes: int, now: float
) -> Iterator[Violation]:
    """An item of kind ``transaction``.

    Args:
        payload: The transaction.
        header: The envelope header it came under.
        body_bytes: Size of the item's payload.
        now: Unix time in seconds.
    """
    yield from check_event_fields(payload, header)
    if payload.get("type") != "transaction":
        yield Violation("transaction.type", "type", f"is {payload.get('type')!r}")
    if not payload.get("transaction"):
        yield Violation("transaction.name", "transaction", "is missing")
    yield from check_span_times(
        payload.get("start_timestamp"), payload.get("timestamp"), now, "transaction", ""
    )
    source = payload.get("transaction_info")
    yield from check_word(
        source.get("source") if isinstance(source, dict) else None,
        words.TRANSACTION_SOURCES,
        "transaction.source",
        "transaction_info.source",
    )
    if payload.get("measurements") is not None:
        yield from _check_measurements(payload["measurements"], "measurements")
    contexts = payload.get("contexts")
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    if isinstance(trace, dict):
        yield from check_trace_context(trace)
    else:
        yield Violation("transaction.trace_context", "contexts.trace", "is missing")
    yield from _check_spans(payload, body_bytes, now)


def _check_spans(payload: JsonObject, body_bytes: int, now: float) -> Iterator[Violation]:
    spans = payload.get("spans", [])
    if not isinstance(spans, list):
        yield Violation("transaction.spans", "spans", "is not a list")
        return
    if len(spans) > words.SPANS_LIMIT:
        yield Violation("transaction.spans", "spans", f"{len(spans)} spans, above 1000")
    if body_bytes > words.SPANS_LIMIT_BYTES:
        size_bytes = len(msgspec.json.encode(spans))
        if size_bytes > words.SPANS_LIMIT_BYTES:
            yield Violation(
                "transaction.spans", "spans", f"{size_bytes} bytes, above 800 KiB: the rest is cut"
            )
    trace_id = trace_id_of(payload)
    seen = {payload["contexts"]["trace"].get("span_id")} if trace_id is not None else set()
    for index, span in enumerate(spans):
        where = f"spans[{index}]."
        if not isinstance(span, dict):
            yield Violation("span.shape", where[:-1], "is not an object")
            continue
        yield from _check_span(span, where, now)
        if span.get("trace_id") != trace_id:
            yield Violation(
                "span.trace_id", f"{where}trace_id", f"is not that of the transaction: {trace_id}"
            )
        span_id = span.get("span_id")
        if isinstance(span_id, str):
            if span_id in seen:
                yield Violation("span.duplicate", f"{where}span_id", f"{span_id} is used twice")
            seen.add(span_id)


def _check_span(span: JsonObject, where: str, now: float) -> Iterator[Violation]:
    yield from check_trace_ids(span, "span", where)
    yield from check_span_times(
        span.get("start_timestamp"), span.get("timestamp"), now, "span", where
    )
    for field in span.keys() - words.SPAN_FIELDS:
        yield Violation("span.unknown_field", where + field, "is no field of a span; it is removed")
    if "op" in span:  # the server calls a span without one "default"
        yield from check_text(span["op"], 128, "span.op", f"{where}op")
    if "status" in span:
        yield from check_word(span["status"], words.STATUSES, "span.status", f"{where}status")
    if "origin" in span:
        yield from check_pattern(
            span["origin"], words.ORIGIN, "span.origin", f"{where}origin", "[a-zA-Z0-9_.] only"
        )
    if "description" in span and not isinstance(span["description"], (str, type(None))):
        yield Violation("span.description", f"{where}description", "is not a text")
    for field in ("data", "tags"):
        if not isinstance(span.get(field, {}), dict):
            yield Violation(f"span.{field}", where + field, "is not an object")
    if span.get("measurements") is not None:
        yield from _check_measurements(span["measurements"], f"{where}measurements")
    yield from _check_links(span.get("links", []), f"{where}links")


def _check_links(links: Json, where: str) -> Iterator[Violation]:
    if not isinstance(links, list):
        yield Violation("span.links", where, "is not a list")
        return
    for index, link in enumerate(links):
        if isinstance(link, dict):
            yield from check_trace_ids(link, "span.links", f"{where}[{index}].")
        else:
            yield Violation("span.links", f"{where}[{index}]", "is not an object")


def _check_measurements(measurements: Json, where: str) -> Iterator[Violation]:
    if not isinstance(measurements, dict):
        yield Violation("measurement.shape", where, "is not an object")
        return
    for name, measurement in measurements.items():
        place = f"{where}[{name!r}]"
        if words.MEASUREMENT_NAME.fullmatch(name) is None:
            yield Violation("measurement.name", place, "name is not [a-z0-9._]")
        if not isinstance(measurement, dict):
            yield Violation("measurement.shape", place, "is not an object")
            continue
        value, unit = measurement.get("value"), measurement.get("unit", "none")
        if not is_number(value):
            yield Violation("measurement.value", place, f"is {value!r}, not a finite number")
        if not isinstance(unit, str) or not unit:
            yield Violation("measurement.unit", place, f"unit is {unit!r}")
