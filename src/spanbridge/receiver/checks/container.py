"""Containers of streamed spans, logs and metrics.

Source: Sentry develop docs, "Span Protocol", "Logs", "Metrics"; Relay's container parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spanbridge.receiver.checks import words
from spanbridge.receiver.checks.fields import (
    check_pattern,
    check_span_id,
    check_span_times,
    check_text,
    check_time,
    check_trace_id,
    check_trace_ids,
    check_typed_attributes,
    check_word,
)
from spanbridge.receiver.records import Json, JsonObject, Violation

_SPAN_CONTAINER_VERSION = 2


def check_container(
    kind: str, header: JsonObject, payload: JsonObject, now: float
) -> Iterator[Violation]:
    """An item of kind ``span``, ``log`` or ``trace_metric``.

    Args:
        kind: The item type.
        header: The item's header.
        payload: The container.
        now: Unix time in seconds.
    """
    expected_type = words.CONTAINER_CONTENT_TYPES[kind]
    if header.get("content_type") != expected_type:
        yield Violation(
            "container.content_type",
            "item header content_type",
            f"is {header.get('content_type')!r}, not {expected_type!r}",
        )
    items = payload.get("items")
    if not isinstance(items, list):
        yield Violation("container.items", "items", "is not a list")
        return
    item_count = header.get("item_count")
    if type(item_count) is not int or item_count != len(items):
        yield Violation(
            "container.item_count",
            "item header item_count",
            f"is {item_count!r}, but there are {len(items)} items",
        )
    yield from _check_version(kind, payload)
    check_one = _CHECKS[kind]
    for index, one in enumerate(items):
        where = f"items[{index}]."
        if isinstance(one, dict):
            yield from check_one(one, where, now)
        else:
            yield Violation("container.items", where[:-1], "is not an object")
    if kind == "span":
        yield from _check_unique_spans(items)


def trace_ids_of(payload: JsonObject) -> frozenset[str]:
    """The traces a container's items belong to."""
    items = payload.get("items")
    return frozenset(
        one["trace_id"]
        for one in (items if isinstance(items, list) else [])
        if isinstance(one, dict) and isinstance(one.get("trace_id"), str)
    )


def _check_version(kind: str, payload: JsonObject) -> Iterator[Violation]:
    # Without version 2 the server may take the sending host's address for the user's.
    version = payload.get("version")
    if kind == "span" and version != _SPAN_CONTAINER_VERSION:
        yield Violation("container.version", "version", f"is {version!r}, not 2")


def _check_unique_spans(items: list[Json]) -> Iterator[Violation]:
    seen: set[str] = set()
    for index, one in enumerate(items):
        span_id = one.get("span_id") if isinstance(one, dict) else None
        if not isinstance(span_id, str):
            continue
        if span_id in seen:
            yield Violation(
                "streamed_span.duplicate", f"items[{index}].span_id", f"{span_id} is used twice"
            )
        seen.add(span_id)


def _check_span(span: JsonObject, where: str, now: float) -> Iterator[Violation]:
    yield from check_trace_ids(span, "streamed_span", where)
    yield from check_span_times(
        span.get("start_timestamp"),
        span.get("end_timestamp"),
        now,
        "streamed_span",
        where,
        "end_timestamp",
    )
    if not isinstance(span.get("name"), str) or not span["name"]:
        yield Violation("streamed_span.name", f"{where}name", "is missing")
    yield from check_word(
        span.get("status"), frozenset({"ok", "error"}), "streamed_span.status", f"{where}status"
    )
    if not isinstance(span.get("is_segment"), bool):
        yield Violation("streamed_span.is_segment", f"{where}is_segment", "is not a boolean")
    for field in span.keys() - words.STREAMED_SPAN_FIELDS:
        yield Violation("streamed_span.unknown_field", where + field, "is no field of a span")
    yield from check_typed_attributes(
        span.get("attributes", {}), "streamed_span", f"{where}attributes"
    )
    links = span.get("links", [])
    for index, link in enumerate(links if isinstance(links, list) else [links]):
        place = f"{where}links[{index}]"
        if not isinstance(link, dict):
            yield Violation("streamed_span.links", place, "is not an object")
            continue
        yield from check_trace_ids(link, "streamed_span.links", f"{place}.")
        yield from check_typed_attributes(
            link.get("attributes", {}), "streamed_span.links", f"{place}.attributes"
        )


def _check_log(log: JsonObject, where: str, now: float) -> Iterator[Violation]:
    yield from _check_point(log, "log", where, now)
    yield from check_word(log.get("level"), words.LOG_LEVELS, "log.level", f"{where}level")
    if not isinstance(log.get("body"), str):
        yield Violation("log.body", f"{where}body", f"is {log.get('body')!r}, not a text")
    severity = log.get("severity_number")
    if severity is not None and (type(severity) is not int or not 1 <= severity <= 24):
        yield Violation("log.severity_number", f"{where}severity_number", f"is {severity!r}")


def _check_metric(metric: JsonObject, where: str, now: float) -> Iterator[Violation]:
    yield from _check_point(metric, "metric", where, now)
    yield from check_pattern(
        metric.get("name"), words.METRIC_NAME, "metric.name", f"{where}name", "[a-zA-Z0-9_.-]"
    )
    yield from check_word(
        metric.get("type"),
        frozenset({"counter", "gauge", "distribution"}),
        "metric.type",
        f"{where}type",
    )
    if type(metric.get("value")) not in (int, float):
        yield Violation("metric.value", f"{where}value", f"is {metric.get('value')!r}")
    if metric.get("unit") is not None:
        yield from check_text(metric["unit"], 64, "metric.unit", f"{where}unit")


def _check_point(point: JsonObject, subject: str, where: str, now: float) -> Iterator[Violation]:
    yield from check_time(point.get("timestamp"), now, f"{subject}.timestamp", f"{where}timestamp")
    yield from check_trace_id(point, subject, where)
    if point.get("span_id") is not None:
        yield from check_span_id(point["span_id"], f"{subject}.span_id", f"{where}span_id")
    yield from check_typed_attributes(point.get("attributes", {}), subject, f"{where}attributes")


_CHECKS: dict[str, Callable[[JsonObject, str, float], Iterator[Violation]]] = {
    "span": _check_span,
    "log": _check_log,
    "trace_metric": _check_metric,
}
