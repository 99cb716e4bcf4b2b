"""Take one request's body: decompress, parse, check, store, answer. No sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from google.protobuf.message import Message
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanbridge.receiver.auth import RefusedError, key_of_envelope, key_of_request, require_project
from spanbridge.receiver.checks import (
    check_envelope,
    check_item,
    find_excess,
    trace_ids_of_item,
)
from spanbridge.receiver.checks.otlp import check_otlp_span
from spanbridge.receiver.checks.repetition import SentSpan, check_repeats, sent_spans
from spanbridge.receiver.decompress import (
    BodyTooLargeError,
    DamagedBodyError,
    UnsupportedEncodingError,
    decompress,
)
from spanbridge.receiver.envelope import (
    Envelope,
    MalformedEnvelopeError,
    parse_envelope,
)
from spanbridge.receiver.otlp import (
    JSON,
    PROTOBUF,
    DamagedOtlpError,
    OtlpSignal,
    SpanGroup,
    SpanRow,
    failure_body,
    read_request,
    scope_contexts,
    success_body,
)
from spanbridge.receiver.records import ReceiverLimits, Violation
from spanbridge.receiver.store import SPAN_KIND, ItemRow, Store

_REQUEST_KIND = "request"
_NS_PER_S = 1_000_000_000
_SHOWN_PATH_CHARS = 200


class Request(msgspec.Struct, frozen=True):
    """What matters of an HTTP request. Header names are lower-case."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    project_id: str | None = None
    """From the path; ``None`` for plain OTLP."""
    is_acknowledged: bool = True
    """Whether the sender will learn that it was taken; if not, it may rightly send it again."""

    @property
    def content_encoding(self) -> str:
        """As the sender wrote it; ``"identity"`` if it wrote none."""
        return self.headers.get("content-encoding", "") or "identity"

    @property
    def content_type(self) -> str:
        """Without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON


class Intake:
    """Takes requests into a store.

    Args:
        store: Where items go.
        limits: Sizes above which a request is refused.
        clock: Unix time in seconds; replaced in tests.
    """

    def __init__(
        self, store: Store, limits: ReceiverLimits, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock

    def take_envelope(self, request: Request) -> Answer:
        """Take a request to Sentry's envelope endpoint.

        What breaks a rule is stored with its violations and answered with 200, as Relay does
        before it processes an item; what Relay's endpoint refuses is refused.
        """
        now = self._clock()
        try:
            project_id = request.project_id or ""
            require_project(project_id)
            request_key = key_of_request(request.headers, request.query)
            envelope = self._parse_envelope(request)
            auth_key = key_of_envelope(request_key, project_id, envelope.header.get("dsn"))
            if (excess := find_excess(envelope)) is not None:
                raise RefusedError(413, excess.rule, f"{excess.where}: {excess.message}")
        except RefusedError as refusal:
            self._store_refusal(refusal, now)
            return Answer(refusal.status, msgspec.json.encode({"detail": refusal.message}))
        self._store_envelope(envelope, auth_key, project_id, request, now)
        event_id = envelope.header.get("event_id")
        answer = {} if event_id is None else {"id": event_id.replace("-", "")}
        return Answer(200, msgspec.json.encode(answer))

    def take_otlp(self, signal: OtlpSignal, request: Request) -> Answer:
        """Take an OTLP export; with a project id, as Sentry's OTLP endpoint does."""
        now = self._clock()
        content_type = request.content_type
        try:
            if content_type not in (PROTOBUF, JSON):
                content_type = PROTOBUF
                raise RefusedError(
                    415, "otlp.content_type", f"{request.content_type!r} is not supported"
                )
            auth_key = self._otlp_key(request)
            self._store_otlp(signal, request, content_type, auth_key, now)
        except RefusedError as refusal:
            self._store_refusal(refusal, now)
            return Answer(refusal.status, failure_body(refusal.message, content_type), content_type)
        return Answer(200, success_body(signal, content_type), content_type)

    def refuse_size(self) -> Answer:
        """Refuse a body that is too large to be read."""
        refusal = RefusedError(
            413, "limit.body_bytes", f"the body is larger than {self._limits.body_bytes} bytes"
        )
        self._store_refusal(refusal, self._clock())
        return Answer(413, msgspec.json.encode({"detail": refusal.message}))

    def refuse_path(self, status: int, method: str, path: str) -> Answer:
        """Refuse what is sent to where nobody takes it.

        Args:
            status: 404, or 405 if the path is taken with another method.
            method: The request's method.
            path: The request's path.
        """
        refusal = RefusedError(
            status, "http.path", f"nobody takes {method} {path[:_SHOWN_PATH_CHARS]}"
        )
        self._store_refusal(refusal, self._clock())
        return Answer(status, msgspec.json.encode({"detail": refusal.message}))

    def _parse_envelope(self, request: Request) -> Envelope:
        body = self._plain_body(request)
        if not body:
            raise RefusedError(400, "envelope.empty", "empty request body")
        try:
            return parse_envelope(body)
        except MalformedEnvelopeError as error:
            raise RefusedError(400, error.violation.rule, str(error)) from error

    def _plain_body(self, request: Request) -> bytes:
        try:
            return decompress(
                request.body, request.content_encoding, self._limits.decompressed_bytes
            )
        except UnsupportedEncodingError as error:
            raise RefusedError(415, "http.content_encoding", str(error)) from error
        except DamagedBodyError as error:
            raise RefusedError(400, "http.content_encoding", str(error)) from error
        except BodyTooLargeError as error:
            raise RefusedError(413, "limit.decompressed_bytes", str(error)) from error

    def _store_envelope(
        self, envelope: Envelope, auth_key: str, project_id: str, request: Request, now: float
    ) -> None:
        of_envelope = check_envelope(envelope)
        rows = [
            ItemRow(
                kind=item.kind,
                header=item.header,
                body=item.body,
                envelope_header=envelope.header,
                auth_key=auth_key,
                project_id=project_id,
                content_encoding=request.content_encoding,
                violations=(of_envelope if index == 0 else ())
                + check_item(item, envelope.header, now)
                + self._check_repeats(item.kind, sent_spans(item), project_id, request),
                received_at=now,
                trace_ids=trace_ids_of_item(item),
            )
            for index, item in enumerate(envelope.items)
        ]
        if not rows:
            for violation in of_envelope:
                self._store.add_violation("envelope", violation, now)
        self._store.add_items(rows)

    def _check_repeats(
        self, kind: str, spans: Sequence[SentSpan], project_id: str, request: Request
    ) -> tuple[Violation, ...]:
        if not request.is_acknowledged or not spans:
            return ()
        return tuple(check_repeats(kind, self._store.remember_sent(project_id, kind, spans)))

    def _otlp_key(self, request: Request) -> str | None:
        key = key_of_request(request.headers, request.query)
        if request.project_id is not None:
            require_project(request.project_id)
            if key is None:
                raise RefusedError(401, "auth.missing", "missing authorization information")
        return key

    def _store_otlp(
        self,
        signal: OtlpSignal,
        request: Request,
        content_type: str,
        auth_key: str | None,
        now: float,
    ) -> None:
        try:
            message = read_request(signal, self._plain_body(request), content_type)
        except DamagedOtlpError as error:
            raise RefusedError(400, "otlp.body", str(error)) from error
        if signal == "traces":
            self._store.add_spans(self._span_groups(message, request, now), auth_key)
            return
        row = ItemRow(
            kind=f"otlp_{signal}",
            header={"content_type": content_type},
            body=message.SerializeToString(),
            envelope_header={},
            auth_key=auth_key,
            project_id=request.project_id,
            content_encoding=request.content_encoding,
            violations=(),
            received_at=now,
        )
        self._store.add_items([row])

    def _span_groups(self, message: Message, request: Request, now: float) -> list[SpanGroup]:
        seen: set[SentSpan] = set()
        return [
            SpanGroup(context, tuple(self._span_row(span, seen, request, now) for span in spans))
            for context, spans in scope_contexts(message)
        ]

    def _span_row(self, span: Span, seen: set[SentSpan], request: Request, now: float) -> SpanRow:
        violations = check_otlp_span(span, int(now * _NS_PER_S))
        sent = SentSpan(span.trace_id.hex(), span.span_id.hex(), "span_id")
        if sent in seen:
            violations += (
                Violation("otlp_span.duplicate", "span_id", f"{sent.span_id} is sent twice"),
            )
        elif sent.trace_id and sent.span_id:
            # A backend without projects is one for all.
            violations += self._check_repeats(SPAN_KIND, [sent], request.project_id or "", request)
        seen.add(sent)
        return SpanRow(
            body=span.SerializeToString(),
            trace_id=sent.trace_id,
            span_id=sent.span_id,
            violations=violations,
            received_at=now,
        )

    def _store_refusal(self, refusal: RefusedError, now: float) -> None:
        violation = Violation(refusal.rule, "request", f"{refusal.status}: {refusal.message}")
        self._store.add_violation(_REQUEST_KIND, violation, now)
