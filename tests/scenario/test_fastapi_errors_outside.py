"""Websockets, the lifespan and the event loop of a FastAPI application that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketException
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import StatusCode

from tests.support.failing_fastapi import Broken, instrument
from tests.support.web import Watched, live, talk, watching


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path / "told.jsonl") as watched:
        yield watched


@pytest.fixture
def app() -> Iterator[FastAPI]:
    app = FastAPI()
    yield app
    FastAPIInstrumentor.uninstrument_app(app)


def websockets(app: FastAPI) -> None:
    @app.websocket("/before")
    async def before(socket: WebSocket) -> None:
        raise Broken("before accept")

    @app.websocket("/after")
    async def after(socket: WebSocket) -> None:
        await socket.accept()
        raise Broken("after accept")

    @app.websocket("/rejected")
    async def rejected(socket: WebSocket) -> None:
        await socket.accept()
        raise WebSocketException(1008)

    @app.websocket("/failed")
    async def failed(socket: WebSocket) -> None:
        await socket.accept()
        raise WebSocketException(1011)

    @app.websocket("/answered")
    async def answered(socket: WebSocket) -> None:
        await socket.accept()
        raise ZeroDivisionError("answered")

    @app.websocket("/gone")
    async def gone(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()

    @app.exception_handler(ZeroDivisionError)
    async def answer(socket: WebSocket, error: ZeroDivisionError) -> None:
        await socket.close(1011)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/before", [("Broken", False)]),
        ("/after", [("Broken", False)]),
        ("/rejected", []),
        ("/failed", [("WebSocketException", True)]),
        ("/answered", [("ZeroDivisionError", True)]),
        ("/gone", []),
    ],
)
def test_a_websocket_that_fails_is_one_issue(
    watched: Watched, app: FastAPI, path: str, expected: list[tuple[str, bool]]
) -> None:
    websockets(app)
    instrument(app, watched)

    talk(app, path)

    assert [(i["exceptions"][0]["type"], i["is_handled"]) for i in watched.issues] == expected
    if expected:
        assert watched.server.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("is_at_start", [True, False])
def test_a_lifespan_that_fails_is_one_unhandled_issue(watched: Watched, is_at_start: bool) -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if is_at_start:
            raise Broken("start")
        yield
        raise Broken("stop")

    app = FastAPI(lifespan=lifespan)
    instrument(app, watched)

    messages = live(app)

    assert messages[-1] == f"lifespan.{'startup' if is_at_start else 'shutdown'}.failed"
    [record] = [log.log_record for log in watched.logs]
    assert (record.attributes or {})["exception.message"] == ("start" if is_at_start else "stop")
    [issue] = watched.issues
    assert (issue["exceptions"][0]["type"], issue["is_handled"]) == ("Broken", False)


def test_the_event_loops_handler_of_the_application_still_gets_everything(
    watched: Watched,
) -> None:
    seen: list[BaseException] = []

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        seen.append(context["exception"])

    def fail() -> None:
        raise Broken("in a callback")

    async def within() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(handler)
        yield
        assert asyncio.get_running_loop().get_exception_handler() is not None

    application = FastAPI(lifespan=lifespan)
    instrument(application, watched)

    live(application, within=within)

    assert [str(error) for error in seen] == ["in a callback"]
    [record] = [log.log_record for log in watched.logs]
    assert (record.attributes or {})["sentry.mechanism.type"] == "auto.asyncio"
    [issue] = watched.issues
    assert issue["exceptions"][0]["type"] == "Broken"
