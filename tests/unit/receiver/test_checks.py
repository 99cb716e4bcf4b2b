"""Every rule: what is valid passes, and each way to break it is found under its name."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from sentry_kafka_schemas import get_codec
from sentry_kafka_schemas.codecs import ValidationError

from spanbridge.receiver.checks import find_excess
from spanbridge.receiver.envelope import parse_envelope
from tests.unit.receiver.envelopes import (
    CONTENT_TYPES,
    PAYLOADS,
    ROOT_ID,
    TRACE_ID,
    Change,
    Payload,
    encode,
    envelope_header,
    envelope_of,
    item_header,
    rules,
)

OTHER_TRACE = "f" * 32
MIB = 1024 * 1024


def _set(*path: str | int, to: Any) -> Change:
    def change(payload: Payload) -> None:
        holder: Any = payload
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = to

    return change


def _set_after_the_end(*path: str | int) -> Change:
    """A time after that of the end, known only when the test runs."""
    return lambda payload: _set(*path, to=time.time() + 50)(payload)


def _without(*path: str | int) -> Change:
    def change(payload: Payload) -> None:
        holder: Any = payload
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]

    return change


def _string(value: str) -> Payload:
    return {"type": "string", "value": value}


def _segment_of_another(payload: Payload) -> None:
    payload["items"][0] |= {"is_segment": True}
    payload["items"][0]["attributes"]["sentry.segment.id"] = _string("5" * 16)


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_a_valid_item_breaks_no_rule(kind: str) -> None:
    assert rules(envelope_of(kind)) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_set("type", to="event"), "transaction.type"),
        (_without("transaction"), "transaction.name"),
        (_set("transaction", to="x" * 201), "event.transaction"),
        (_set("transaction_info", "source", to="path"), "transaction.source"),
        (_without("transaction_info"), "transaction.source"),
        (_without("start_timestamp"), "transaction.start_timestamp"),
        (_without("timestamp"), "transaction.timestamp"),
        (_set_after_the_end("start_timestamp"), "transaction.times"),
        (_set("timestamp", to=time.time() + 3600), "transaction.timestamp"),
        (_set("start_timestamp", to=1_600_000_000), "transaction.start_timestamp"),
        (_set("start_timestamp", to=str(time.time())), "transaction.start_timestamp"),
        (_set("timestamp", to=int(time.time() * 1000)), "transaction.timestamp"),
        (_without("contexts", "trace"), "transaction.trace_context"),
        (_set("contexts", "trace", "trace_id", to="0" * 32), "trace_context.trace_id"),
        (_set("contexts", "trace", "trace_id", to=TRACE_ID.upper()), "trace_context.trace_id"),
        (_set("contexts", "trace", "span_id", to="12"), "trace_context.span_id"),
        (_set("contexts", "trace", "parent_span_id", to="0" * 16), "trace_context.parent_span_id"),
        (_set("contexts", "trace", "parent_span_id", to=ROOT_ID), "trace_context.parent_span_id"),
        (_set("contexts", "trace", "status", to="error"), "trace_context.status"),
        (_set("contexts", "trace", "op", to="x" * 129), "trace_context.op"),
        (_set("contexts", "trace", "origin", to="auto.http-x"), "trace_context.origin"),
        (_set("contexts", "otel", to={"k": "v" * 9000}), "event.context_size"),
        (_set("spans", to={}), "transaction.spans"),
        (_set("spans", 0, to=None), "span.shape"),
        (_set("spans", 0, "span_id", to="2" * 15), "span.span_id"),
        (_without("spans", 0, "span_id"), "span.span_id"),
        (_set("spans", 0, "span_id", to="3" * 16), "span.duplicate"),
        (_set("spans", 0, "span_id", to=ROOT_ID), "span.duplicate"),
        (_set("spans", 0, "trace_id", to=OTHER_TRACE), "span.trace_id"),
        (_set("spans", 1, "parent_span_id", to="x"), "span.parent_span_id"),
        (_without("spans", 1, "timestamp"), "span.timestamp"),
        (_set_after_the_end("spans", 1, "start_timestamp"), "span.times"),
        (_set("spans", 1, "status", to="canceled"), "span.status"),
        (_set("spans", 1, "op", to=None), "span.op"),
        (_set("spans", 1, "origin", to="a/b"), "span.origin"),
        (_set("spans", 1, "description", to=3), "span.description"),
        (_set("spans", 1, "data", to=[]), "span.data"),
        (_set("spans", 1, "tags", to=[]), "span.tags"),
        (_set("spans", 1, "hash", to="x"), "span.unknown_field"),
        (_set("spans", 0, "links", 0, "span_id", to=""), "span.links.span_id"),
        (_set("spans", 0, "links", to=[1]), "span.links"),
        (_set("spans", 1, "measurements", to={"a": 1}), "measurement.shape"),
        (_set("measurements", "Agreement", to={"value": 1}), "measurement.name"),
        (_set("measurements", "agreement", "value", to="1"), "measurement.value"),
        (_set("measurements", "agreement", "unit", to=""), "measurement.unit"),
        (_set("tags", "a b", to="x"), "event.tag_key"),
        (_set("tags", "user", to="x"), "event.tag_key"),
        (_set("tags", "ratio", to=2.7), "event.tag_value"),
        (_set("tags", "ratio", to=""), "event.tag_value"),
        (_set("tags", "ratio", to="a\nb"), "event.tag_value"),
        (_set("tags", to=[]), "event.tags"),
        (_set("release", to="org/app@1"), "event.release"),
        (_set("release", to="latest"), "event.release"),
        (_set("environment", to="none"), "event.environment"),
        (_set("environment", to="a/b"), "event.environment"),
        (_set("sdk", to={"name": "x"}), "event.sdk"),
        (_set("hello", to=1), "event.unknown_field"),
        (_set("event_id", to="x"), "event.event_id"),
        (_set("event_id", to="0" * 32), "event.event_id"),
    ],
)
def test_a_broken_transaction_is_found(change: Change, rule: str) -> None:
    assert rule in rules(envelope_of("transaction", change))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_set("level", to="warn"), "event.level"),
        (_set("timestamp", to="yesterday"), "event.timestamp"),
        (_set("fingerprint", to=[1]), "event.fingerprint"),
        (_set("logger", to="x" * 65), "event.logger"),
        (_set("exception", to={"values": []}), "exception.values"),
        (_set("exception", "values", 0, to={"module": "m"}), "exception.type"),
        (_set("exception", "values", 0, "type", to="T" * 257), "exception.type"),
        (_set("exception", "values", 0, "value", to=7), "exception.value"),
        (_without("exception", "values", 1, "mechanism", "type"), "exception.mechanism"),
        (_set("exception", "values", 0, "mechanism", "exception_id", to=0), "exception.id"),
        (_set("exception", "values", 0, "mechanism", "parent_id", to=9), "exception.id"),
        (_set("exception", "values", 1, "mechanism", "exception_id", to=2), "exception.id"),
        (_set("exception", "values", 0, "stacktrace", "frames", to=[]), "exception.frames"),
        (_set("exception", "values", 0, "stacktrace", "frames", 0, to={}), "exception.frame"),
        (
            _set("exception", "values", 0, "stacktrace", "frames", 0, "lineno", to="3"),
            "exception.frame",
        ),
        (_set("breadcrumbs", "values", 0, "timestamp", to=None), "event.breadcrumbs"),
        (_set("breadcrumbs", "values", 0, "level", to="loud"), "event.breadcrumbs"),
        (_set("breadcrumbs", "values", 0, "message", to="x" * 8193), "event.breadcrumbs"),
        (_set("breadcrumbs", "values", 0, "category", to="x" * 129), "event.breadcrumbs"),
        (_set("breadcrumbs", "values", 0, "data", to={"x": "y" * 3000}), "event.breadcrumbs"),
        (_set("logentry", to={}), "event.logentry"),
        (_set("logentry", to={"message": "x" * 8193}), "event.logentry"),
        (_set("logger", to="a\nb"), "event.logger"),
        (_set("contexts", "agent", to={"x": "y" * 9000}), "event.context_size"),
        (_set("contexts", "flags", to={"x": "y" * 9000}), "event.flags"),
        (_set("contexts", "flags", to={"values": [{"flag": "a"}]}), "event.flags"),
        (_set("contexts", "flags", to={"values": [{"flag": "ä", "result": 1}]}), "event.flags"),
        (_set("contexts", "flags", to={"values": [{"flag": "a", "result": "\n"}]}), "event.flags"),
        (
            _set("contexts", "flags", to={"values": [{"flag": "a", "result": "x" * 66_000}]}),
            "event.context_size",
        ),
        (_set("contexts", "trace", "trace_id", to=OTHER_TRACE), "dsc.trace_id"),
        (_set("contexts", "device", to={"battery_level": "high"}), "event.context_field"),
        (_set("contexts", "device", to={"simulator": "x"}), "event.context_field"),
        (_set("contexts", "app", to={"app_memory": -1}), "event.context_field"),
        (_set("contexts", "browser", to={"name": 3}), "event.context_field"),
        (_set("contexts", "replay", to={"replay_id": "nope"}), "event.context_field"),
        (_set("contexts", "order", to={"type": "os", "rooted": "x"}), "event.context_field"),
        (_set("server_name", to=5), "event.server_name"),
        (_set("user", to={"id": "x" * 129}), "event.user"),
        (_set("user", to={"email": f"{'x' * 70}@a.example"}), "event.user"),
    ],
)
def test_a_broken_error_event_is_found(change: Change, rule: str) -> None:
    assert rule in rules(envelope_of("event", change))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_set("trace", to="x"), "dsc.shape"),
        (_set("trace", "sample_rate", to=0.5), "dsc.text"),
        (_set("trace", "trace_id", to=OTHER_TRACE), "dsc.trace_id"),
        (_set("trace", "trace_id", to="x"), "dsc.trace_id"),
        (_set("trace", "public_key", to="b" * 31), "dsc.public_key"),
        (_without("trace", "public_key"), "dsc.public_key"),
        (_set("trace", "sampled", to="yes"), "dsc.sampled"),
        (_set("trace", "sample_rate", to="1.5"), "dsc.sample_rate"),
        (_set("trace", "sample_rate", to="nan"), "dsc.sample_rate"),
        (_set("trace", "sample_rand", to="1.0"), "dsc.sample_rand"),
        (_set("trace", "sample_rand", to="0.1234567"), "dsc.sample_rand"),
        (_set("trace", "sample_rand", to="0.900000"), "dsc.decision"),
        (_set("trace", "sampled", to="false"), "dsc.decision"),
        (_set("trace", "release", to="a/b"), "dsc.release"),
        (_set("trace", "environment", to="a/b"), "dsc.environment"),
        (_set("trace", "org_id", to="o1"), "dsc.org_id"),
        (_set("trace", "replay_id", to="0" * 32), "dsc.replay_id"),
        (_set("trace", "transaction", to="x" * 201), "dsc.transaction"),
        (_without("event_id"), "envelope.event_id"),
    ],
)
def test_a_broken_envelope_header_is_found(change: Change, rule: str) -> None:
    header = envelope_header()
    change(header)

    assert rule in rules(envelope_of("transaction", header=header))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_set("version", to=1), "container.version"),
        (_set("items", to={}), "container.items"),
        (_set("items", 0, to=1), "container.items"),
        (_set("items", 0, "status", to="unset"), "streamed_span.status"),
        (_set("items", 0, "name", to=""), "streamed_span.name"),
        (_without("items", 0, "is_segment"), "streamed_span.is_segment"),
        (_set("items", 0, "span_id", to="5" * 16), "streamed_span.duplicate"),
        (_set("items", 0, "op", to="x"), "streamed_span.unknown_field"),
        (_set_after_the_end("items", 0, "start_timestamp"), "streamed_span.times"),
        (_without("items", 0, "end_timestamp"), "streamed_span.end_timestamp"),
        (_set("items", 0, "trace_id", to=OTHER_TRACE), "dsc.trace_id"),
        (_set("items", 0, "links", 0, "trace_id", to=""), "streamed_span.links.trace_id"),
        (_set("items", 0, "attributes", "count", "value", to=2**63), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "flag", "value", to=1), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "text", to="x"), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "text", "type", to="text"), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "names", "value", to=["a", 1]), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "names", "value", to=[["a"]]), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "names", "value", to=[2**63]), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "names", "value", to=[None]), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "share", "value", to="0.5"), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "share", "unit", to="ratio"), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "count", "value", to=3.5), "streamed_span.attributes"),
        (_set("items", 0, "attributes", "text", "value", to=None), "streamed_span.attributes"),
        (_without("items", 0, "attributes", "text", "value"), "streamed_span.attributes"),
        (_without("version"), "container.version"),
        (_set("ingest_settings", to=[]), "container.ingest_settings"),
        (_set("ingest_settings", "infer_ip", to="always"), "container.ingest_settings"),
        (_set("ingest_settings", "infer_geo", to="never"), "container.ingest_settings"),
        (_without("items", 0, "trace_id"), "streamed_span.trace_id"),
        (_without("items", 0, "span_id"), "streamed_span.span_id"),
        (_without("items", 0, "name"), "streamed_span.name"),
        (_without("items", 0, "status"), "streamed_span.status"),
        (_set("items", 0, "status", to="cancelled"), "streamed_span.status"),
        (_without("items", 0, "start_timestamp"), "streamed_span.start_timestamp"),
        (
            _set("items", 0, "start_timestamp", to="2026-11-20T10:00:00Z"),
            "streamed_span.start_timestamp",
        ),
        (_set("items", 0, "end_timestamp", to=10**400), "streamed_span.end_timestamp"),
        (_set("items", 0, "parent_span_id", to=None), "streamed_span.parent_span_id"),
        (_set("items", 0, "parent_span_id", to="4" * 16), "streamed_span.parent_span_id"),
        (_without("items", 0, "parent_span_id"), "streamed_span.is_segment"),
        (_set("items", 0, "is_segment", to=1), "streamed_span.is_segment"),
        (
            _set("items", 0, "attributes", "sentry.segment.id", to=_string("4")),
            "streamed_span.segment",
        ),
        (_segment_of_another, "streamed_span.segment"),
        (_set("items", 0, "links", to={"trace_id": TRACE_ID}), "streamed_span.links"),
        (_set("items", 0, "links", 0, to="x"), "streamed_span.links"),
        (_set("items", 0, "links", 0, "sampled", to="true"), "streamed_span.links"),
        (_set("items", 0, "links", 0, "kind", to="x"), "streamed_span.links.unknown_field"),
        (_without("items", 0, "links", 0, "span_id"), "streamed_span.links.span_id"),
        (_set("items", 0, "links", 0, "attributes", to={"a": 1}), "streamed_span.links.attributes"),
    ],
)
def test_a_broken_span_container_is_found(change: Change, rule: str) -> None:
    assert rule in rules(envelope_of("span", change, item_count=2))


def test_what_passes_is_what_sentry_hands_on_behind_its_ingestion() -> None:
    codec = get_codec("ingest-spans")
    of_server = {"organization_id": 1, "project_id": 1, "received": 1.0, "retention_days": 30}
    spans = PAYLOADS["span"](None)["items"]

    for span in spans:
        codec.validate(span | of_server | {"key_id": 1})
    with pytest.raises(ValidationError):
        untyped = {"attributes": {"count": {"type": "text", "value": 3}}}
        codec.validate(spans[0] | of_server | untyped)


def test_a_wrong_item_count_is_found() -> None:
    assert "container.item_count" in rules(envelope_of("span", item_count=3))
    assert "container.item_count" in rules(envelope_of("log", item_count=None))


def test_the_sampling_context_names_no_transaction_after_a_url() -> None:
    header = envelope_header()
    header["trace"]["transaction"] = "GET /orders/7"

    def url_named(payload: Payload) -> None:
        payload |= {"transaction": "GET /orders/7", "transaction_info": {"source": "url"}}

    def has_parent(payload: Payload) -> None:
        url_named(payload)
        payload["contexts"]["trace"]["parent_span_id"] = "9" * 16

    def streamed(payload: Payload) -> None:
        one = payload["items"][0]
        del one["parent_span_id"]
        one |= {"is_segment": True, "name": "GET /orders/7"}
        one["attributes"]["sentry.segment.name.source"] = _string("url")

    assert rules(envelope_of("transaction", url_named, header=header)) == {"dsc.transaction"}
    assert rules(envelope_of("transaction", has_parent, header=header)) == set()
    assert rules(envelope_of("span", streamed, header=header)) == {"dsc.transaction"}


@pytest.mark.parametrize(("kind", "most"), [("span", 1000), ("log", 100), ("trace_metric", 1000)])
def test_too_many_items_in_a_container_are_found(kind: str, most: int) -> None:
    def fill(count: int) -> Change:
        def change(payload: Payload) -> None:
            one = payload["items"][0]
            payload["items"] = [
                one | ({"span_id": f"{number:016x}"} if kind == "span" else {})
                for number in range(1, count + 1)
            ]

        return change

    assert rules(envelope_of(kind, fill(most))) == set()
    assert rules(envelope_of(kind, fill(most + 1))) == {"container.count"}


def test_a_wrong_container_content_type_is_found() -> None:
    assert "container.content_type" in rules(envelope_of("log", content_type="application/json"))


def test_a_span_container_without_a_trace_header_is_found() -> None:
    assert "dsc.missing" in rules(envelope_of("span", header=envelope_header(trace=None)))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_set("items", 0, "level", to="warning"), "log.level"),
        (_set("items", 0, "body", to={"a": 1}), "log.body"),
        (_set("items", 0, "severity_number", to=0), "log.severity_number"),
        (_without("items", 0, "trace_id"), "log.trace_id"),
        (_set("items", 0, "span_id", to="x"), "log.span_id"),
        (_set("items", 0, "timestamp", to=None), "log.timestamp"),
        (_set("items", 0, "timestamp", to="2026-11-20T10:00:00Z"), "log.timestamp"),
        (_set("items", 0, "level", to="WARN"), "log.level"),
        (_without("items", 0, "level"), "log.level"),
        (_without("items", 0, "body"), "log.body"),
        (_set("items", 0, "severity_number", to=25), "log.severity_number"),
        (_set("items", 0, "severity_number", to=17), "log.severity_number"),
        (_set("items", 0, "severity_number", to="13"), "log.severity_number"),
        (_set("items", 0, "severity_text", to="WARN"), "log.unknown_field"),
        (
            _set("items", 0, "attributes", "n", to={"type": "integer", "value": "1"}),
            "log.attributes",
        ),
        (
            _set("items", 0, "attributes", "sentry.message.template", to=_string("x")),
            "log.template",
        ),
        (_set("version", to=1), "container.version"),
        (_set("ingest_settings", to={"infer_ip": True}), "container.ingest_settings"),
        (_set("items", 0, "trace_id", to=OTHER_TRACE), "dsc.mixed_traces"),
    ],
)
def test_a_broken_log_container_is_found(change: Change, rule: str) -> None:
    assert rule in rules(envelope_of("log", change))


def test_a_log_with_a_template_and_its_parameters_is_fine() -> None:
    def templated(payload: Payload) -> None:
        payload["items"][0]["attributes"] = {
            "sentry.message.template": _string("{n} votes"),
            "sentry.message.parameter.n": {"type": "integer", "value": 3},
        }

    assert rules(envelope_of("log", templated)) == set()


def test_a_log_container_without_a_trace_header_may_mix_traces() -> None:
    mix = _set("items", 0, "trace_id", to=OTHER_TRACE)

    assert rules(envelope_of("log", mix, header=envelope_header(trace=None))) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_set("items", 0, "name", to="a b"), "metric.name"),
        (_set("items", 0, "type", to="histogram"), "metric.type"),
        (_set("items", 0, "value", to="1"), "metric.value"),
        (_set("items", 0, "unit", to=3), "metric.unit"),
        (_set("items", 0, "attributes", to=None), "metric.attributes"),
    ],
)
def test_a_broken_metric_container_is_found(change: Change, rule: str) -> None:
    assert rule in rules(envelope_of("trace_metric", change))


@pytest.mark.parametrize(
    ("kind", "payload", "rule"),
    [
        ("check_in", {"check_in_id": "x", "monitor_slug": "m", "status": "ok"}, "check_in.id"),
        (
            "check_in",
            {"check_in_id": "a" * 32, "monitor_slug": "A B", "status": "ok"},
            "check_in.monitor_slug",
        ),
        (
            "check_in",
            {"check_in_id": "a" * 32, "monitor_slug": "m", "status": "fine"},
            "check_in.status",
        ),
        (
            "check_in",
            {"check_in_id": "a" * 32, "monitor_slug": "m", "status": "ok", "duration": -1},
            "check_in.duration",
        ),
        ("session", {"started": 1.0, "status": "ok", "attrs": {"release": "1"}}, "session.sid"),
        ("session", {"sid": "x", "status": "ok", "attrs": {"release": "1"}}, "session.started"),
        ("session", {"sid": "x", "started": 1.0, "attrs": {"release": "1"}}, "session.status"),
        ("session", {"sid": "x", "started": 1.0, "status": "ok"}, "session.release"),
        ("sessions", {"aggregates": [], "attrs": {"release": "1"}}, "session.aggregates"),
        ("sessions", {"aggregates": [{}], "attrs": {"release": "1"}}, "session.started"),
        (
            "sessions",
            {"aggregates": [{"started": 1.0, "exited": -1}], "attrs": {"release": "1"}},
            "session.aggregates",
        ),
        ("client_report", {}, "client_report.discarded_events"),
        ("client_report", {"discarded_events": [1]}, "client_report.discarded_events"),
        (
            "client_report",
            {"discarded_events": [{"reason": "lost", "category": "error", "quantity": 1}]},
            "client_report.reason",
        ),
        (
            "client_report",
            {"discarded_events": [{"reason": "ignored", "quantity": 1}]},
            "client_report.category",
        ),
        (
            "client_report",
            {"discarded_events": [{"reason": "ignored", "category": "error", "quantity": 0}]},
            "client_report.quantity",
        ),
    ],
)
def test_a_broken_health_item_is_found(kind: str, payload: Payload, rule: str) -> None:
    body = json.dumps(payload).encode()

    assert rules(encode({}, (item_header(kind, body), body))) == {rule}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("check_in", {"check_in_id": "a" * 32, "monitor_slug": "m-1", "status": "in_progress"}),
        ("session", {"sid": "x", "started": 1.0, "status": "ok", "attrs": {"release": "1"}}),
        (
            "sessions",
            {"aggregates": [{"started": 1.0, "exited": 3}], "attrs": {"release": "1"}},
        ),
        (
            "client_report",
            {"discarded_events": [{"reason": "ignored", "category": "error", "quantity": 2}]},
        ),
    ],
)
def test_a_valid_health_item_breaks_no_rule(kind: str, payload: Payload) -> None:
    body = json.dumps(payload).encode()

    assert rules(encode({}, (item_header(kind, body), body))) == set()


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b'{"a": NaN}', "item.json"),
        (b'{"a": -Infinity}', "item.json"),
        (b'{"a": 1e999}', "item.json"),
        (b'{"a": "\\ud800"}', "item.json"),
        (b'{"a": "\xff"}', "item.json"),
        (b"[]", "item.json"),
        (b"{} {}", "item.json"),
        (b"[" * 100_000, "item.json"),
        (b'{"a": {"b": 1, "b": 2}}', "item.duplicate_key"),
    ],
)
def test_json_that_is_not_strict_is_found(payload: bytes, rule: str) -> None:
    assert rule in rules(encode({}, (item_header("profile", payload), payload)))


def test_binary_attachments_are_not_read_as_json() -> None:
    body = b"\x00\xff{"

    assert rules(encode({}, (item_header("attachment", body), body))) == set()


def test_kinds_of_telemetry_do_not_mix() -> None:
    one, other = (json.dumps(PAYLOADS[kind](None)).encode() for kind in ("event", "log"))
    body = encode(
        envelope_header(), (item_header("event", one), one), (item_header("log", other), other)
    )

    assert "envelope.mixed" in rules(body)


def test_an_unknown_kind_and_an_empty_envelope_are_found() -> None:
    assert rules(encode({}, (item_header("otel_span", b"{}"), b"{}"))) == {"item.type"}
    assert rules(encode({})) == {"envelope.empty"}


def _excess(*items: tuple[Payload, bytes]) -> str | None:
    violation = find_excess(parse_envelope(encode({}, *items)))
    return violation.rule if violation else None


def test_items_above_relays_limits_are_refused() -> None:
    def item(kind: str, size_bytes: int) -> tuple[Payload, bytes]:
        return {"type": kind, "length": size_bytes}, b"x" * size_bytes

    assert _excess(item("event", MIB)) is None
    assert _excess(item("event", MIB + 1)) == "limit.item_bytes"
    assert _excess(item("event", 1), item("transaction", 1)) == "limit.count"
    assert _excess(item("check_in", 1), item("check_in", 1)) == "limit.count"
    assert _excess(*[item("client_report", 60 * 1024)] * 2) == "limit.total_bytes"
    assert _excess(*[item("span", 2)] * 26) == "limit.count"


def test_the_items_of_a_container_are_measured_on_average() -> None:
    size_bytes = 3 * MIB
    header = {
        "type": "trace_metric",
        "length": size_bytes,
        "content_type": "application/vnd.sentry.items.trace-metric+json",
    }
    body = b"x" * size_bytes

    assert _excess(({**header, "item_count": 3}, body)) is None
    assert _excess(({**header, "item_count": 2}, body)) == "limit.item_bytes"


@pytest.mark.parametrize(("kind", "average"), [("span", 10 * MIB), ("log", 2 * MIB)])
def test_a_container_is_refused_above_the_average_and_above_the_whole(
    kind: str, average: int
) -> None:
    def container(size_bytes: int, item_count: int) -> tuple[Payload, bytes]:
        header = {"type": kind, "content_type": CONTENT_TYPES[kind], "item_count": item_count}
        return {**header, "length": size_bytes}, b"x" * size_bytes

    assert _excess(container(average, 1)) is None
    assert _excess(container(average + 1, 1)) == "limit.item_bytes"
    assert _excess(container(12 * MIB, 6)) is None
    assert _excess(container(12 * MIB + 1, 7)) == "limit.total_bytes"
    assert _excess(container(1, 1), container(1, 1)) == "limit.count"


def test_too_many_spans_in_a_transaction_are_found() -> None:
    def many(payload: Payload) -> None:
        payload["spans"] = [
            {**payload["spans"][1], "span_id": f"{number:016x}"} for number in range(1, 1002)
        ]

    def heavy(payload: Payload) -> None:
        payload["spans"][0]["data"] = {"text": "x" * (801 * 1024)}

    assert rules(envelope_of("transaction", many)) == {"transaction.spans"}
    assert rules(envelope_of("transaction", heavy)) == {"transaction.spans"}
