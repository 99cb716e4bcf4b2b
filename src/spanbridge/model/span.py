"""One finished span as every destination reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

AttributeValue: TypeAlias = (
    "str | bool | int | float | bytes | None | Sequence[AttributeValue] "
    "| Mapping[str, AttributeValue]"
)
"""OpenTelemetry's AnyValue. Sequences are tuples or lists, mappings are dicts."""

Attributes: TypeAlias = dict[str, AttributeValue]
SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
SpanStatus: TypeAlias = Literal["unset", "ok", "error"]


SPAN_BYTES: Final = 1024
"""What a span takes beside the texts of its attributes, about."""


class Scope(msgspec.Struct, frozen=True, gc=False):
    """The instrumentation scope (library) that made a span."""

    name: str
    version: str | None = None
    schema_url: str | None = None
    attributes: Attributes = {}


class Resource(msgspec.Struct, frozen=True, gc=False):
    """The entity that produced the telemetry; one shared object per process."""

    attributes: Attributes
    schema_url: str | None = None


class SpanEvent(msgspec.Struct, frozen=True, gc=False):
    """A timestamped event on a span. ``time_ns`` is Unix time in nanoseconds."""

    name: str
    time_ns: int
    attributes: Attributes = {}


class SpanLink(msgspec.Struct, frozen=True, gc=False):
    """A link to another span. Ids are lower-case hex (32 and 16 characters)."""

    trace_id: str
    span_id: str
    is_sampled: bool
    attributes: Attributes = {}
    trace_state: str = ""


class SpanRecord(msgspec.Struct, frozen=True, gc=False):
    """A finished span, immutable and independent of the SDK's object.

    Ids are lower-case hex (32 and 16 characters); times are Unix time in nanoseconds.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    status: SpanStatus
    status_message: str | None
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    scope: Scope
    resource: Resource
    is_local_root: bool
    """No parent, or a parent in another process."""
    is_sampled: bool
    """The W3C sampled flag."""
    trace_state: str = ""
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0
    is_redacted: bool = False
    """Whether the privacy policy cut something out of it."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, for the bounds of queues.

        It is worked out at each call, as most spans leave before anybody has to know.
        """
        size_bytes = SPAN_BYTES + _bytes_of(self.attributes)
        for event in self.events:
            size_bytes += SPAN_BYTES // 4 + _bytes_of(event.attributes)
        for link in self.links:
            size_bytes += SPAN_BYTES // 4 + _bytes_of(link.attributes)
        return size_bytes


def _bytes_of(value: AttributeValue) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if value is None or isinstance(value, int | float):
        return 0
    if isinstance(value, Mapping):
        return 64 * len(value) + sum([_bytes_of(inner) for inner in value.values()])
    # Numbers are not looked at one by one: an embedding has thousands.
    is_flat = len(value) == 0 or isinstance(value[0], int | float)
    return 32 * len(value) + (0 if is_flat else sum([_bytes_of(inner) for inner in value]))
