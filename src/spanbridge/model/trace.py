"""Spans of one local trace put together as a tree."""

from __future__ import annotations

import msgspec

from spanbridge.model.span import SpanRecord


class DynamicSamplingContext(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Sentry's ``trace`` header and ``sentry-*`` baggage; every value is text.

    Source: Sentry develop docs, "Dynamic Sampling Context".
    """

    trace_id: str
    public_key: str
    sample_rate: str | None = None
    sample_rand: str | None = None
    sampled: str | None = None
    release: str | None = None
    environment: str | None = None
    transaction: str | None = None
    org_id: str | None = None
    replay_id: str | None = None


class SegmentName(msgspec.Struct, frozen=True, gc=False):
    """The segment that streamed spans belong to: its root's id, and the name as far as known.

    ``source`` is Sentry's word for where the name comes from; ``""`` if the root was never seen and
    the name is that of a span below it.
    """

    span_id: str
    name: str
    source: str


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A real span and those of its finished descendants that leave together.

    ``children`` are sorted by start time. ``is_follow_up`` marks a part of a local trace whose
    first part has left already, or whose root will not be waited for.
    """

    root: SpanRecord
    children: tuple[SpanRecord, ...]
    is_follow_up: bool = False

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, for the bounds of queues."""
        return self.root.size_bytes + sum([child.size_bytes for child in self.children])
