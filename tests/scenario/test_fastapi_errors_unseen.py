"""Failures of FastAPI and Starlette applications that OpenTelemetry's instrumentation misses."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.failing_fastapi import Broken, instrument, pass_on, routes_that_fail_late
from tests.support.web import Watched, status_of, stream_of, watching


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path / "told.jsonl") as watched:
        yield watched


@pytest.fixture
def app() -> Iterator[FastAPI]:
    app = FastAPI()

    @app.get("/fine")
    async def fine() -> str:
        return "fine"

    @app.get("/boom")
    async def boom() -> None:
        raise Broken("boom")

    yield app
    FastAPIInstrumentor.uninstrument_app(app)


class Failing:
    """A pure ASGI middleware that fails before or after what is inside."""

    def __init__(self, app: ASGIApp, when: str) -> None:
        self.app = app
        self._when = when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._when == "before":
            raise Broken("before")
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            raise Broken("after")


def dispatch_failing(when: str) -> Callable[[Request, Any], Any]:
    async def dispatch(request: Request, call_next: Any) -> Any:
        if when == "before":
            raise Broken("before")
        await call_next(request)
        raise Broken("after")

    return dispatch


@pytest.mark.parametrize("is_added_last", [False, True])
@pytest.mark.parametrize("is_plain", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_in_a_middleware_is_one_issue(
    watched: Watched, app: FastAPI, when: str, is_plain: bool, is_added_last: bool
) -> None:
    def add() -> None:
        if is_plain:
            app.add_middleware(Failing, when=when)
        else:
            app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch_failing(when))

    if not is_added_last:
        add()
    instrument(app, watched)
    if is_added_last:
        add()

    is_answered = is_plain and when == "after"  # a plain one fails when all is sent
    assert status_of(app, "/fine") == (200 if is_answered else 500)

    [issue] = watched.issues
    assert (issue["exceptions"][0]["value"], issue["is_handled"]) == (when, False)
    assert issue["span_id"] == watched.server_id
    assert len(watched.logs) == is_answered


@pytest.mark.parametrize("is_plain", [False, True])
def test_an_exception_that_a_middleware_turns_into_a_server_error_is_one_handled_issue(
    watched: Watched, app: FastAPI, is_plain: bool
) -> None:
    class Catching:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self.app(scope, receive, send)
            except Broken:
                response = PlainTextResponse("sorry", 503)
            else:
                return
            await response(scope, receive, send)

    async def catch(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Broken:
            return PlainTextResponse("sorry", 503)

    if is_plain:
        app.add_middleware(Catching)
    else:
        app.add_middleware(BaseHTTPMiddleware, dispatch=catch)
    instrument(app, watched)

    assert status_of(app, "/boom") == 503

    [issue] = watched.issues
    assert (issue["exceptions"][0]["type"], issue["is_handled"]) == ("Broken", True)
    assert issue["span_id"] == watched.server_id


def test_an_exception_that_a_middleware_recovers_from_is_no_issue(
    watched: Watched, app: FastAPI
) -> None:
    async def answer_from_cache(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Broken:
            return PlainTextResponse("from the cache")

    app.add_middleware(BaseHTTPMiddleware, dispatch=answer_from_cache)
    instrument(app, watched)

    assert status_of(app, "/boom") == 200

    assert watched.issues == []


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_for_everything_sees_the_span_and_the_exception_stays_unhandled(
    watched: Watched, app: FastAPI, is_async: bool
) -> None:
    def answer(request: Request, error: Exception) -> JSONResponse:
        watched.handler_is_here()
        return JSONResponse({}, 500)

    async def answer_async(request: Request, error: Exception) -> JSONResponse:
        return answer(request, error)

    app.add_exception_handler(Exception, answer_async if is_async else answer)
    instrument(app, watched)

    assert status_of(app, "/boom") == 500

    [issue] = watched.issues
    assert issue["is_handled"] is False
    assert watched.span_ids_in_handlers == [watched.server_id]
    assert watched.server.status.status_code is StatusCode.ERROR


def test_an_unhandled_exception_of_a_mounted_application_is_not_called_handled(
    watched: Watched, app: FastAPI
) -> None:
    inner = FastAPI()
    inner.add_api_route("/boom", app.routes[-1].endpoint)  # type: ignore[attr-defined]
    app.mount("/inner", inner)
    instrument(app, watched)

    assert status_of(app, "/inner/boom") == 500

    [issue] = watched.issues
    assert (issue["span_id"], issue["is_handled"]) == (watched.server_id, False)


LATE = (
    "/after-yield", "/after-yield-sync", "/background", "/background-async", "/stream/0",
    "/stream/2", "/stream-sync/0", "/stream-sync/2", "/events/0", "/events/2",
)  # fmt: skip


def events_that_break_off(app: FastAPI) -> None:
    """FastAPI's own server-sent events, if its version has any."""
    sse = pytest.importorskip("fastapi.sse")

    @app.get("/events/{good}", response_class=sse.EventSourceResponse)
    async def events(good: int) -> AsyncIterator[str]:
        for _ in range(good):
            yield "event"
        raise Broken("events")


@pytest.mark.parametrize("is_behind_a_middleware", [False, True])
@pytest.mark.parametrize("path", LATE)
def test_what_fails_when_the_answer_has_begun_is_one_issue_of_the_request(
    watched: Watched, app: FastAPI, path: str, is_behind_a_middleware: bool
) -> None:
    routes_that_fail_late(app)
    if path.startswith("/events"):
        events_that_break_off(app)
    if is_behind_a_middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    instrument(app, watched)

    stream_of(app, path)

    [issue] = watched.issues
    # FastAPI runs event streams in a task group, whose exception group leaves the application.
    assert "Broken" in [exception["type"] for exception in issue["exceptions"]]
    assert issue["is_handled"] is False
    assert issue["trace_id"] == watched.trace_id


def test_what_no_span_records_any_more_is_written_as_a_log_record_of_the_request(
    watched: Watched, app: FastAPI
) -> None:
    app.add_middleware(Failing, when="after")
    instrument(app, watched)

    status_of(app, "/fine")

    [record] = [log.log_record for log in watched.logs]
    assert f"{record.trace_id:032x}" == watched.trace_id
    assert f"{record.span_id:016x}" == watched.server_id
    assert record.severity_number is SeverityNumber.ERROR
    assert (record.attributes or {})["sentry.mechanism.type"] == "auto.http.fastapi"
    assert (record.attributes or {})["sentry.mechanism.handled"] is False


@pytest.mark.parametrize("path", ["/boom", "/answered", "/fine"])
def test_without_a_span_failures_are_still_told(watched: Watched, app: FastAPI, path: str) -> None:
    @app.get("/answered")
    async def answered() -> None:
        raise HTTPException(503)

    instrument(app, watched, excluded_urls="boom,answered,fine")

    status_of(app, path)

    assert watched.spans == ()
    told = [(i["exceptions"][0]["type"], i["is_handled"]) for i in watched.issues]
    expected = {"/boom": [("Broken", False)], "/answered": [("HTTPException", True)]}
    assert told == expected.get(path, [])


def test_a_plain_starlette_application_has_the_same_issues(watched: Watched) -> None:
    async def boom(request: Request) -> PlainTextResponse:
        raise Broken("boom")

    async def unavailable(request: Request) -> PlainTextResponse:
        raise HTTPException(503)

    app = Starlette(
        routes=[Route("/boom/{id}", boom), Mount("/inner", routes=[Route("/503", unavailable)])]
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    instrument(app, watched)

    assert (status_of(app, "/boom/7"), status_of(app, "/inner/503")) == (500, 503)

    unhandled, handled = watched.issues
    assert (unhandled["exceptions"][0]["type"], unhandled["is_handled"]) == ("Broken", False)
    assert (handled["exceptions"][0]["type"], handled["is_handled"]) == ("HTTPException", True)
    assert unhandled["span"]["name"] == "GET /boom/{id}"


def test_an_exception_answered_for_is_released_with_its_request(
    watched: Watched, app: FastAPI
) -> None:
    errors: list[weakref.ref[BaseException]] = []

    @app.exception_handler(Broken)
    async def answer(request: Request, error: Broken) -> JSONResponse:
        errors.append(weakref.ref(error))
        return JSONResponse({}, 503)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    instrument(app, watched)

    status_of(app, "/boom")
    assert len(watched.issues) == 1
    gc.collect()

    assert [error() for error in errors] == [None]
