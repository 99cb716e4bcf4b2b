"""OTLP spans as the protocol and the data model demand them.

Source: OpenTelemetry protocol (``trace.proto``) and trace specification.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanbridge.receiver.records import Violation

_NS_PER_S = 1_000_000_000
_MAX_AHEAD_NS = 60 * _NS_PER_S
# The protocol sets no age; a start before 2000 is a unit error (seconds or ms sent as ns).
_EARLIEST_NS = 946_684_800 * _NS_PER_S


def check_otlp_span(span: Span, now_ns: int) -> tuple[Violation, ...]:
    """What one span breaks.

    Args:
        span: The span.
        now_ns: Unix time in nanoseconds.
    """
    return (
        *_check_id(span.trace_id, 16, "trace_id"),
        *_check_id(span.span_id, 8, "span_id"),
        *_check_parent(span),
        *_check_times(span, now_ns),
        *_check_name(span),
        *check_otlp_attributes(span.attributes, "attributes"),
        *_check_parts(span),
    )


def check_otlp_attributes(attributes: Iterable[KeyValue], where: str) -> Iterator[Violation]:
    """Keys are given and unique."""
    for key, count in Counter(attribute.key for attribute in attributes).items():
        if not key:
            yield Violation("otlp_span.attribute_key", where, "has an empty key")
        if count > 1:
            yield Violation("otlp_span.attribute_key", where, f"{key!r} is given {count} times")


def _check_parent(span: Span) -> Iterator[Violation]:
    if not span.parent_span_id:
        return
    yield from _check_id(span.parent_span_id, 8, "parent_span_id")
    if span.parent_span_id == span.span_id:
        yield Violation("otlp_span.parent_span_id", "parent_span_id", "is the span itself")


def _check_times(span: Span, now_ns: int) -> Iterator[Violation]:
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    for name, time_ns in (("start_time_unix_nano", start_ns), ("end_time_unix_nano", end_ns)):
        if time_ns < _EARLIEST_NS:
            yield Violation("otlp_span.time", name, f"is {time_ns}, before the year 2000")
        elif time_ns > now_ns + _MAX_AHEAD_NS:
            yield Violation(
                "otlp_span.time", name, f"is {(time_ns - now_ns) // _NS_PER_S} s ahead of the clock"
            )
    if start_ns > end_ns:
        yield Violation("otlp_span.times", "start_time_unix_nano", "is after the end")


def _check_name(span: Span) -> Iterator[Violation]:
    if not span.name:
        yield Violation("otlp_span.name", "name", "is empty")


def _check_parts(span: Span) -> Iterator[Violation]:
    for index, event in enumerate(span.events):
        yield from check_otlp_attributes(event.attributes, f"events[{index}].attributes")
    for index, link in enumerate(span.links):
        yield from _check_id(link.trace_id, 16, f"links[{index}].trace_id", "links")
        yield from _check_id(link.span_id, 8, f"links[{index}].span_id", "links")
        yield from check_otlp_attributes(link.attributes, f"links[{index}].attributes")


def _check_id(value: bytes, length: int, where: str, rule: str = "") -> Iterator[Violation]:
    if len(value) != length or not any(value):
        yield Violation(
            f"otlp_span.{rule or where}",
            where,
            f"is {value.hex()!r}, not {length} bytes other than zero",
        )
