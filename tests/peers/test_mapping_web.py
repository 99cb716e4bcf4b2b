"""Real web frameworks and HTTP clients under their stock instrumentations, as Sentry shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.mapping import BOTH, NEW, OLD, record
from tests.support.shown import Recorded

REQUESTS = [
    # called, method, URL, status of both sides, name of the server's side, its source
    ("httpx 1", "GET", "/items/1", "ok", "GET /items/{number}", "route"),
    ("httpx 2", "GET", "/items/2", "ok", "GET /items/{number}", "route"),
    ("httpx 404", "GET", "/items/404", "not_found", "GET /items/{number}", "route"),
    ("httpx 500", "GET", "/items/500", "internal_error", "GET /items/{number}", "route"),
    ("httpx unknown", "GET", "/nowhere/7", "not_found", "GET /nowhere/7", "url"),
    (
        "httpx options",
        "OPTIONS",
        "/items/1",
        "invalid_argument",
        "OPTIONS /items/{number}",
        "route",
    ),
    ("requests 1", "GET", "/orders/1", "ok", "GET /orders/<int:number>", "route"),
    ("requests 2", "GET", "/orders/2", "ok", "GET /orders/<int:number>", "route"),
    ("requests 404", "GET", "/orders/404", "not_found", "GET /orders/<int:number>", "route"),
    ("requests 500", "GET", "/orders/500", "internal_error", "GET /orders/<int:number>", "route"),
    ("requests unknown", "POST", "/nowhere/7", "not_found", "POST /nowhere/7", "url"),
    ("requests head", "HEAD", "/orders/1", "ok", "HEAD /orders/<int:number>", "route"),
    ("urllib3 1", "GET", "/orders/1", "ok", "GET /orders/<int:number>", "route"),
    ("aiohttp /stock/7", "GET", "/stock/7", "ok", "GET /stock/{number}", "route"),
    ("aiohttp /nothing/7", "GET", "/nothing/7", "not_found", "GET /nothing/7", "url"),
]
CODES = {"ok": 200, "not_found": 404, "invalid_argument": 405, "internal_error": 500}
SERVERS = {"httpx": "fastapi", "requests": "flask", "urllib3": "flask", "aiohttp": "aiohttp_server"}


@pytest.fixture(scope="module", params=[OLD, NEW, BOTH], ids=["old", "new", "both"])
def recorded(request: pytest.FixtureRequest, instrumented: Path) -> Recorded:
    return record("web", instrumented, conventions=request.param)


def test_both_sides_of_a_request_are_shown_alike_under_all_conventions(recorded: Recorded) -> None:
    for called, method, path, status, name, source in REQUESTS:
        [made] = recorded.children_of(called)
        served = recorded.served_by(made)

        assert (made.op, made.description) == ("http.client", f"{method} http://127.0.0.1{path}")
        assert (served.op, served.description, served.source) == ("http.server", name, source)
        assert (made.status, served.status) == (status, status), called
        client = called.split()[0]
        assert made.origin.removesuffix("_client") == f"auto.http.otel.{client}"
        assert served.origin == f"auto.http.otel.{SERVERS[client]}"


def test_both_sides_have_what_the_requests_module_reads(recorded: Recorded) -> None:
    for called, method, _, status, *_ in REQUESTS:
        [made] = recorded.children_of(called)
        for span in (made, recorded.served_by(made)):
            assert span.values(
                "server.address", "http.request.method", "http.response.status_code"
            ) == ("127.0.0.1", method, CODES[status])
            assert type(span.data["server.port"]) is int


def test_a_request_that_never_arrives_is_a_failed_one(recorded: Recorded) -> None:
    [refused] = recorded.children_of("urllib3 refused")

    assert (refused.op, refused.description, refused.status) == (
        "http.client",
        "GET http://127.0.0.1/",
        "internal_error",
    )


def test_only_what_failed_at_a_server_or_escaped_is_an_issue(recorded: Recorded) -> None:
    types = sorted(issue["exception"]["values"][-1]["type"] for issue in recorded.issues)

    assert types == ["LookupError", "LookupError", "MaxRetryError"]


def test_no_request_has_two_spans_on_a_side_and_no_upload_is_traced(recorded: Recorded) -> None:
    made = [span for span in recorded.spans if span.op == "http.client"]
    served = [span for span in recorded.spans if span.op == "http.server"]

    assert len(made) == len(REQUESTS) + 1
    assert len(served) == len(REQUESTS)
    assert not [span for span in recorded.spans if "envelope" in (span.description or "")]


def test_a_websocket_is_named_by_its_route(recorded: Recorded) -> None:
    [served] = [span for span in recorded.spans if span.op == "websocket.server"]

    assert (served.description, served.source, served.status) == ("/prices/{number}", "route", "ok")


def test_messages_of_asgi_stay_below_their_request(recorded: Recorded) -> None:
    messages = [span for span in recorded.spans if "asgi.event.type" in span.data]

    assert {message.op for message in messages} == {"http", "websocket"}
    assert {message.origin for message in messages} == {"auto.http.otel.fastapi"}
    assert "GET /items/{number} http send" in {message.description for message in messages}
