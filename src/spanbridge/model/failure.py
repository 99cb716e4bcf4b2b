"""An exception, from the moment a span saw it to the issue it may become."""

from __future__ import annotations

from types import CodeType
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from spanbridge.model.span import Attributes, SpanRecord

Relation: TypeAlias = Literal["", "__cause__", "__context__", "exceptions"]
Level: TypeAlias = Literal["fatal", "error", "warning", "info", "debug"]
LocalValue: TypeAlias = "str | list[LocalValue] | dict[str, LocalValue]"
"""A text, or a container of texts."""
LocalVariables: TypeAlias = dict[str, LocalValue]
"""The variables of a frame by name, in the shape Sentry's SDK gives them."""

MAX_EXCEPTIONS: Final = 50
"""Exceptions kept of one chain with its groups, outermost first."""
FIRST_FRAMES: Final = 50
"""Frames kept from the start of a long traceback, as Sentry's server keeps them."""
LAST_FRAMES: Final = 200
"""Frames kept from the end of a long traceback."""


FRAME_BYTES: Final = 2048
"""What a frame with its source and local variables takes, about."""
BREADCRUMB_BYTES: Final = 512
"""What a breadcrumb takes, about."""


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
    errno: int | None = None
    """The error number of the operating system, if it has one."""


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
    errno: int | None = None
    """The error number of the operating system, if it has one."""


class Breadcrumb(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Something that happened before an issue. ``timestamp`` is Unix time in seconds."""

    timestamp: float
    category: str
    message: str
    level: Level = "info"
    type: str = "default"
    data: Attributes = {}
    keeps_content_back: bool = False
    """Whether its span says that prompts, answers and literals stay, wherever they may leave."""


class FeatureFlag(msgspec.Struct, frozen=True, gc=False):
    """A feature flag as it was last evaluated before an issue."""

    flag: str
    result: bool | str | int | float


class Annotations(msgspec.Struct, frozen=True, gc=False):
    """What an application says of a failure otherwise than by a span.

    ``None`` or empty where it says nothing.
    """

    level: Level | None = None
    fingerprint: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    user: Attributes = {}
    """``user.*`` attributes."""
    contexts: dict[str, Attributes] = {}
    flags: tuple[FeatureFlag, ...] = ()
    breadcrumbs: tuple[Breadcrumb, ...] = ()

    def beside(self, earlier: Annotations | None) -> Annotations:
        """Both together; what was said first, nearer to the failure, wins."""
        if earlier is None:
            return self
        return Annotations(
            level=earlier.level or self.level,
            fingerprint=earlier.fingerprint or self.fingerprint,
            tags={**self.tags, **earlier.tags},
            user=earlier.user or self.user,
            contexts={**self.contexts, **earlier.contexts},
            flags=self.flags or earlier.flags,
            breadcrumbs=max(self.breadcrumbs, earlier.breadcrumbs, key=len),
        )


class Issue(msgspec.Struct, frozen=True, gc=False):
    """A failure that was decided to be reported once.

    ``exceptions[0]`` is the outermost exception; each later one names its parent by position.
    Without any it is a message: something that is wrong though nothing was raised.
    """

    event_id: str
    """32 hex characters."""
    time_ns: int
    exceptions: tuple[ExceptionRecord, ...]
    is_handled: bool
    mechanism: str
    """How it was seen, as Sentry's mechanism type, e.g. ``auto.otel.span``."""
    trace_id: str
    """32 hex characters."""
    span_id: str
    """16 hex characters: the innermost span that raised it, known to us or not."""
    span: SpanRecord | None
    """That span. ``None`` if it happened outside of all spans we know."""
    local_root: SpanRecord | None
    """The root of its local trace, as far as it is known."""
    root_name: str
    """Name of the local root as far as it is known at the decision; empty without a span."""
    message: str = ""
    """What it says if there is no exception, or what was logged beside one."""
    template: str = ""
    """``message`` before its parameters were filled in, if it has any."""
    logger: str = ""
    """The logger that told of it."""
    span_path: tuple[str, ...] = ()
    """Names of the spans it crossed, outermost first."""
    level: Level = "error"
    tags: dict[str, str] = {}
    contexts: dict[str, Attributes] = {}
    """What it has to do with, by subject: ``agent``, ``consensus``, ``validation``, ``monitor``."""
    flags: tuple[FeatureFlag, ...] = ()
    """Feature flags evaluated in its trace, each as it was last, oldest evaluation first."""
    fingerprint: tuple[str, ...] = ()
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    """What happened before in its local trace, oldest first."""
    is_sampled: bool = True
    """Whether the trace itself is delivered."""
    user: Attributes = {}
    """``user.*`` attributes that were said of the failure itself; its spans may have others."""
    is_redacted: bool = False
    """Whether the privacy policy cut something out of it."""

    def annotated(self, said: Annotations) -> Issue:
        """The issue with what the application attached to it, which wins over what we inferred."""
        crumbs = sorted((*self.breadcrumbs, *said.breadcrumbs), key=lambda crumb: crumb.timestamp)
        return msgspec.structs.replace(
            self,
            level=said.level or self.level,
            fingerprint=said.fingerprint or self.fingerprint,
            tags={**self.tags, **said.tags},
            user=said.user or self.user,
            contexts={**said.contexts, **self.contexts},
            flags=(
                *(f for f in said.flags if f.flag not in {g.flag for g in self.flags}),
                *self.flags,
            ),
            breadcrumbs=tuple(crumbs),
        )

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, for the bounds of queues."""
        span_bytes = self.span.size_bytes if self.span is not None else 0
        return (
            span_bytes
            + FRAME_BYTES * sum(len(e.frames) for e in self.exceptions)
            + BREADCRUMB_BYTES * len(self.breadcrumbs)
        )
