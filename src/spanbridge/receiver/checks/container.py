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

_CONTAINER_VERSION = 2


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
    if len(items) > words.CONTAINER_MOST_ITEMS[kind]:
        yield Violation(
            "container.count",
            "items",
            f"{len(items)} items, above {words.CONTAINER_MOST_ITEMS[kind]}",
        )
    yield from _check_version(kind, payload)
    yield from _check_ingest_settings(payload)
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


def attribute_of(holder: JsonObject, name: str) -> Json:
    """The value of a typed attribute; ``None`` if there is none."""
    attributes = holder.get("attributes")
    attribute = attributes.get(name) if isinstance(attributes, dict) else None
    return attribute.get("value") if isinstance(attribute, dict) else None


def _check_version(kind: str, payload: JsonObject) -> Iterator[Violation]:
    # Without version 2 the server may take the sending host's address for the user's.
    version = payload.get("version")
    is_optional = kind != "span"
    if not (is_optional and version is None) and version != _CONTAINER_VERSION:
        yield Violation("container.version", "version", f"is {version!r}, not 2")


def _check_ingest_settings(payload: JsonObject) -> Iterator[Violation]:
    settings = payload.get("ingest_settings", {})
    if not isinstance(settings, dict):
        yield Violation("container.ingest_settings", "ingest_settings", "is not an object")
        return
    for name, value in settings.items():
        place = f"ingest_settings.{name}"
        if name not in words.INGEST_SETTINGS:
            yield Violation("container.ingest_settings", place, "is no setting of a container")
        else:
            yield from check_word(value, words.INFERENCES, "container.ingest_settings", place)


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
    for name in ("start_timestamp", "end_timestamp"):
        yield from _check_seconds(span.get(name), f"streamed_span.{name}", where + name)
    if not isinstance(span.get("name"), str) or not span["name"]:
        yield Violation("streamed_span.name", f"{where}name", "is missing")
    yield from check_word(
        span.get("status"), words.STREAMED_SPAN_STATUSES, "streamed_span.status", f"{where}status"
    )
    yield from _check_segment(span, where)
    yield from _check_fields(span, words.STREAMED_SPAN_FIELDS, "streamed_span", where)
    yield from check_typed_attributes(
        span.get("attributes", {}), "streamed_span", f"{where}attributes"
    )
    yield from _check_links(span.get("links", []), f"{where}links")


def _check_segment(span: JsonObject, where: str) -> Iterator[Violation]:
    """A segment is the top of a trace within one service, and its spans name it."""
    is_segment = span.get("is_segment")
    if not isinstance(is_segment, bool):
        yield Violation("streamed_span.is_segment", f"{where}is_segment", "is not a boolean")
    elif not is_segment and "parent_span_id" not in span:
        yield Violation(
            "streamed_span.is_segment", f"{where}is_segment", "is false, but there is no parent"
        )
    if "parent_span_id" in span and span["parent_span_id"] is None:
        yield Violation(
            "streamed_span.parent_span_id", f"{where}parent_span_id", "is null; a root has none"
        )
    segment_id = attribute_of(span, "sentry.segment.id")
    place = f"{where}attributes['sentry.segment.id']"
    if segment_id is None:
        return
    yield from check_span_id(segment_id, "streamed_span.segment", place)
    if is_segment is True and segment_id != span.get("span_id"):
        yield Violation(
            "streamed_span.segment", place, f"is {segment_id!r}, but the span is a segment itself"
        )


def _check_links(links: Json, where: str) -> Iterator[Violation]:
    if not isinstance(links, list):
        yield Violation("streamed_span.links", where, "is not a list")
        return
    for index, link in enumerate(links):
        place = f"{where}[{index}]"
        if not isinstance(link, dict):
            yield Violation("streamed_span.links", place, "is not an object")
            continue
        yield from check_trace_ids(link, "streamed_span.links", f"{place}.")
        if not isinstance(link.get("sampled", False), bool):
            yield Violation("streamed_span.links", f"{place}.sampled", "is not a boolean")
        yield from _check_fields(link, words.LINK_FIELDS, "streamed_span.links", f"{place}.")
        yield from check_typed_attributes(
            link.get("attributes", {}), "streamed_span.links", f"{place}.attributes"
        )


def _check_log(log: JsonObject, where: str, now: float) -> Iterator[Violation]:
    yield from _check_point(log, "log", where, now)
    yield from check_word(log.get("level"), words.LOG_LEVELS, "log.level", f"{where}level")
    if not isinstance(log.get("body"), str):
        yield Violation("log.body", f"{where}body", f"is {log.get('body')!r}, not a text")
    yield from _check_severity(log, where)
    yield from _check_fields(log, words.LOG_FIELDS, "log", where)
    yield from _check_template(log, where)


def _check_severity(log: JsonObject, where: str) -> Iterator[Violation]:
    severity = log.get("severity_number")
    if severity is None:
        return
    place = f"{where}severity_number"
    if type(severity) is not int or not 1 <= severity <= 24:
        yield Violation("log.severity_number", place, f"is {severity!r}, not 1 to 24")
    elif (named := words.LOG_LEVEL_OF_FOUR[(severity - 1) // 4]) != log.get("level"):
        yield Violation(
            "log.severity_number", place, f"{severity} is {named}, but level is {log.get('level')}"
        )


def _check_template(log: JsonObject, where: str) -> Iterator[Violation]:
    attributes = log.get("attributes")
    if not isinstance(attributes, dict) or "sentry.message.template" not in attributes:
        return
    if not any(name.startswith("sentry.message.parameter.") for name in attributes):
        yield Violation(
            "log.template",
            f"{where}attributes['sentry.message.template']",
            "is given without parameters",
        )


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
    yield from _check_seconds(point.get("timestamp"), f"{subject}.timestamp", f"{where}timestamp")
    yield from check_trace_id(point, subject, where)
    if point.get("span_id") is not None:
        yield from check_span_id(point["span_id"], f"{subject}.span_id", f"{where}span_id")
    yield from check_typed_attributes(point.get("attributes", {}), subject, f"{where}attributes")


def _check_seconds(time: Json, rule: str, where: str) -> Iterator[Violation]:
    """Other than in events, a time in a container is a number."""
    if isinstance(time, str):
        yield Violation(rule, where, f"is the text {time!r}, not Unix seconds")


def _check_fields(
    holder: JsonObject, known: frozenset[str], subject: str, where: str
) -> Iterator[Violation]:
    for field in sorted(holder.keys() - known):
        yield Violation(f"{subject}.unknown_field", where + field, "is no field of it")


_CHECKS: dict[str, Callable[[JsonObject, str, float], Iterator[Violation]]] = {
    "span": _check_span,
    "log": _check_log,
    "trace_metric": _check_metric,
}
