"""Spans that leave together as one segment, under their local root or without it."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from spanbridge.model.trace import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanbridge.model.span import SpanRecord

_start_ns: Final = attrgetter("start_ns")


def root_segment(root: SpanRecord, others: Iterable[SpanRecord]) -> Segment:
    """The segment of a local root and all that ended before it left."""
    return Segment(root, _by_start(others))


def follow_up(spans: Sequence[SpanRecord]) -> Segment:
    """What leaves without its local root, as one segment.

    Its root is a real span: the first to start among those whose parent is not here. All others
    keep their true parents, so the trace is whole again where it arrives; one segment for each
    sibling would be as many transactions as there are siblings.
    """
    ids = {span.span_id for span in spans}
    tops = [span for span in spans if span.parent_span_id not in ids]
    root = min(tops or spans, key=_start_ns)
    return Segment(root, _by_start(span for span in spans if span is not root), is_follow_up=True)


def _by_start(spans: Iterable[SpanRecord]) -> tuple[SpanRecord, ...]:
    return tuple(sorted(spans, key=_start_ns))
