"""Sentry's error event as typed records.

Field names are the protocol's. Everything optional is left out of the JSON when empty.

Source: Sentry develop docs, "Event Payloads", "Exception Interface", "Message
Interface", "Breadcrumbs Interface".
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from spanbridge.model.failure import Breadcrumb, Level, StackFrame
from spanbridge.model.span import Attributes
from spanbridge.sentry.wire import Meta, Request, SdkInfo, TraceContext, TransactionInfo, User


class ErrorTraceContext(TraceContext, frozen=True, omit_defaults=True, gc=False):
    """``contexts.trace`` of an error: the span that raised it."""

    sampled: bool | None = None


ErrorContexts: TypeAlias = dict[str, Attributes | ErrorTraceContext]


class Errno(msgspec.Struct, frozen=True, gc=False):
    """An error number of the operating system; the server adds its name."""

    number: int


class MechanismMeta(msgspec.Struct, frozen=True, gc=False):
    """``mechanism.meta``: what the operating system says."""

    errno: Errno


class Mechanism(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How an exception was seen. Without ``type`` the server loses the other fields.

    Ids number the exceptions of one event, the outermost is 0; every other names its parent.
    ``source`` is ``__cause__``, ``__context__`` or ``exceptions[n]``.
    """

    type: str
    handled: bool
    exception_id: int | None = None
    parent_id: int | None = None
    source: str | None = None
    is_exception_group: bool | None = None
    data: Attributes = {}
    meta: MechanismMeta | None = None


class StackTrace(msgspec.Struct, frozen=True, gc=False):
    """Frames with the oldest call first; never empty, the server counts that as an error."""

    frames: list[StackFrame]


class ExceptionValue(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One exception; it needs a type or a value. Limits: 256, 8192 and 256 characters."""

    mechanism: Mechanism
    type: str | None = None
    value: str | None = None
    module: str | None = None
    stacktrace: StackTrace | None = None


class ExceptionValues(msgspec.Struct, frozen=True, gc=False):
    """A chain with its groups, from the innermost cause to the outermost exception."""

    values: list[ExceptionValue]


class BreadcrumbValues(msgspec.Struct, frozen=True, gc=False):
    """What happened before, oldest first."""

    values: list[Breadcrumb]


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """What was said, at most 8192 characters. ``formatted`` is shown, ``message`` is grouped by."""

    message: str
    formatted: str


class ErrorEvent(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The payload of an envelope item of type ``event``. ``timestamp`` is Unix time in seconds.

    It has an exception, or at least a ``logentry``.
    """

    event_id: str
    timestamp: float
    platform: Literal["python"]
    level: Level
    contexts: ErrorContexts
    sdk: SdkInfo
    exception: ExceptionValues | None = None
    logentry: LogEntry | None = None
    logger: str | None = None
    transaction: str | None = None
    transaction_info: TransactionInfo | None = None
    release: str | None = None
    environment: str | None = None
    dist: str | None = None
    server_name: str | None = None
    fingerprint: list[str] = []
    tags: dict[str, str] = {}
    user: User | None = None
    request: Request | None = None
    breadcrumbs: BreadcrumbValues | None = None
    modules: dict[str, str] = {}
    meta: Meta = msgspec.field(default_factory=dict, name="_meta")
