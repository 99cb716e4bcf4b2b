"""Each kind of work says as a breadcrumb what one wants to know of it, in old and new words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.decide.breadcrumbs import (
    MAX_DATA,
    bare_url,
    cut,
    event_breadcrumb,
    exception_breadcrumb,
    log_breadcrumb,
    span_breadcrumb,
)
from spanbridge.model.log import LogRecord
from spanbridge.model.span import SpanEvent
from tests.support.spans import exception_event, record

NEW_HTTP = {
    "http.request.method": "GET",
    "url.full": "https://ann:pw@bank.example/pay?token=1#top",
    "http.response.status_code": 503,
}
OLD_HTTP = {
    "http.method": "GET",
    "http.url": "https://ann:pw@bank.example/pay?token=1",
    "http.status_code": 503,
}
SERVED = {
    "http.request.method": "GET",
    "url.scheme": "https",
    "server.address": "bank.example",
    "url.path": "/pay",
    "http.response.status_code": 503,
}
HTTP_DATA = {"method": "GET", "url": "https://bank.example/pay", "status_code": 503}
NEW_DB = {"db.system.name": "postgresql", "db.query.text": "SELECT 1", "db.namespace": "shop"}
OLD_DB = {"db.system": "postgresql", "db.statement": "SELECT 1", "db.name": "shop"}
DB_DATA = {"db.system.name": "postgresql", "db.namespace": "shop"}


@pytest.mark.parametrize(
    ("attributes", "category", "kind", "message", "data"),
    [
        (NEW_HTTP, "http", "http", "GET https://bank.example/pay", HTTP_DATA),
        (OLD_HTTP, "http", "http", "GET https://bank.example/pay", HTTP_DATA),
        (SERVED, "http", "http", "GET https://bank.example/pay", HTTP_DATA),
        (NEW_DB, "query", "query", "SELECT 1", DB_DATA),
        (OLD_DB, "query", "query", "SELECT 1", DB_DATA),
        (
            {"gen_ai.operation.name": "chat", "gen_ai.system": "openai",
             "gen_ai.usage.prompt_tokens": 7},
            "gen_ai", "default", "work",
            {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
             "gen_ai.usage.input_tokens": 7},
        ),
        (
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
            "agent", "default", "work",
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
        ),
        ({"gen_ai.tool.name": "search"}, "tool", "default", "work", {"gen_ai.tool.name": "search"}),
        ({"mcp.method.name": "tools/call"}, "mcp", "default", "work",
         {"mcp.method.name": "tools/call"}),
        ({"multi_agent.operation.name": "consensus_round"}, "consensus.round", "default", "work",
         {}),
        (
            {"messaging.system": "kafka", "messaging.destination": "orders"},
            "messaging", "default", "work",
            {"messaging.system": "kafka", "messaging.destination.name": "orders"},
        ),
        (
            {"rpc.system": "grpc", "rpc.service": "shop.Orders", "rpc.grpc.status_code": 0},
            "rpc", "default", "work",
            {"rpc.system.name": "grpc", "rpc.service": "shop.Orders",
             "rpc.response.status_code": 0},
        ),
        ({"cache.key": "a", "cache.hit": False}, "cache", "default", "work",
         {"cache.key": "a", "cache.hit": False}),
        ({"order.id": 7}, "span", "default", "work", {}),
    ],
)  # fmt: skip
def test_a_span_says_what_it_did(
    attributes: dict[str, Any], category: str, kind: str, message: str, data: dict[str, Any]
) -> None:
    crumb = span_breadcrumb(record(2, 1, name="work", attributes=attributes), 1024)

    assert (crumb.category, crumb.type, crumb.message) == (category, kind, message)
    assert crumb.data == {**data, "duration_ms": 1.0, "span_id": f"{2:016x}"}
    assert crumb.timestamp == pytest.approx(1_700_000_000.001)


@pytest.mark.parametrize(
    ("status", "status_code", "level"),
    [
        ("unset", 200, "info"), ("unset", 404, "warning"), ("unset", 500, "error"),
        ("error", 404, "error"), ("ok", "odd", "info"),
    ],
)  # fmt: skip
def test_the_level_follows_the_status(status: str, status_code: object, level: str) -> None:
    attributes = {"http.request.method": "GET", "http.response.status_code": status_code}
    span = record(2, 1, status=status, status_message="why", attributes=attributes)

    crumb = span_breadcrumb(span, 1024)

    assert crumb.level == level
    assert crumb.data.get("status_message") == ("why" if status == "error" else None)


def test_an_event_is_its_name_and_attributes() -> None:
    crumb = event_breadcrumb(SpanEvent("retry", 1_500_000_000, {"n": 2}), record(2), 1024)

    assert (crumb.category, crumb.message, crumb.timestamp) == ("event", "retry", 1.5)
    assert crumb.data == {"n": 2, "span_id": f"{2:016x}"}


@pytest.mark.parametrize(("is_recovered", "level"), [(True, "warning"), (False, "error")])
def test_an_exception_says_where_it_happened_and_what_was_logged(
    is_recovered: bool, level: str
) -> None:
    log = LogRecord(1, 17, "no answer", "shop.bank")
    crumb = exception_breadcrumb(
        exception_event("shop.errors.Timeout", "late"),
        record(2, 1, name="charge"),
        log,
        1024,
        is_recovered=is_recovered,
    )

    assert (crumb.category, crumb.type, crumb.level) == ("exception", "error", level)
    assert crumb.message == "Timeout: late"
    assert crumb.data["span"] == "charge"
    assert (crumb.data["logger"], crumb.data["logged"]) == ("shop.bank", "no answer")
    assert crumb.data.get("recovered", False) is is_recovered


@pytest.mark.parametrize(
    ("severity", "level"),
    [(0, "info"), (5, "debug"), (9, "info"), (13, "warning"), (17, "error"), (24, "fatal")],
)
def test_a_log_record_is_its_text(severity: int, level: str) -> None:
    attributes: dict[str, Any] = {"order": 7, "exception.stacktrace": "Traceback"}
    crumb = log_breadcrumb(LogRecord(1, severity, "stored", "shop", attributes), 1024)

    assert (crumb.category, crumb.message, crumb.level) == ("shop", "stored", level)
    assert crumb.data == {"order": 7}


def test_the_body_of_an_event_is_data_which_may_be_withheld() -> None:
    said = LogRecord(1, 9, "what is love", "llm", event_name="gen_ai.user.message")

    crumb = log_breadcrumb(said, 1024)

    assert (crumb.message, crumb.data) == ("gen_ai.user.message", {"body": "what is love"})


def test_texts_are_cut_and_data_stays_small() -> None:
    attributes: dict[str, Any] = {f"k{n}": "x" * 50 for n in range(100)}
    attributes |= {"k0": ["y" * 50] * 100, "k1": {"deep": {"deep": {"deep": {"deep": {}}}}}}
    attributes |= {"k2": object()}

    crumb = log_breadcrumb(LogRecord(1, 9, "z" * 50, "shop", attributes), 20)

    assert crumb.message == "z" * 17 + "..."
    assert len(crumb.data) == MAX_DATA
    assert crumb.data["k0"] == ["y" * 17 + "..."] * MAX_DATA
    assert "..." in repr(crumb.data["k1"])
    assert len(str(crumb.data["k2"])) <= 20


@given(st.text(max_size=40), st.text("abc:/@ ", max_size=40), st.integers(1, 50))
def test_a_cut_text_is_never_longer_and_no_address_loses_only_its_end(
    before: str, after: str, max_chars: int
) -> None:
    text = f"{before} https://ann:password@host/ {after}"
    short = cut(text, max_chars)

    assert len(short) <= max_chars
    assert "ann" not in short or "ann:password@host/ " in short or "ann" in before


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://a:b@host:1/x?y#z", "https://host:1/x"),
        ("/path?y", "/path"),
        ("host/a@b", "host/a@b"),
        ("http://[::1]:80/@x", "http://[::1]:80/@x"),
        ("", ""),
    ],
)
def test_a_url_is_told_without_user_query_and_fragment(url: str, bare: str) -> None:
    assert bare_url(url) == bare
