"""Exceptions of requests: answered for, cancelled, or somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.told import Told, fail, telling


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with telling(tmp_path / "told.jsonl") as told:
        yield told


class Answered(Exception):
    """The application's own, with a handler that answers 500."""


@pytest.fixture
def app(told: Told) -> FastAPI:
    app = FastAPI()

    @app.get("/boom")
    async def boom() -> None:
        fail()

    @app.get("/answered")
    async def answered() -> None:
        raise Answered("sorry")

    @app.get("/down")
    async def down() -> JSONResponse:
        return JSONResponse({}, 503)

    @app.exception_handler(Answered)
    async def answer(request: Request, error: Answered) -> JSONResponse:
        return JSONResponse({}, 500)

    @app.websocket("/ws")
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()

    FastAPIInstrumentor.instrument_app(app, tracer_provider=told.under_test.provider)
    return app


async def get(app: FastAPI, path: str) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get(path)


@pytest.mark.parametrize(("path", "is_handled"), [("/boom", False), ("/answered", True)])
def test_an_exception_of_a_request_is_handled_if_the_application_answers_for_it(
    told: Told, app: FastAPI, path: str, is_handled: bool
) -> None:
    asyncio.run(get(app, path))

    [issue] = told.issues
    assert issue["is_handled"] is is_handled
    assert issue["span"]["name"] == f"GET {path}"


def test_a_5xx_answered_while_the_caller_handles_an_exception_of_its_own_is_no_issue(
    told: Told, app: FastAPI
) -> None:
    async def run() -> None:
        try:
            raise ConnectionError("of the caller")
        except ConnectionError:
            await get(app, "/down")

    asyncio.run(run())

    assert told.issues == []


def test_a_request_that_fails_inside_an_unrelated_except_block_is_not_blamed_on_it(
    told: Told,
) -> None:
    try:
        raise ConnectionError("unrelated")
    except ConnectionError:
        with told.tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server:
            server.set_status(StatusCode.ERROR)

    assert told.issues == []


def test_a_websocket_client_that_goes_away_is_no_error(told: Told, app: FastAPI) -> None:
    incoming: Iterator[dict[str, object]] = iter(
        [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]
    )

    async def receive() -> dict[str, object]:
        return next(incoming)

    async def send(message: dict[str, object]) -> None:
        pass

    scope = {
        "type": "websocket", "path": "/ws", "raw_path": b"/ws", "query_string": b"",
        "root_path": "", "scheme": "ws", "headers": [], "subprotocols": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    with suppress(Exception):
        asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]

    assert told.issues == []
    assert told.errors["filtered"] >= 1


@pytest.mark.parametrize("cls", [asyncio.CancelledError, GeneratorExit, SystemExit])
def test_a_request_that_is_cancelled_is_no_error_even_with_status_error(
    told: Told, cls: type[BaseException]
) -> None:
    with (
        suppress(cls),
        told.tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server,
    ):
        server.set_status(StatusCode.ERROR)
        raise cls

    assert told.issues == []
