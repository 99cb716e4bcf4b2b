"""Spans by their parents: one segment under a known root, or as many as there are trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.model.trace import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanbridge.model.span import SpanRecord


def root_segment(root: SpanRecord, others: Iterable[SpanRecord]) -> Segment:
    """The segment of a local root and all that ended before it left."""
    return Segment(root, _by_start(others))


def follow_ups(spans: Iterable[SpanRecord]) -> list[Segment]:
    """The trees among ``spans``; a span whose parent is not among them is a root of its own."""
    members = list(spans)
    by_id = {span.span_id: span for span in members}
    trees: dict[str, list[SpanRecord]] = {}
    roots: dict[str, str] = {}
    for span in members:
        root_id = _root_id(span, by_id, roots)
        tree = trees.setdefault(root_id, [])
        if span is not by_id[root_id]:
            tree.append(span)
    return [
        Segment(by_id[root_id], _by_start(tree), is_follow_up=True)
        for root_id, tree in trees.items()
    ]


def _root_id(span: SpanRecord, by_id: dict[str, SpanRecord], roots: dict[str, str]) -> str:
    """The id of the topmost known ancestor; ``roots`` remembers the answers on the way."""
    path: dict[str, None] = {}  # ordered, and quick to search: ids may be equal or form a circle
    current = span
    while current.span_id not in roots:
        path[current.span_id] = None
        parent = by_id.get(current.parent_span_id or "")
        if parent is None or parent.span_id in path:
            roots[current.span_id] = current.span_id
            break
        current = parent
    root_id = roots[current.span_id]
    for span_id in path:
        roots[span_id] = root_id
    return root_id


def _by_start(spans: Iterable[SpanRecord]) -> tuple[SpanRecord, ...]:
    return tuple(sorted(spans, key=lambda span: span.start_ns))
