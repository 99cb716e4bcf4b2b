"""OTLP over HTTP, by OpenTelemetry's own exporter."""

from __future__ import annotations

# The HTTP client imports these two when it sends for the first time; see `OtlpDestination`.
import encodings.idna  # noqa: F401
import logging
import netrc  # noqa: F401
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import trace_exporter as otlp_trace_exporter
from opentelemetry.sdk.resources import Resource as OtelResource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from spanbridge.destinations.otlp_weight import with_own_threshold
from spanbridge.destinations.outbox import NotDeliveredError
from spanbridge.destinations.shape import Finished
from spanbridge.destinations.stream import StreamDestination
from spanbridge.model.outcome import Signal
from spanbridge.model.span import Resource, Scope, SpanLink, SpanRecord
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.settings import OtlpOptions

_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_STATUSES: Final = {code.name.lower(): code for code in StatusCode}


class OtlpDestination(StreamDestination[SpanRecord]):
    """Sends spans to an OTLP endpoint.

    The exporter gets spans rebuilt from our scrubbed records by their public constructor, never
    the SDK's own objects, so nothing passes by the privacy policy. It is called straight from our
    queue: OpenTelemetry's batch processor drops without counting and ignores deadlines.
    """

    def __init__(self, options: OtlpOptions, policy: PrivacyPolicy) -> None:
        super().__init__(options, policy)
        self._options = options
        # Made here and not on the sending thread: it imports its HTTP client, and a fork in the
        # middle of an import leaves the child with a lock that nobody releases.
        self._exporter: SpanExporter | None = _make_exporter(options)
        self._is_retrying = False

    @property
    def address(self) -> str:
        """Where it sends to."""
        return self._options.endpoint

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Queue finished spans."""
        self.ledger.accept(Signal.SPAN, len(batch))
        name, rate = self.name, self._sample_rate
        self._outbox.put([with_own_threshold(span, local, name, rate) for local, span in batch])

    def after_fork(self) -> None:
        """A fresh exporter, since the parent's connection is shared."""
        super().after_fork()
        self._exporter = None

    def _send(self, items: Sequence[SpanRecord]) -> None:
        if self._exporter is None:
            self._exporter = _make_exporter(self._options)
        self._is_retrying = False
        with _OVERHEARD.by(self._hear):
            result = self._exporter.export([rebuild_span(record) for record in items])
        if result is not SpanExportResult.SUCCESS:
            raise NotDeliveredError("export failed", f"{self.address}: {self._last_error}")
        self._is_retrying = False

    def _hear(self, words: str) -> None:
        """The exporter met trouble and tries again, for up to ten seconds: say so at once."""
        if not self._is_retrying:
            self._last_error = words
            self._is_retrying = True
            GUARD.report(f"{self.name}: export failed", f"{self.address}: {words}")

    def _is_hopeless(self) -> bool:
        return self._is_retrying

    def _interrupt(self) -> None:
        if self._exporter is not None:
            self._exporter.shutdown()

    def _counts(self, items: Sequence[SpanRecord]) -> dict[Signal, int]:
        return {Signal.SPAN: len(items)}


def _make_exporter(options: OtlpOptions) -> SpanExporter:
    return otlp_trace_exporter.OTLPSpanExporter(
        endpoint=options.endpoint,
        headers={name: value.reveal() for name, value in options.headers},
        timeout=options.timeout_s,
        certificate_file=options.certificate_file,
        client_certificate_file=options.client_certificate_file,
        client_key_file=options.client_key_file,
        compression=Compression(options.compression),
    )


class _Overheard(threading.local):
    """What the exporter logs on this thread while we call it.

    It writes a line for every retry of every batch. We write one line per cause and minute, and
    take its words as the detail. Other threads' use of the same exporter is not touched.
    """

    listener: Callable[[str], None] | None = None

    @contextmanager
    def by(self, listener: Callable[[str], None]) -> Iterator[None]:
        self.listener = listener
        try:
            yield
        finally:
            self.listener = None

    def filter(self, record: logging.LogRecord) -> bool:
        if self.listener is None:
            return True
        self.listener(record.getMessage())
        return False


_OVERHEARD: Final = _Overheard()
logging.getLogger(otlp_trace_exporter.__name__).addFilter(_OVERHEARD.filter)


def rebuild_span(record: SpanRecord) -> ReadableSpan:
    """The record as the SDK's span, for exporters that read nothing else."""
    return ReadableSpan(
        name=_valid_utf8(record.name),
        context=_context(record.trace_id, record.span_id, record.is_sampled, record.trace_state),
        parent=_context(
            record.trace_id, record.parent_span_id, record.is_sampled, "", record.is_local_root
        )
        if record.parent_span_id
        else None,
        resource=_resource(record.resource),
        attributes=record.attributes,
        events=[
            Event(_valid_utf8(event.name), event.attributes, event.time_ns)
            for event in record.events
        ],
        links=[_link(link) for link in record.links],
        kind=_KINDS[record.kind],
        status=Status(
            _STATUSES[record.status],
            _valid_utf8(record.status_message)
            if record.status_message and record.status == "error"
            else None,
        ),
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=_scope(record.scope),
    )


def _context(
    trace_id: str, span_id: str, is_sampled: bool, trace_state: str, is_remote: bool = False
) -> SpanContext:
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([trace_state]) if trace_state else None,
    )


def _link(link: SpanLink) -> Link:
    context = _context(link.trace_id, link.span_id, link.is_sampled, link.trace_state)
    return Link(context, link.attributes)


def _scope(scope: Scope) -> InstrumentationScope:
    known = _scopes.get(id(scope))
    if known is None or known[0] is not scope:
        if len(_scopes) >= 512:
            _scopes.clear()
        known = (
            scope,
            InstrumentationScope(scope.name, scope.version, scope.schema_url, scope.attributes),
        )
        _scopes[id(scope)] = known
    return known[1]


def _resource(resource: Resource) -> OtelResource:
    known = _resources.get(id(resource))
    if known is None or known[0] is not resource:
        if len(_resources) >= 64:
            _resources.clear()
        known = (resource, OtelResource(resource.attributes, resource.schema_url))
        _resources[id(resource)] = known
    return known[1]


# One object per scope and resource: the encoder groups spans by them.
_scopes: dict[int, tuple[Scope, InstrumentationScope]] = {}
_resources: dict[int, tuple[Resource, OtelResource]] = {}


def _valid_utf8(text: str) -> str:
    # A lone surrogate in a name or status description makes the encoder lose the whole batch.
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
