"""Sentry's transaction payload and envelope header as typed records.

Field names are the protocol's. Everything optional is left out of the JSON when empty. The
records hold trees, never cycles, so the garbage collector need not track them (``gc=False``).

Source: Sentry develop docs, "Transaction Payloads", "Span Interface", "Envelopes".
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from spanbridge.model.failure import Level
from spanbridge.model.span import Attributes
from spanbridge.model.trace import DynamicSamplingContext

SpanStatusWord: TypeAlias = Literal[
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal_error",
    "unavailable",
    "data_loss",
    "unauthenticated",
]
"""The only words Relay accepts as a span status."""

TransactionSource: TypeAlias = Literal["custom", "url", "route", "view", "component", "task"]

Meta: TypeAlias = "dict[str, Meta | MetaAnnotation]"
"""Mirrors the payload's path; the annotation of a value sits under the empty key."""

Contexts: TypeAlias = "dict[str, Attributes | TraceContext]"


class SdkPackage(msgspec.Struct, frozen=True, gc=False):
    """An installed distribution the SDK consists of."""

    name: str
    version: str


class SdkInfo(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who made the payload. Relay needs name and version both."""

    name: str
    version: str
    packages: tuple[SdkPackage, ...] = ()
    integrations: tuple[str, ...] = ()


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """A finite number with a unit of Sentry's list, or a unit word of the user's own."""

    value: float
    unit: str


class SpanLink(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A link to another span; attributes are raw JSON values on this wire."""

    trace_id: str
    span_id: str
    sampled: bool | None = None
    attributes: Attributes = {}


class TraceContext(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """``contexts.trace``: the root span of a transaction, or the span an error belongs to.

    ``trace_id`` is 32 and ``span_id`` 16 lower-case hex characters.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    op: str | None = None
    status: SpanStatusWord | None = None
    origin: str | None = None
    description: str | None = None
    data: Attributes = {}
    links: list[SpanLink] = []


class ChildSpan(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A span inside a transaction ("v1 span"). Times are Unix time in seconds."""

    trace_id: str
    span_id: str
    start_timestamp: float
    timestamp: float
    parent_span_id: str | None = None
    op: str | None = None
    description: str | None = None
    status: SpanStatusWord | None = None
    origin: str | None = None
    data: Attributes = {}
    tags: dict[str, str] = {}
    measurements: dict[str, Measurement] = {}
    links: list[SpanLink] = []


class TransactionInfo(msgspec.Struct, frozen=True, gc=False):
    """Where the transaction's name comes from."""

    source: TransactionSource


class User(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The user as the application named it. Limits: email 75, the other texts 128 characters."""

    id: str | None = None
    username: str | None = None
    name: str | None = None
    email: str | None = None
    ip_address: str | None = None
    data: Attributes = {}


class Request(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The HTTP request a server span answered. ``url`` carries no query and no user-info."""

    url: str | None = None
    method: str | None = None
    query_string: str | None = None
    headers: dict[str, str] = {}


class MetaAnnotation(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was done to a value: ``rem`` lists ``[rule, type, start, end]``, offsets in the result.

    ``len`` is the original length: characters of a text, entries of a list.
    """

    rem: list[tuple[str, str, int, int] | tuple[str, str]] = []
    len: int | None = None


class Transaction(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    tag_field="type",
    tag="transaction",
):
    """The payload of an envelope item of type ``transaction``."""

    event_id: str
    transaction: str
    transaction_info: TransactionInfo
    start_timestamp: float
    timestamp: float
    contexts: Contexts
    spans: list[ChildSpan]
    sdk: SdkInfo
    platform: Literal["python"]
    release: str | None = None
    environment: str | None = None
    dist: str | None = None
    server_name: str | None = None
    level: Level | None = None
    fingerprint: list[str] = []
    tags: dict[str, str] = {}
    measurements: dict[str, Measurement] = {}
    user: User | None = None
    request: Request | None = None
    meta: Meta = msgspec.field(default_factory=dict, name="_meta")


class EnvelopeHeader(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The first line of an envelope.

    ``sent_at`` is RFC 3339 in UTC; the server corrects clock drift with it. ``trace`` is the
    dynamic sampling context; only the keys that are known appear.
    """

    event_id: str | None = None
    sent_at: str | None = None
    trace: DynamicSamplingContext | None = None
    sdk: SdkInfo | None = None


class Item(msgspec.Struct, frozen=True, gc=False):
    """One item of an envelope: a payload record, or bytes that are encoded already.

    ``item_count`` and ``content_type`` are for containers only.
    """

    type: str
    payload: msgspec.Struct | bytes
    item_count: int | None = None
    content_type: str | None = None
