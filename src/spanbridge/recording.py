"""Reads back the spans that the destination ``file`` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from spanbridge.errors import SpanbridgeError
from spanbridge.model.span import (
    Resource,
    Scope,
    SpanEvent,
    SpanKind,
    SpanLink,
    SpanRecord,
    SpanStatus,
)


class RecordingError(SpanbridgeError):
    """A file is no recording."""


# The records' own attributes cannot be read by their type: JSON does not tell text from bytes.
class _Scope(msgspec.Struct):
    name: str
    version: str | None = None
    schema_url: str | None = None
    attributes: dict[str, Any] = {}


class _Resource(msgspec.Struct):
    attributes: dict[str, Any]
    schema_url: str | None = None


class _Event(msgspec.Struct):
    name: str
    time_ns: int
    attributes: dict[str, Any] = {}


class _Link(msgspec.Struct):
    trace_id: str
    span_id: str
    is_sampled: bool
    attributes: dict[str, Any] = {}
    trace_state: str = ""


class _Span(msgspec.Struct):
    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    status: SpanStatus
    status_message: str | None
    attributes: dict[str, Any]
    events: list[_Event]
    links: list[_Link]
    scope: _Scope
    resource: _Resource
    is_local_root: bool
    is_sampled: bool
    trace_state: str = ""
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0

    def record(self) -> SpanRecord:
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        fields |= {
            "events": tuple([_as(SpanEvent, event) for event in self.events]),
            "links": tuple([_as(SpanLink, link) for link in self.links]),
            "scope": _as(Scope, self.scope),
            "resource": _as(Resource, self.resource),
        }
        return SpanRecord(**fields)


class _Kind(msgspec.Struct):
    type: str


def read_recording(path: Path) -> Iterator[SpanRecord]:
    """The spans of a recording, in the order in which they were written.

    Raises:
        RecordingError: A line is none that the destination ``file`` writes.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                if msgspec.json.decode(line, type=_Kind).type == "span":
                    yield msgspec.json.decode(line, type=_Span).record()
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise RecordingError(f"line {number} of {path} is no record: {error}") from None


def _as(kind: type[Any], read: msgspec.Struct) -> Any:
    return kind(**{name: getattr(read, name) for name in read.__struct_fields__})
