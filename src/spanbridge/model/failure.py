"""An exception, from the moment a span saw it to the issue it may become."""

from __future__ import annotations

from types import CodeType
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from spanbridge.model.span import Attributes, SpanRecord

Relation: TypeAlias = Literal["", "__cause__", "__context__", "exceptions"]
Level: TypeAlias = Literal["fatal", "error", "warning", "info", "debug"]
LocalVariables: TypeAlias = dict[str, str]

MAX_EXCEPTIONS: Final = 50
"""Exceptions kept of one chain with its groups, outermost first."""
FIRST_FRAMES: Final = 50
"""Frames kept from the start of a long traceback, as Sentry's server keeps them."""
LAST_FRAMES: Final = 200
"""Frames kept from the end of a long traceback."""


FRAME_BYTES: Final = 2048
"""What a frame with its source and local variables takes, about."""


class CapturedFrame(NamedTuple):
    """One traceback entry as taken on the application's thread: pointers only, nothing read."""

    code: CodeType
    lineno: int
    module: str | None
    local_variables: LocalVariables | None = None


class CapturedException(NamedTuple):
    """One exception of a chain or group, without a reference to the exception object."""

    type: str
    module: str | None
    message: str
    frames: tuple[CapturedFrame, ...]
    """Oldest call first, the raising line last."""
    relation: Relation = ""
    """How the parent holds it: its cause, its context, or a member of its group."""
    group_index: int | None = None
    parent: int | None = None
    """Position of the parent in the same list; the outermost exception is 0 and has none."""
    is_group: bool = False
    notes: tuple[str, ...] = ()
    omitted_frames: int = 0
    """Frames between the first 50 and the last 200, left out of ``frames``."""
    omitted_exceptions: int = 0
    """Its causes, contexts or members that were left out because the list was full."""


class StackFrame(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A frame with its source, as Sentry's frame interface names the fields."""

    function: str
    filename: str | None = None
    abs_path: str | None = None
    module: str | None = None
    lineno: int | None = None
    pre_context: list[str] | None = None
    context_line: str | None = None
    post_context: list[str] | None = None
    in_app: bool | None = None
    vars: LocalVariables | None = None


class ExceptionRecord(msgspec.Struct, frozen=True, gc=False):
    """One exception of a chain or group with readable frames, safe to send once scrubbed."""

    type: str
    value: str
    module: str | None = None
    frames: tuple[StackFrame, ...] = ()
    """Oldest call first. Empty if nothing but text is known."""
    relation: Relation = ""
    group_index: int | None = None
    parent: int | None = None
    is_group: bool = False
    omitted_frames: int = 0
    """Frames left out of ``frames`` between the first 50 and the last 200."""
    omitted_exceptions: int = 0
    """Its causes, contexts or members that were left out because the list was full."""


class Breadcrumb(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Something that happened before an issue. ``timestamp`` is Unix time in seconds."""

    timestamp: float
    category: str
    message: str
    level: Level = "info"
    type: str = "default"
    data: Attributes = {}


class Issue(msgspec.Struct, frozen=True, gc=False):
    """A failure that was decided to be reported once.

    ``exceptions[0]`` is the outermost exception; each later one names its parent by position.
    """

    event_id: str
    """32 hex characters."""
    time_ns: int
    exceptions: tuple[ExceptionRecord, ...]
    is_handled: bool
    mechanism: str
    """How it was seen, as Sentry's mechanism type, e.g. ``auto.otel.span``."""
    span: SpanRecord
    """The innermost span that raised it."""
    local_root: SpanRecord | None
    """The root of its local trace, if that ended already."""
    root_name: str
    """Name of the local root as far as it is known at the decision."""
    span_path: tuple[str, ...] = ()
    """Names of the spans it crossed, outermost first."""
    level: Level = "error"
    tags: dict[str, str] = {}
    fingerprint: tuple[str, ...] = ()
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    is_sampled: bool = True
    """Whether the trace itself is delivered."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, for the bounds of queues."""
        return self.span.size_bytes + FRAME_BYTES * sum(len(e.frames) for e in self.exceptions)
