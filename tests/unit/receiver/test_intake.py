"""What is taken, what is refused with which status, and what is stored of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanbridge.receiver.intake import Answer, Intake, Request
from spanbridge.receiver.records import ReceiverLimits
from spanbridge.receiver.store import Store
from tests.unit.receiver.envelopes import (
    EVENT_ID,
    KEY,
    ROOT_ID,
    TRACE_ID,
    envelope_header,
    envelope_of,
    transaction,
)

AUTH = {"x-sentry-auth": f"Sentry sentry_key={KEY}, sentry_version=7, sentry_client=t/1"}


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:", stored_bytes=100 * 1024)
    yield opened
    opened.close()


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store, ReceiverLimits(decompressed_bytes=2 * 1024 * 1024))


def _take(
    intake: Intake,
    body: bytes,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    project_id: str = "42",
) -> Answer:
    headers = AUTH if headers is None else headers
    return intake.take_envelope(Request(headers, query or {}, body, project_id))


def test_an_envelope_is_stored_with_all_that_is_known_of_it(intake: Intake, store: Store) -> None:
    answer = _take(intake, envelope_of("transaction"))

    assert (answer.status, msgspec.json.decode(answer.body)) == (200, {"id": EVENT_ID})
    [item] = store.items()
    assert (item.kind, item.auth_key, item.project_id) == ("transaction", KEY, "42")
    assert item.payload["transaction"] == "POST /proposals"
    assert item.header["length"] == len(item.body)
    assert item.envelope_header["event_id"] == EVENT_ID
    assert item.content_encoding == "identity"
    assert item.violations == ()


def test_a_broken_rule_is_stored_and_answered_with_200(intake: Intake, store: Store) -> None:
    def cancel(payload: dict[str, object]) -> None:
        payload["release"] = "a/b"

    assert _take(intake, envelope_of("transaction", cancel)).status == 200
    [item] = store.items("transaction")
    assert [one.rule for one in item.violations] == ["event.release"]
    [violation] = store.violations()
    assert (violation.kind, violation.rule) == ("transaction", "event.release")


def test_json_that_is_not_strict_can_still_be_read_back(intake: Intake, store: Store) -> None:
    payload = b'{"message":"\\ud800","n":NaN}'
    _take(intake, b'{}\n{"type":"event","length":%d}\n%s\n' % (len(payload), payload))

    [item] = store.items()
    assert item.payload["message"] == "?"
    assert msgspec.json.encode(item.payload)


def test_the_key_may_stand_in_the_query_or_in_the_envelope(intake: Intake, store: Store) -> None:
    dsn = f"http://{KEY}@127.0.0.1:9000/42"
    header = envelope_header(dsn=dsn)

    assert _take(intake, envelope_of("event"), {}, {"sentry_key": KEY}).status == 200
    assert _take(intake, envelope_of("event", header=header), {}).status == 200
    authorization = {"authorization": AUTH["x-sentry-auth"]}
    assert _take(intake, envelope_of("event"), authorization).status == 200
    assert [item.auth_key for item in store.items()] == [KEY, KEY, KEY]
    assert store.violations() == []


@pytest.mark.parametrize(
    ("status", "rule", "headers", "query", "project_id", "dsn"),
    [
        (401, "auth.missing", {}, {}, "42", None),
        (401, "auth.multiple", AUTH, {"sentry_key": KEY}, "42", None),
        (401, "auth.key", {"x-sentry-auth": "Sentry sentry_version=7"}, {}, "42", None),
        (400, "auth.key", {"x-sentry-auth": "Sentry sentry_key=public"}, {}, "42", None),
        (400, "auth.version", {}, {"sentry_key": KEY, "sentry_version": "9"}, "42", None),
        (400, "auth.project", AUTH, {}, "shop", None),
        (400, "auth.project", AUTH, {}, "0", None),
        (400, "auth.dsn", AUTH, {}, "42", f"http://{'b' * 32}@h/42"),
        (400, "auth.dsn", AUTH, {}, "42", f"http://{KEY}@h/43"),
        (400, "auth.dsn", AUTH, {}, "42", "nonsense"),
        (400, "auth.dsn", AUTH, {}, "42", 7),
    ],
)
def test_wrong_credentials_are_refused(
    intake: Intake,
    store: Store,
    status: int,
    rule: str,
    headers: dict[str, str],
    query: dict[str, str],
    project_id: str,
    dsn: object,
) -> None:
    body = envelope_of("event", header=envelope_header(dsn=dsn))

    assert _take(intake, body, headers, query, project_id).status == status
    [violation] = store.violations()
    assert (violation.kind, violation.rule) == ("request", rule)
    assert store.items() == []


@pytest.mark.parametrize(
    ("status", "body", "encoding"),
    [
        (400, b"", ""),
        (400, b"nothing", ""),
        (400, b"nothing", "gzip"),
        (415, b"{}", "compress"),
        (413, b"{}\n" + b"x" * 3 * 1024 * 1024, ""),
        (413, b'{}\n{"type":"event","length":1048577}\n' + b"x" * 1048577, ""),
    ],
)
def test_what_relays_endpoint_refuses_is_refused(
    intake: Intake, store: Store, status: int, body: bytes, encoding: str
) -> None:
    assert _take(intake, body, {**AUTH, "content-encoding": encoding}).status == status
    assert [violation.kind for violation in store.violations()] == ["request"]
    assert store.items() == []


def test_the_oldest_items_go_when_the_store_is_full(intake: Intake, store: Store) -> None:
    body = envelope_of("transaction")
    sent = 3 * 100 * 1024 // len(body)
    for _ in range(sent):
        _take(intake, body)

    kept = store.items()
    assert store.counts["transaction"] == sent
    assert len(kept) == sent - store.counts["evicted"]
    assert 0 < sum(len(item.body) for item in kept) < 100 * 1024
    assert kept[-1].id == sent


def test_clearing_forgets_everything(intake: Intake, store: Store) -> None:
    _take(intake, envelope_of("transaction"))
    _take(intake, b"nothing")
    store.add_request("/x")
    store.clear()

    assert (store.items(), store.violations(), store.requests) == ([], [], {})
    assert not any(store.counts.values())


def test_the_clock_decides_what_is_plausible(store: Store) -> None:
    intake = Intake(store, ReceiverLimits(), clock=lambda: 1_000_000.0)

    body = json.dumps(transaction(now=1_000_000.0)).encode()
    head = json.dumps({"type": "transaction", "length": len(body)}).encode()
    _take(intake, b"\n".join((json.dumps(envelope_header()).encode(), head, body)))
    assert store.violations() == []
    _take(intake, envelope_of("transaction"))
    assert {one.rule for one in store.violations()} >= {"transaction.timestamp"}
    assert store.items()[0].received_at == 1_000_000.0


OTHER_TRACE = "e" * 32


def _repeats(store: Store) -> list[str]:
    return [one.message for one in store.violations() if one.rule == "span.sent_twice"]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("transaction", "transaction", "is in a transaction, and came before in a transaction"),
        ("span", "span", "is in a container of streamed spans, and came before in a container"),
        ("transaction", "span", "is in a container of streamed spans, and came before in a tran"),
        ("span", "transaction", "is in a transaction, and came before in a container of streamed"),
    ],
)
def test_a_span_that_is_sent_twice_is_found(
    intake: Intake, store: Store, first: str, second: str, told: str
) -> None:
    def same_span(payload: dict[str, Any]) -> None:
        for place in ("spans", "items"):
            if place in payload:
                payload[place][0]["span_id"] = "7" * 16

    def same_span_only(payload: dict[str, Any]) -> None:
        same_span(payload)
        if "spans" in payload:
            payload["contexts"]["trace"]["span_id"] = "8" * 16
            payload["spans"][1:] = []
        else:
            payload["items"][1:] = []

    _take(intake, envelope_of(first, same_span))
    assert _repeats(store) == []
    _take(intake, envelope_of(second, same_span_only))

    [message] = _repeats(store)
    assert message.startswith("7" * 16)
    assert told in message
    assert [one.rule for one in store.items()[1].violations] == ["span.sent_twice"]


def test_a_root_that_is_sent_again_within_another_transaction_is_found(
    intake: Intake, store: Store
) -> None:
    def follow_up(payload: dict[str, Any]) -> None:
        payload["contexts"]["trace"]["span_id"] = "8" * 16
        payload["spans"] = [payload["spans"][1] | {"span_id": ROOT_ID, "parent_span_id": "8" * 16}]

    _take(intake, envelope_of("transaction"))
    _take(intake, envelope_of("transaction", follow_up))

    assert len(_repeats(store)) == 1


def test_the_same_ids_in_another_trace_or_project_are_other_spans(
    intake: Intake, store: Store
) -> None:
    body = envelope_of("transaction")
    _take(intake, body)
    _take(intake, body.replace(TRACE_ID.encode(), OTHER_TRACE.encode()))
    _take(intake, body, project_id="43")

    assert store.violations() == []


def test_what_was_taken_without_a_word_may_be_sent_again(intake: Intake, store: Store) -> None:
    body = envelope_of("span")
    for is_acknowledged in (False, True):
        intake.take_envelope(Request(AUTH, {}, body, "42", is_acknowledged))
    assert _repeats(store) == []

    _take(intake, body)
    assert len(_repeats(store)) == 2


def _export(intake: Intake, *, is_acknowledged: bool = True, project_id: str | None = None) -> None:
    """An OTLP export of one span, which a transaction of ``envelope_of`` holds too."""
    now_ns = time.time_ns()
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=bytes.fromhex(TRACE_ID),
        span_id=bytes.fromhex(ROOT_ID),
        name="work",
        start_time_unix_nano=now_ns,
        end_time_unix_nano=now_ns,
    )
    headers = {**AUTH, "content-type": "application/x-protobuf"}
    body = request.SerializeToString()
    taken = Request(headers, {}, body, project_id, is_acknowledged)
    assert intake.take_otlp("traces", taken).status == 200


def test_an_otlp_span_that_is_sent_twice_is_found(intake: Intake, store: Store) -> None:
    _export(intake, is_acknowledged=False)
    _export(intake)
    assert store.violations() == []

    _export(intake)
    [message] = _repeats(store)
    assert message.endswith("is in an OTLP request, and came before in an OTLP request")
    assert [one.rule for one in store.spans()[2].violations] == ["span.sent_twice"]


def test_a_span_may_go_to_sentry_and_to_an_otlp_backend_but_not_twice_to_a_project(
    intake: Intake, store: Store
) -> None:
    _take(intake, envelope_of("transaction"))
    _export(intake)
    _export(intake, project_id="43")
    assert _repeats(store) == []

    _export(intake, project_id="42")
    [message] = _repeats(store)
    assert message.endswith("is in an OTLP request, and came before in a transaction")


def test_what_is_forgotten_is_forgotten_wholly(intake: Intake, store: Store) -> None:
    body = envelope_of("transaction")
    _take(intake, body)
    store.clear()
    _take(intake, body)

    assert store.violations() == []
    assert store.count_traces() == 1


def test_what_was_evicted_leaves_no_trace(intake: Intake, store: Store) -> None:
    for number in range(300):
        body = envelope_of("transaction")
        _take(intake, body.replace(TRACE_ID.encode(), f"{number + 1:032x}".encode()))

    assert store.counts["evicted"] > 0
    kept = store.items()
    assert store.count_traces() == len(kept)
    assert [items for _, items in store.items_by_trace()] == [[item] for item in kept]
    assert len(store.items_by_trace(3)) == 3


def test_items_are_found_by_their_traces(intake: Intake, store: Store) -> None:
    def of_both(payload: dict[str, Any]) -> None:
        payload["items"][0]["trace_id"] = OTHER_TRACE

    for kind in ("transaction", "event", "span"):
        _take(intake, envelope_of(kind))
    _take(intake, envelope_of("log", of_both, header=envelope_header(trace=None)))
    _take(intake, envelope_of("trace_metric"))

    by_trace = {trace: [one.kind for one in items] for trace, items in store.items_by_trace()}
    assert by_trace == {
        OTHER_TRACE: ["log"],
        TRACE_ID: ["transaction", "event", "span", "log", "trace_metric"],
    }
    assert store.count_logs() == 2
