"""Segments too large for one transaction are sent as several, each span in exactly one."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import SpanRecord
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.transaction import convert_child

MAX_CHILDREN: Final = 1000
"""Sentry's SDKs never send more; the product is not tested with more."""

MAX_CHILDREN_BYTES: Final = 640 * 1024
"""Relay keeps about 800 KiB of spans and drops the later ones; and with the largest root the
whole item must stay below 1 MiB."""

# The comma, and the key of its place in ``_meta``.
_BYTES_OF_PLACE: Final = 16


def has_equal_ids(segment: Segment) -> bool:
    """Whether spans share an id, as with a faulty generator; one transaction cannot hold both."""
    ids = {span.span_id for span in segment.children}
    return len(ids) < len(segment.children) or segment.root.span_id in ids


def split_segment(segment: Segment) -> list[Segment]:
    """``segment`` itself, or parts of it that each fit into one transaction.

    The first part keeps the root. Every further part is a follow-up whose root is a real span; the
    spans of a subtree stay together as far as possible, and each keeps its true parent, so the
    trace is whole again in Sentry.

    Every span is encoded once to be measured, so ask only for a segment that proved too large.
    """
    parts = list(_parts(segment))
    if len(parts) == 1:
        return [segment]
    first, *others = parts
    return [
        Segment(segment.root, _in_order(first), segment.is_follow_up),
        *(Segment(root, _in_order(children), True) for root, *children in others),
    ]


def _parts(segment: Segment) -> Iterator[list[SpanRecord]]:
    """The children in parts within the limits; those after the first start with their root."""
    part: list[SpanRecord] = []
    ids = {segment.root.span_id}
    room = MAX_CHILDREN_BYTES
    most_spans = MAX_CHILDREN
    for span in _depth_first(segment):
        size = len(encode_json(convert_child(span))) + _BYTES_OF_PLACE
        if len(part) >= most_spans or size > room or span.span_id in ids:
            yield part
            part, ids, room, most_spans = [], set(), MAX_CHILDREN_BYTES, MAX_CHILDREN + 1
        part.append(span)
        ids.add(span.span_id)
        room -= size
    yield part


def _depth_first(segment: Segment) -> Iterator[SpanRecord]:
    """Every child once, each followed by its descendants."""
    children_of: dict[str | None, list[SpanRecord]] = {}
    for span in segment.children:
        children_of.setdefault(span.parent_span_id, []).append(span)
    top = children_of.pop(segment.root.span_id, [])
    known = {span.span_id for span in segment.children}
    for parent_id in [parent_id for parent_id in children_of if parent_id not in known]:
        top += children_of.pop(parent_id)
    yield from _walk(top, children_of)
    # What is left are circles of parents, which only faulty ids can make.
    while children_of:
        yield from _walk(children_of.popitem()[1], children_of)


def _walk(
    spans: list[SpanRecord], children_of: dict[str | None, list[SpanRecord]]
) -> Iterator[SpanRecord]:
    stack = spans[::-1]
    while stack:
        span = stack.pop()
        yield span
        stack += children_of.pop(span.span_id, [])[::-1]


def _in_order(spans: list[SpanRecord]) -> tuple[SpanRecord, ...]:
    return tuple(sorted(spans, key=attrgetter("start_ns")))
