from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from spanbridge.model.plain_json import encode_json
from spanbridge.model.span import Resource, Scope, SpanEvent, SpanLink, SpanRecord
from spanbridge.model.trace import Segment
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.transaction import convert_transaction
from spanbridge.sentry.wire import SdkInfo
from tests.support.spans import TRACE_ID, exception_event, record

CONTEXT = ConvertContext(SdkInfo("spanbridge", "1"), "shop@1", "production", "web-1", "7")


def converted(root: SpanRecord, *children: SpanRecord, is_follow_up: bool = False) -> Any:
    """The payload as a reader of the JSON sees it."""
    segment = Segment(root, children, is_follow_up)
    return json.loads(encode_json(convert_transaction(segment, CONTEXT, event_id="e" * 32)))


def test_a_transaction_carries_the_program_the_root_and_its_children() -> None:
    root = record(1, name="work", attributes={"a": 1}, start_ns=1_700_000_000_250_000_000)
    child = record(2, 1, name="step", attributes={"b": "x"})

    payload = converted(root, child)

    assert payload["type"] == "transaction"
    assert payload["event_id"] == "e" * 32
    assert payload["platform"] == "python"
    assert payload["transaction"] == "work"
    assert payload["transaction_info"] == {"source": "custom"}
    assert payload["release"] == "shop@1"
    assert payload["environment"] == "production"
    assert payload["server_name"] == "web-1"
    assert payload["dist"] == "7"
    assert payload["sdk"] == {"name": "spanbridge", "version": "1"}
    assert payload["start_timestamp"] == 1_700_000_000.25
    trace = payload["contexts"]["trace"]
    assert trace["trace_id"] == f"{TRACE_ID:032x}"
    assert trace["span_id"] == f"{1:016x}"
    assert "parent_span_id" not in trace
    assert trace["status"] == "ok"
    assert trace["origin"] == "manual"
    assert trace["data"]["a"] == 1
    assert payload["contexts"]["otel"]["resource"] == {"service.name": "tested"}
    [span] = payload["spans"]
    assert span["span_id"] == f"{2:016x}"
    assert span["parent_span_id"] == f"{1:016x}"
    assert span["description"] == "step"
    assert span["data"] == {
        "b": "x",
        "sentry.kind": "internal",
        "otel.scope.name": "tests",
        "otel.scope.version": "1",
    }
    assert "_meta" not in payload


def test_children_are_in_the_order_of_their_start() -> None:
    payload = converted(record(1), record(4, 1), record(2, 1), record(3, 2))

    assert [span["description"] for span in payload["spans"]] == ["span 2", "span 3", "span 4"]


def test_the_records_themselves_are_left_unchanged() -> None:
    attributes = {"http.method": "GET", "sentry.op": "mine", "sentry.tag.a": "b", "n": (1,)}
    root = record(1, attributes=dict(attributes))

    converted(root)

    assert root.attributes == attributes


def test_a_clock_set_back_costs_neither_the_span_nor_the_truth() -> None:
    payload = converted(record(1), record(2, 1, start_ns=5_000_000_000, end_ns=4_000_000_000))

    [span] = payload["spans"]
    assert span["start_timestamp"] == span["timestamp"] == 5.0
    assert span["data"]["otel.end_time_unix_nano"] == 4_000_000_000


@pytest.mark.parametrize("start_ns", [-5, 2**62 * 1000])
def test_a_time_relay_refuses_is_moved_into_range(start_ns: int) -> None:
    [span] = converted(record(1), record(2, 1, start_ns=start_ns))["spans"]

    assert 0 <= span["start_timestamp"] <= span["timestamp"] < 253_402_300_800


def test_events_stay_readable_and_an_exception_without_its_stack_trace() -> None:
    vote = SpanEvent("vote", 1_700_000_000_000_000_000, {"choice": "yes", "weight": float("nan")})

    payload = converted(record(1, events=(vote, exception_event())))

    assert payload["contexts"]["trace"]["data"]["otel.events"] == [
        {
            "name": "vote",
            "timestamp": 1_700_000_000.0,
            "attributes": {"choice": "yes", "weight": "nan"},
        },
        {
            "name": "exception",
            "timestamp": 1_700_000_000.0005,
            "attributes": {"exception.type": "ValueError", "exception.message": "boom"},
        },
    ]


def test_links_trace_state_and_dropped_counts_are_kept() -> None:
    span = record(
        2,
        1,
        links=(
            SpanLink("a" * 32, "b" * 16, True, {"why": "batch", "n": float("inf")}, "x=1"),
            SpanLink("0" * 32, "0" * 16, False, {"lost": "context"}),
        ),
        trace_state="ot=th:8",
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
        scope=Scope("lib", attributes={"team": "core"}),
    )

    [child] = converted(record(1), span)["spans"]

    assert child["links"] == [
        {
            "trace_id": "a" * 32,
            "span_id": "b" * 16,
            "sampled": True,
            "attributes": {"why": "batch", "n": "inf", "otel.trace_state": "x=1"},
        }
    ]
    data = child["data"]
    assert data["otel.links_without_context"] == [{"lost": "context"}]
    assert data["otel.trace_state"] == "ot=th:8"
    assert data["otel.dropped_attributes_count"] == 1
    assert data["otel.dropped_events_count"] == 2
    assert data["otel.dropped_links_count"] == 3
    assert data["otel.scope.attributes"] == {"team": "core"}


def test_too_many_links_are_counted() -> None:
    links = tuple(SpanLink("a" * 32, f"{n:016x}", True, {"k": "v" * 500}) for n in range(1, 2000))

    [child] = converted(record(1), record(2, 1, links=links))["spans"]

    kept, dropped = len(child["links"]), child["data"]["otel.links.dropped_by_size_count"]
    assert kept + dropped == 1999
    with_attributes = sum("attributes" in link for link in child["links"])
    assert with_attributes + child["data"]["otel.links.dropped_attributes_count"] == 1999


def test_registered_numbers_become_measurements_and_registered_words_tags() -> None:
    consensus = record(
        2,
        1,
        attributes={
            "multi_agent.operation.name": "consensus",
            "multi_agent.consensus.algorithm": "weighted_vote",
            "multi_agent.consensus.achieved": True,
            "multi_agent.consensus.agreement": 0.75,
            "multi_agent.consensus.participants": ("a", "b"),
        },
    )

    payload = converted(record(1), consensus)

    [span] = payload["spans"]
    tags = {
        "multi_agent.consensus.algorithm": "weighted_vote",
        "multi_agent.consensus.achieved": "true",
    }
    measurements = {"multi_agent.consensus.agreement": {"value": 0.75, "unit": "ratio"}}
    assert span["tags"] == payload["tags"] == tags
    assert span["measurements"] == payload["measurements"] == measurements
    assert span["data"]["multi_agent.consensus.agreement"] == 0.75


def test_only_what_the_tree_agrees_on_is_raised_and_the_roots_own_wins() -> None:
    def agent(span_id: int, kind: str) -> SpanRecord:
        return record(
            span_id,
            1,
            attributes={"multi_agent.agent.type": kind, "multi_agent.task.type": "assess"},
        )

    root = record(1, attributes={"multi_agent.task.type": "govern"})

    assert converted(record(1), agent(2, "ethics"), agent(3, "legal"))["tags"] == {
        "multi_agent.task.type": "assess"
    }
    assert converted(root, agent(2, "ethics"))["tags"] == {
        "multi_agent.agent.type": "ethics",
        "multi_agent.task.type": "govern",
    }


def test_the_applications_own_tags_measurements_level_and_fingerprint() -> None:
    root = record(
        1,
        attributes={
            "sentry.tag.team/name": "core\nteam",
            "sentry.tag.ratio": 2.7,
            "sentry.tag.user": "reserved",
            "sentry.tag.empty": "",
            "sentry.measurement.Queue-Time": 12,
            "sentry.measurement.text": "no number",
            "sentry.measurement.flag": True,
            "sentry.level": "WARN",
            "sentry.fingerprint": ("a", 1.5),
        },
    )

    payload = converted(root)

    assert payload["tags"] == {"team-name": "core team", "ratio": "2.7"}
    assert payload["measurements"] == {"queue_time": {"value": 12.0, "unit": "none"}}
    assert payload["level"] == "warning"
    assert payload["fingerprint"] == ["a", "1.5"]
    data = payload["contexts"]["trace"]["data"]
    assert data["sentry.tag.user"] == "reserved"
    assert data["sentry.measurement.text"] == "no number"
    assert "sentry.level" not in data


def test_request_and_user_come_from_the_root() -> None:
    root = record(
        1,
        kind="server",
        attributes={
            "http.request.method": "POST",
            "http.route": "/items",
            "url.scheme": "https",
            "server.address": "shop.example:8443",
            "server.port": 8443,
            "url.path": "/items",
            "url.query": "page=2",
            "http.request.header.content_type": ("application/json",),
            "client.address": "10.0.0.1",
            "user.id": 42,
            "user.email": "ann@shop.example",
            "user.ip_address": "not an address",
            "user.roles": ("admin",),
        },
    )

    payload = converted(root)

    assert payload["request"] == {
        "url": "https://shop.example:8443/items",
        "method": "POST",
        "query_string": "page=2",
        "headers": {"content-type": "application/json"},
    }
    assert payload["user"] == {
        "id": "42",
        "email": "ann@shop.example",
        "data": {"user.roles": ["admin"]},
    }


def test_a_root_that_is_no_request_has_neither_request_nor_user() -> None:
    payload = converted(record(1, kind="client", attributes={"http.request.method": "GET"}))

    assert "request" not in payload
    assert "user" not in payload


def test_long_texts_are_cut_with_their_length_and_the_span_stays() -> None:
    root = record(1, name="n" * 300)
    child = record(2, 1, name="d" * 10_000, attributes={"big": "x" * 500_000})

    payload = converted(root, child)

    assert len(payload["transaction"]) == 200
    meta = payload["_meta"]
    assert meta["transaction"] == {"": {"rem": [["!limit", "s", 197, 200]], "len": 300}}
    assert meta["spans"]["0"]["data"]["big"][""]["len"] == 500_000
    assert meta["spans"]["0"]["description"][""]["len"] == 10_000


def test_a_large_resource_is_spread_over_two_contexts() -> None:
    attributes = {f"key.{index}": "v" * 60 for index in range(150)}
    attributes["process.command_line"] = "x" * 5_000
    attributes |= {"process.runtime.name": "CPython", "process.runtime.version": "3.11"}

    payload = converted(record(1, resource=Resource(dict(attributes))))

    contexts = payload["contexts"]
    found = contexts["otel"]["resource"] | contexts["otel_resource"]
    assert found.keys() == attributes.keys()
    assert contexts["runtime"] == {"name": "CPython", "version": "3.11"}
    assert all(len(json.dumps(context)) < 8192 for context in contexts.values())


def test_a_follow_up_says_so() -> None:
    payload = converted(record(5, 2), is_follow_up=True)

    assert payload["contexts"]["trace"]["data"]["spanbridge.follow_up"] is True
    assert payload["contexts"]["trace"]["parent_span_id"] == f"{2:016x}"


def test_ids_relay_refuses_do_not_cost_the_transaction() -> None:
    child = msgspec.structs.replace(record(2, 1), span_id="0" * 16, parent_span_id="0" * 16)

    [span] = converted(record(1), child)["spans"]

    assert int(span["span_id"], 16) != 0
    assert span["data"]["otel.span_id"] == "0" * 16
    assert "parent_span_id" not in span


def test_a_span_that_names_itself_as_its_parent_has_none() -> None:
    payload = converted(record(1, 1), record(2, 2))

    assert "parent_span_id" not in payload["contexts"]["trace"]
    assert "parent_span_id" not in payload["spans"][0]


@pytest.mark.parametrize("name", ["", "  \n"])
def test_a_root_without_a_name_is_called_what_sentry_calls_it(name: str) -> None:
    assert converted(record(1, name=name))["transaction"] == "<unlabeled transaction>"


def test_the_length_of_a_description_is_told_where_the_description_is() -> None:
    payload = converted(record(1, name="n" * 5_000, attributes={"large": "x" * 9_000}))

    trace = payload["contexts"]["trace"]
    assert "description" not in trace
    assert len(trace["data"]["sentry.description"]) == 4_096
    of_trace = payload["_meta"]["contexts"]["trace"]
    assert of_trace.keys() == {"data"}
    assert of_trace["data"]["sentry.description"][""]["len"] == 5_000


def test_a_tag_of_blanks_and_control_characters_is_none() -> None:
    attributes = {"sentry.tag.a": "\x01 \x01", "sentry.tag.b": " \x01 x \x7f "}

    assert converted(record(1, attributes=dict(attributes)))["tags"] == {"b": "x"}
