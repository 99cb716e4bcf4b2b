"""All that arrived of one trace is one tree, whatever the wire."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from spanbridge.receiver import SentLink, StoredItem, Trace
from spanbridge.receiver.container_rows import logs_of, streamed_spans_of
from spanbridge.receiver.intake import Intake, Request
from spanbridge.receiver.records import ReceiverLimits
from spanbridge.receiver.store import Store
from spanbridge.receiver.traces import join_trace
from tests.unit.receiver.envelopes import KEY, ROOT_ID, TRACE_ID, envelope_header, envelope_of

AUTH = {"x-sentry-auth": f"Sentry sentry_key={KEY}, sentry_version=7"}


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:", stored_bytes=10_000_000)
    yield opened
    opened.close()


def take(store: Store, body: bytes, project: str = "1") -> StoredItem:
    answer = Intake(store, ReceiverLimits()).take_envelope(Request(AUTH, {}, body, project))
    assert answer.status == 200
    return store.items()[-1]


def traces(store: Store) -> list[Trace]:
    return [join_trace(*one) for one in store.items_by_trace()]


def as_streamed(transaction: dict[str, Any]) -> dict[str, Any]:
    """The same spans as the other wire would send them."""
    root = transaction["contexts"]["trace"] | {
        "description": transaction["transaction"],
        "start_timestamp": transaction["start_timestamp"],
        "timestamp": transaction["timestamp"],
    }
    rows = []
    for span in (root, *transaction["spans"]):
        facts = {"sentry.op": span["op"], "sentry.description": span.get("description", "")}
        row = {
            "trace_id": span["trace_id"],
            "span_id": span["span_id"],
            "name": "as it is called",
            "start_timestamp": span["start_timestamp"],
            "end_timestamp": span["timestamp"],
            "status": "ok",
            "is_segment": span is root,
            "attributes": {k: {"type": "string", "value": v} for k, v in facts.items() if v},
        }
        parent = span.get("parent_span_id")
        rows.append(row if parent is None else row | {"parent_span_id": parent})
    return {"version": 2, "items": rows}


def test_a_tree_is_the_same_on_both_wires(store: Store) -> None:
    sent = take(store, envelope_of("transaction")).payload
    [by_transaction] = traces(store)
    store.clear()
    streamed = as_streamed(sent)
    streamed["items"][2]["name"] = ""  # nameless as in the transaction
    body = envelope_of("span", lambda payload: payload.update(streamed))
    rows = streamed_spans_of(take(store, body))
    [by_container] = traces(store)

    assert by_transaction.outline == by_container.outline
    assert by_container.outline == [
        "http.server POST /proposals",
        "  consensus consensus weighted",
        "    db",
    ]
    assert [one.is_segment for one in rows] == [True, False, False]
    assert [*by_transaction.wires, *by_container.wires] == ["transactions", "spans"]
    for one, other in zip(by_transaction.spans, by_container.spans, strict=True):
        assert (one.span_id, one.parent_span_id) == (other.span_id, other.parent_span_id)
        assert one.duration_s == other.duration_s
        assert one.is_segment == other.is_segment


def test_the_rows_of_a_container_are_typed_and_know_where_they_came_from(store: Store) -> None:
    def break_the_second(payload: dict[str, Any]) -> None:
        payload["items"][1] |= {"status": "unset", "name": 3, "start_timestamp": "soon"}

    item = take(store, envelope_of("span", break_the_second))
    first, second = streamed_spans_of(item)

    assert (first.trace_id, first.span_id, first.parent_span_id) == (TRACE_ID, "4" * 16, ROOT_ID)
    assert (first.name, first.status, first.is_segment) == ("chat", "ok", False)
    assert first.attributes["count"] == 3
    assert first.payload["attributes"]["count"] == {"type": "integer", "value": 3}
    assert first.links == (SentLink(TRACE_ID, ROOT_ID, {}),)
    assert first.trace_header == envelope_header()["trace"]
    assert (first.item_id, first.auth_key, first.project_id) == (item.id, KEY, "1")
    assert first.violations == ()
    assert (second.name, second.start_s, second.status) == ("", None, "unset")
    assert {one.rule for one in second.violations} == {
        "streamed_span.status",
        "streamed_span.name",
        "streamed_span.start_timestamp",
    }


def test_logs_are_rows_too_and_stand_with_their_own_trace(store: Store) -> None:
    other = "e" * 32
    now = time.time()

    def spread(payload: dict[str, Any]) -> None:
        payload["items"][0] |= {"trace_id": other, "timestamp": now - 1}
        payload["items"][1] |= {"timestamp": now - 2, "severity_number": None, "level": "shout"}

    item = take(store, envelope_of("log", spread, header=envelope_header(trace=None)))
    first, second = logs_of(item)

    assert (first.level, first.body, first.severity_number) == ("warn", "quorum at risk", 13)
    assert (first.trace_id, first.span_id, first.timestamp_s) == (other, ROOT_ID, now - 1)
    assert (first.trace_header, first.item_id, first.violations) == ({}, item.id, ())
    assert [one.rule for one in second.violations] == ["log.level"]
    assert {trace.trace_id: trace.logs for trace in traces(store)} == {
        other: (first,),
        TRACE_ID: (second,),
    }


def test_logs_of_one_instant_stand_in_the_order_of_their_numbers(store: Store) -> None:
    def number(payload: dict[str, Any]) -> None:
        for one, sequence in zip(payload["items"], (8, 7), strict=True):
            typed = {"type": "integer", "value": sequence}
            one["attributes"] = {"sentry.timestamp.sequence": typed}

    take(store, envelope_of("log", number))
    [trace] = traces(store)

    assert [log.attributes["sentry.timestamp.sequence"] for log in trace.logs] == [7, 8]


def test_a_log_tells_its_own_attributes_from_those_of_the_program(store: Store) -> None:
    def voted(payload: dict[str, Any]) -> None:
        names = ("sentry.release", "event.name", "agent.vote.voter", "round")
        payload["items"][0] |= {
            "body": "agent.vote",
            "attributes": {name: {"type": "string", "value": name} for name in names},
        }

    [log, _] = logs_of(take(store, envelope_of("log", voted)))

    assert log.own_attributes == {"voter": "agent.vote.voter", "round": "round"}


def test_issues_and_broken_rules_stand_with_their_trace(store: Store) -> None:
    event = take(store, envelope_of("event", lambda payload: payload.update(level="warn")))
    take(store, envelope_of("transaction"))
    [trace] = traces(store)

    assert [one.id for one in trace.issues] == [event.id]
    assert trace.violations == 1
    assert [one.name for one in trace.segments] == ["POST /proposals"]


def test_what_two_projects_got_of_a_trace_is_kept_apart(store: Store) -> None:
    for project in ("1", "2"):
        take(store, envelope_of("transaction"), project)
    event = take(store, envelope_of("event"), "1")

    second, first = traces(store)

    assert (first.trace_id, second.trace_id) == (TRACE_ID, TRACE_ID)
    assert (first.project_id, second.project_id) == ("1", "2")
    assert first.outline == second.outline
    assert len(first.outline) == 3
    assert [one.id for one in first.issues] == [event.id]
    assert second.issues == ()
    assert store.count_traces() == 2
    assert len(store.items_by_trace(1)) == 1


def test_links_and_measurements_are_kept(store: Store) -> None:
    take(store, envelope_of("transaction"))
    [trace] = traces(store)
    root, consensus, _ = trace.spans

    assert root.measurements == {"agreement": {"value": 0.7, "unit": "ratio"}}
    assert root.tags == {"tenant": "acme"}
    assert consensus.links == (SentLink(TRACE_ID, ROOT_ID, {}),)
    assert json.dumps(consensus.attributes) == '{"quorum": 2}'
