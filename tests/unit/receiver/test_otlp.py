"""OTLP requests: encode, store, read back; and what breaks the data model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from google.rpc import status_pb2  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanbridge.model.span import SpanEvent, SpanLink
from spanbridge.receiver.intake import Answer, Intake, Request
from spanbridge.receiver.otlp import JSON, PROTOBUF, OtlpSignal
from spanbridge.receiver.records import ReceiverLimits
from spanbridge.receiver.store import Store

TRACE_ID = bytes.fromhex("0123456789abcdef0123456789abcdef")
SPAN_ID = bytes.fromhex("0123456789abcdef")
PARENT_ID = bytes.fromhex("fedcba9876543210")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:", stored_bytes=10_000_000)
    yield opened
    opened.close()


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store, ReceiverLimits())


def _span(**changes: object) -> Span:
    now_ns = time.time_ns()
    fields: dict[str, object] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "parent_span_id": PARENT_ID,
        "name": "consensus",
        "kind": Span.SPAN_KIND_CLIENT,
        "start_time_unix_nano": now_ns - 2_000,
        "end_time_unix_nano": now_ns - 1_000,
    }
    return Span(**{**fields, **changes})  # type: ignore[arg-type]


def _request(*spans: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(schema_url="https://schema/resource")
    resource_spans.resource.attributes.append(_text("service.name", "shop"))
    scope_spans = resource_spans.scope_spans.add(schema_url="https://schema/scope")
    scope_spans.scope.name = "agents"
    scope_spans.scope.version = "1.0"
    scope_spans.spans.extend(spans)
    return request


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _take(
    intake: Intake,
    body: bytes,
    content_type: str = PROTOBUF,
    signal: OtlpSignal = "traces",
    project_id: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    request = Request({"content-type": content_type, **(headers or {})}, {}, body, project_id)
    return intake.take_otlp(signal, request)


def test_a_span_is_read_back_with_every_field(intake: Intake, store: Store) -> None:
    span = _span(trace_state="ot=rv:1", flags=0x301, dropped_attributes_count=1)
    span.dropped_events_count, span.dropped_links_count = 2, 3
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "no quorum"
    values = ArrayValue(values=[AnyValue(int_value=1), AnyValue(double_value=0.5)])
    nested = KeyValueList(values=[_text("k", "v")])
    span.attributes.extend(
        [
            _text("text", "ü"),
            KeyValue(key="flag", value=AnyValue(bool_value=False)),
            KeyValue(key="count", value=AnyValue(int_value=-(2**63))),
            KeyValue(key="bytes", value=AnyValue(bytes_value=b"\xff")),
            KeyValue(key="list", value=AnyValue(array_value=values)),
            KeyValue(key="map", value=AnyValue(kvlist_value=nested)),
            KeyValue(key="nothing"),
        ]
    )
    span.events.add(name="vote", time_unix_nano=7, attributes=[_text("by", "legal")])
    span.links.add(trace_id=TRACE_ID, span_id=PARENT_ID, flags=1, trace_state="a=b")

    answer = _take(intake, _request(span).SerializeToString())

    assert answer.status == 200
    assert ExportTraceServiceResponse.FromString(answer.body) == ExportTraceServiceResponse()
    [stored] = store.spans()
    assert stored.violations == ()
    assert (stored.trace_id, stored.span_id) == (TRACE_ID.hex(), SPAN_ID.hex())
    assert stored.parent_span_id == PARENT_ID.hex()
    assert (stored.name, stored.kind) == ("consensus", "client")
    assert (stored.status, stored.status_message) == ("error", "no quorum")
    assert (stored.start_ns, stored.end_ns) == (
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )
    assert stored.attributes == {
        "text": "ü",
        "flag": False,
        "count": -(2**63),
        "bytes": b"\xff",
        "list": [1, 0.5],
        "map": {"k": "v"},
        "nothing": None,
    }
    assert stored.events == (SpanEvent("vote", 7, {"by": "legal"}),)
    assert stored.links == (SpanLink(TRACE_ID.hex(), PARENT_ID.hex(), True, {}, "a=b"),)
    assert stored.resource.attributes == {"service.name": "shop"}
    assert stored.resource.schema_url == "https://schema/resource"
    assert (stored.scope.name, stored.scope.version) == ("agents", "1.0")
    assert stored.scope.schema_url == "https://schema/scope"
    assert (stored.trace_state, stored.flags) == ("ot=rv:1", 0x301)
    assert (stored.dropped_attributes, stored.dropped_events, stored.dropped_links) == (1, 2, 3)


def test_json_gives_the_same_spans_as_protobuf(intake: Intake, store: Store) -> None:
    now_ns = time.time_ns()
    span = {
        "traceId": TRACE_ID.hex().upper(),
        "spanId": SPAN_ID.hex(),
        "name": "consensus",
        "kind": 3,
        "startTimeUnixNano": str(now_ns - 5),
        "endTimeUnixNano": str(now_ns),
        "attributes": [{"key": "traceId", "value": {"stringValue": "not an id"}}],
        "unknownField": 1,
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()

    answer = _take(intake, body, f"{JSON}; charset=utf-8")

    assert (answer.status, answer.body, answer.content_type) == (200, b"{}", JSON)
    [stored] = store.spans()
    assert (stored.trace_id, stored.kind, stored.start_ns) == (TRACE_ID.hex(), "client", now_ns - 5)
    assert stored.attributes == {"traceId": "not an id"}
    assert stored.parent_span_id is None
    assert store.violations() == []


def _break_attributes(span: Span) -> None:
    span.attributes.extend([_text("k", "a"), _text("k", "b")])


def _break_link(span: Span) -> None:
    span.links.add(trace_id=b"", span_id=SPAN_ID)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda span: setattr(span, "trace_id", bytes(16)), "otlp_span.trace_id"),
        (lambda span: setattr(span, "span_id", b"\x01" * 7), "otlp_span.span_id"),
        (lambda span: setattr(span, "parent_span_id", b"\x01"), "otlp_span.parent_span_id"),
        (lambda span: setattr(span, "parent_span_id", SPAN_ID), "otlp_span.parent_span_id"),
        (lambda span: setattr(span, "name", ""), "otlp_span.name"),
        (lambda span: setattr(span, "end_time_unix_nano", 0), "otlp_span.time"),
        (lambda span: setattr(span, "end_time_unix_nano", 2**63), "otlp_span.time"),
        (
            lambda span: setattr(span, "start_time_unix_nano", span.end_time_unix_nano + 1),
            "otlp_span.times",
        ),
        (_break_attributes, "otlp_span.attribute_key"),
        (_break_link, "otlp_span.links"),
    ],
)
def test_a_broken_span_is_stored_with_its_violation(
    intake: Intake, store: Store, change: Callable[[Span], object], rule: str
) -> None:
    span = _span()
    change(span)

    assert _take(intake, _request(span).SerializeToString()).status == 200
    [stored] = store.spans()
    assert rule in {violation.rule for violation in stored.violations}
    assert rule in {violation.rule for violation in store.violations()}


def test_a_span_twice_in_one_request_is_found(intake: Intake, store: Store) -> None:
    _take(intake, _request(_span(), _span()).SerializeToString())

    assert [violation.rule for violation in store.violations()] == ["otlp_span.duplicate"]


def test_logs_are_stored_as_a_whole_request(intake: Intake, store: Store) -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.string_value = "hello"

    assert _take(intake, request.SerializeToString(), signal="logs").status == 200
    [item] = store.items("otlp_logs")
    [resource_logs] = item.payload["resourceLogs"]
    assert resource_logs["scopeLogs"][0]["logRecords"][0]["body"] == {"stringValue": "hello"}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b'{"resourceSpans": 3}', JSON, 400),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}', JSON, 400),
        (b"", "text/plain", 415),
    ],
)
def test_a_damaged_request_is_refused_with_a_status_message(
    intake: Intake, store: Store, body: bytes, content_type: str, status: int
) -> None:
    answer = _take(intake, body, content_type)

    assert answer.status == status
    if answer.content_type == PROTOBUF:
        assert status_pb2.Status.FromString(answer.body).message
    else:
        assert json.loads(answer.body)["message"]
    assert [violation.kind for violation in store.violations()] == ["request"]


def test_sentrys_own_otlp_path_needs_a_key(intake: Intake, store: Store) -> None:
    body = _request(_span()).SerializeToString()

    assert _take(intake, body, project_id="42").status == 401
    header = {"x-sentry-auth": f"sentry sentry_key={'a' * 32}"}
    assert _take(intake, body, project_id="42", headers=header).status == 200
    assert [span.auth_key for span in store.spans()] == ["a" * 32]
