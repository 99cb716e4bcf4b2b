"""Variables of a request that failed leave without the address of whoever sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from spanbridge.instrument import fastapi as fastapi_glue
from spanbridge.instrument import flask as flask_glue
from tests.support.web import Watched, watching

ADDRESS = "203.0.113.9"
CALLERS = (
    "wsgi.url_scheme",
    "werkzeug.socket",
    "REMOTE_ADDR",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_FORWARDED",
)
FORWARDED = {"X-Forwarded-For": ADDRESS, "Forwarded": f"for={ADDRESS}"}


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told.jsonl"


@pytest.fixture
def watched(told: Path) -> Iterator[Watched]:
    with watching(told) as watched:
        yield watched


def variables(watched: Watched) -> dict[str, Any]:
    [issue] = watched.issues
    found: dict[str, Any] = issue["exceptions"][0]["frames"][-1]["vars"]
    return found


def test_a_fastapi_endpoint_that_fails_tells_no_address(watched: Watched, told: Path) -> None:
    app = FastAPI()

    @app.post("/order")
    async def order(r: Request) -> None:
        scope, headers, within = r.scope, r.headers.items(), [[[r.scope]]]
        raise ValueError("declined", len(scope), len(headers), len(within))

    fastapi_glue.instrument_app(
        app, tracer_provider=watched.tracer_provider, logger_provider=watched.logger_provider
    )

    async def as_uvicorn(scope: Scope, receive: Receive, send: Send) -> None:
        # In its order: of a variable the first ten entries are read.
        first = {"type": "http", "asgi": {}, "server": ("shop", 80), "client": (ADDRESS, 4711)}
        await app({**first, **scope, "client": (ADDRESS, 4711)}, receive, send)

    async def main() -> None:
        transport = httpx.ASGITransport(as_uvicorn, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            await client.post("/order", headers=FORWARDED)

    asyncio.run(main())

    seen = variables(watched)
    assert seen["r"]["client"] == seen["scope"]["client"] == "[REDACTED]"
    assert seen["r"]["method"] == "'POST'"
    assert ADDRESS not in told.read_text()


def test_a_flask_view_that_fails_tells_no_address(watched: Watched, told: Path) -> None:
    app = flask.Flask("shop")

    @app.post("/order")
    def order() -> str:
        environ = flask.request.environ
        callers = {name: environ[name] for name in CALLERS}
        headers = list(flask.request.headers.items())
        raise ValueError("declined", len(environ), len(callers), len(headers))

    flask_glue.instrument_app(
        app, tracer_provider=watched.tracer_provider, logger_provider=watched.logger_provider
    )
    from_server = {"REMOTE_ADDR": ADDRESS, "werkzeug.socket": f"<socket raddr=('{ADDRESS}', 1)>"}
    app.test_client().post("/order", headers=FORWARDED, environ_base=from_server)

    callers = variables(watched)["callers"]
    assert callers == {**dict.fromkeys(CALLERS, "[REDACTED]"), "wsgi.url_scheme": "'http'"}
    assert ADDRESS not in told.read_text()
