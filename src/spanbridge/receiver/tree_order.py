"""In which order, and how deep, the spans of a tree are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar


class Node(Protocol):
    """Something that has a place in a tree and in time."""

    @property
    def span_id(self) -> str: ...

    @property
    def parent_span_id(self) -> str | None: ...

    @property
    def start_s(self) -> float | None: ...


N = TypeVar("N", bound=Node)


def in_tree_order(nodes: Sequence[N]) -> Iterator[tuple[int, N]]:
    """Each node once with its depth: from those without a known parent down, by start."""
    by_start = sorted(nodes, key=lambda one: one.start_s or 0.0)
    known = {one.span_id for one in nodes}
    children: dict[str, list[N]] = {}
    roots = []
    for one in by_start:
        if one.parent_span_id in known and one.parent_span_id is not None:
            children.setdefault(one.parent_span_id, []).append(one)
        else:
            roots.append(one)
    seen: set[int] = set()
    # A circle has no root, so what was not reached from one starts a tree of its own.
    for start in (*roots, *by_start):
        waiting = [(0, start)]
        while waiting:
            depth, one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            yield depth, one
            below = children.get(one.span_id, ())
            waiting += [(depth + 1, child) for child in reversed(below)]
