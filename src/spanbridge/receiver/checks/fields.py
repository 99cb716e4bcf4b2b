"""Checks of single fields that several kinds of items share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from spanbridge.receiver.checks import words
from spanbridge.receiver.envelope import parse_rfc3339
from spanbridge.receiver.records import Json, Violation

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def check_pattern(
    value: Json, pattern: re.Pattern[str], rule: str, where: str, expected: str
) -> Iterator[Violation]:
    """The value is a text of the given form."""
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        yield Violation(rule, where, f"is {value!r}, not {expected}")


def check_word(value: Json, known: frozenset[str], rule: str, where: str) -> Iterator[Violation]:
    """The value is one of the protocol's words."""
    if not isinstance(value, str) or value not in known:
        yield Violation(rule, where, f"is {value!r}, not one of {', '.join(sorted(known))}")


def check_text(value: Json, longest: int, rule: str, where: str) -> Iterator[Violation]:
    """The value is a text of at most ``longest`` characters."""
    if not isinstance(value, str):
        yield Violation(rule, where, f"is {value!r}, not a text")
    elif len(value) > longest:
        yield Violation(rule, where, f"has {len(value)} characters, above {longest}")


def check_trace_ids(holder: dict[str, Json], subject: str, where: str) -> Iterator[Violation]:
    """``trace_id`` and ``span_id`` are there, ``parent_span_id`` is right if it is there."""
    yield from check_trace_id(holder, subject, where)
    yield from check_span_id(holder.get("span_id"), f"{subject}.span_id", f"{where}span_id")
    parent_span_id = holder.get("parent_span_id")
    if parent_span_id is not None:
        rule = f"{subject}.parent_span_id"
        yield from check_span_id(parent_span_id, rule, f"{where}parent_span_id")
        if parent_span_id == holder.get("span_id"):
            yield Violation(rule, f"{where}parent_span_id", "is the span itself")


def check_trace_id(holder: dict[str, Json], subject: str, where: str) -> Iterator[Violation]:
    """``trace_id`` is 32 lower-case hex characters, not all zero."""
    yield from check_pattern(
        holder.get("trace_id"),
        words.TRACE_ID,
        f"{subject}.trace_id",
        f"{where}trace_id",
        "32 lower-case hex characters other than zero",
    )


def check_span_id(value: Json, rule: str, where: str) -> Iterator[Violation]:
    """The value is 16 lower-case hex characters, not all zero."""
    yield from check_pattern(
        value, words.SPAN_ID, rule, where, "16 lower-case hex characters other than zero"
    )


def read_time(value: Json) -> float | None:
    """Unix time in seconds of a protocol timestamp, ``None`` if it is none."""
    return float(value) if is_number(value) else parse_rfc3339(value)


def check_time(value: Json, now: float, rule: str, where: str) -> Iterator[Violation]:
    """The value is a time that the server would not move."""
    time_s = read_time(value)
    if time_s is None:
        yield Violation(rule, where, f"is {value!r}, neither Unix seconds nor an RFC 3339 time")
    elif time_s > now + words.EVENT_MAX_AHEAD_S:
        yield Violation(rule, where, f"{value!r} is {time_s - now:.0f} s ahead of the clock")
    elif time_s < now - words.EVENT_MAX_AGE_S:
        yield Violation(rule, where, f"{value!r} is older than 30 days")


def check_span_times(
    start: Json, end: Json, now: float, subject: str, where: str, end_name: str = "timestamp"
) -> Iterator[Violation]:
    """Both times are there, plausible, and in order."""
    yield from check_time(start, now, f"{subject}.start_timestamp", f"{where}start_timestamp")
    yield from check_time(end, now, f"{subject}.{end_name}", f"{where}{end_name}")
    start_s, end_s = read_time(start), read_time(end)
    if start_s is not None and end_s is not None and start_s > end_s:
        yield Violation(
            f"{subject}.times", f"{where}start_timestamp", f"{start!r} is after the end {end!r}"
        )


def check_tags(tags: Json, where: str) -> Iterator[Violation]:
    """Tags of an event or transaction survive as they are."""
    if not isinstance(tags, dict):
        yield Violation("event.tags", where, "is not an object")
        return
    for key, value in tags.items():
        place = f"{where}[{key!r}]"
        if words.TAG_KEY.fullmatch(key) is None:
            yield Violation("event.tag_key", place, "key is not [a-zA-Z0-9_.:-], 1 to 200 long")
        if key in words.RESERVED_TAGS:
            yield Violation("event.tag_key", place, "key is reserved; the server removes it")
        if not isinstance(value, str):
            yield Violation("event.tag_value", place, f"is {value!r}, not a text")
        elif not value or len(value) > 200 or "\n" in value:
            yield Violation("event.tag_value", place, "is empty, above 200 long or has a newline")


def check_typed_attributes(attributes: Json, subject: str, where: str) -> Iterator[Violation]:
    """Attributes of containers: ``{key: {"type": …, "value": …}}``."""
    rule = f"{subject}.attributes"
    if not isinstance(attributes, dict):
        yield Violation(rule, where, "is not an object")
        return
    for key, attribute in attributes.items():
        if not isinstance(attribute, dict) or not {"type", "value"} <= attribute.keys():
            yield Violation(rule, f"{where}[{key!r}]", "has no type and value")
        elif extra := attribute.keys() - {"type", "value"}:
            yield Violation(
                rule, f"{where}[{key!r}]", f"has {', '.join(sorted(extra))} beside type and value"
            )
        elif not _is_typed(attribute["type"], attribute["value"]):
            yield Violation(
                rule,
                f"{where}[{key!r}]",
                f"value {attribute['value']!r} is not of type {attribute['type']!r}",
            )


def _is_typed(type_name: Json, value: Json) -> bool:
    match type_name:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return _is_int64(value)
        case "double":
            return is_number(value)
        case "array":
            return isinstance(value, list) and (
                all(isinstance(one, str) for one in value)
                or all(isinstance(one, bool) for one in value)
                or all(
                    _is_int64(one) or (isinstance(one, float) and is_number(one)) for one in value
                )
            )
        case _:
            return False


def _is_int64(value: Json) -> bool:
    return type(value) is int and _INT64_MIN <= value <= _INT64_MAX


def is_number(value: Json) -> bool:
    """Whether it is a number that a double can hold; a boolean is none."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False
