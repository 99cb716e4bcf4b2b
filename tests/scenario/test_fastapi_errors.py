"""Every way in which a FastAPI or Starlette application fails: one issue, on the right span."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import StatusCode
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.failing_fastapi import (
    Answered,
    AnsweredAsync,
    Rejected,
    failing_routes,
    instrument,
    pass_on,
)
from tests.support.web import Watched, status_of, watching


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path / "told.jsonl") as watched:
        yield watched


class Plain:
    """A pure ASGI middleware that opens a span of its own."""

    def __init__(self, app: ASGIApp, tracer: trace.Tracer) -> None:
        self.app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._tracer.start_as_current_span("middleware"):
            await self.app(scope, receive, send)


STACKS = ("no middleware", "before", "after", "asgi", "both")


def application(watched: Watched, stack: str) -> FastAPI:
    app = FastAPI()
    tracer = watched.tracer_provider.get_tracer("application")

    @app.exception_handler(Answered)
    def answer(request: Request, error: Answered) -> JSONResponse:
        watched.handler_is_here()
        return JSONResponse({}, 503)

    @app.exception_handler(AnsweredAsync)
    async def answer_async(request: Request, error: AnsweredAsync) -> JSONResponse:
        watched.handler_is_here()
        return JSONResponse({}, 503)

    @app.exception_handler(Rejected)
    async def reject(request: Request, error: Rejected) -> JSONResponse:
        watched.handler_is_here()
        return JSONResponse({}, 409)

    failing_routes(app, tracer)
    router = APIRouter(prefix="/router")
    failing_routes(router, tracer)
    app.include_router(router)
    sub = FastAPI()
    failing_routes(sub, tracer)
    app.mount("/sub", sub)
    if stack in ("before", "both"):
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    if stack == "asgi":
        app.add_middleware(Plain, tracer=tracer)
    instrument(app, watched)
    if stack in ("after", "both"):
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    return app


@pytest.fixture(params=STACKS)
def app(watched: Watched, request: pytest.FixtureRequest) -> Iterator[FastAPI]:
    app = application(watched, request.param)
    yield app
    FastAPIInstrumentor.uninstrument_app(app)


@pytest.mark.parametrize(
    ("path", "status", "type_", "is_handled"),
    [
        ("/unhandled", 500, "Broken", False),
        ("/unhandled-sync", 500, "Broken", False),
        ("/http-500", 500, "HTTPException", True),
        ("/http-503-from", 503, "HTTPException", True),
        ("/answered", 503, "Answered", True),
        ("/answered-async", 503, "AnsweredAsync", True),
        ("/answered-child", 503, "Answered", True),
        ("/dependency", 500, "Broken", False),
        ("/before-yield", 500, "Broken", False),
        ("/through-yield", 500, "Broken", False),
        ("/router/unhandled", 500, "Broken", False),
        ("/router/answered", 503, "Answered", True),
        ("/sub/http-500", 500, "HTTPException", True),
    ],
)
def test_an_exception_that_is_answered_with_a_server_error_is_one_issue(
    watched: Watched, app: FastAPI, path: str, status: int, type_: str, is_handled: bool
) -> None:
    assert status_of(app, path) == status

    [issue] = watched.issues
    assert issue["exceptions"][0]["type"] == type_
    assert issue["is_handled"] is is_handled
    assert issue["exceptions"][0]["frames"][-1]["context_line"].strip().startswith("raise ")
    assert issue["local_root"]["span_id"] == watched.server_id
    assert watched.server.status.status_code is StatusCode.ERROR
    assert (watched.server.attributes or {})["http.status_code"] == status
    own = {watched.server_id, watched.id_of("middleware")}
    assert bool(own & set(watched.span_ids_in_handlers)) == type_.startswith("Answered")
    assert watched.logs == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/http-404", 404),
        ("/rejected", 409),
        ("/invalid", 422),
        ("/nowhere", 404),
        ("/unavailable", 503),
        ("/sub/unavailable", 503),
        ("/fine", 200),
    ],
)
def test_an_answer_without_an_exception_or_with_a_client_error_is_no_issue(
    watched: Watched, app: FastAPI, path: str, status: int
) -> None:
    assert status_of(app, path) == status

    assert watched.issues == []
    assert watched.logs == []
