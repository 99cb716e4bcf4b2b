"""Three web frameworks on real servers, and four clients that call them, all instrumented."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import aiohttp
import fastapi
import flask
import httpx
import requests
import urllib3
import uvicorn
from aiohttp import web
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from starlette.testclient import TestClient
from werkzeug.serving import make_server

import spanbridge

spanbridge.configure()
for instrumentor in (
    AioHttpClientInstrumentor,
    AioHttpServerInstrumentor,
    HTTPXClientInstrumentor,
    RequestsInstrumentor,
    URLLib3Instrumentor,
):
    instrumentor().instrument()
tracer = trace.get_tracer("shop")


def make_fastapi() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/items/{number}")
    async def item(number: int) -> dict[str, int]:
        if number == 404:
            raise fastapi.HTTPException(404)
        if number == 500:
            raise LookupError("no such shelf")
        return {"number": number}

    @app.websocket("/prices/{number}")
    async def prices(connection: fastapi.WebSocket, number: int) -> None:
        await connection.accept()
        await connection.send_json(number)
        await connection.close()

    FastAPIInstrumentor.instrument_app(app)
    return app


def make_flask() -> flask.Flask:
    app = flask.Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.route("/orders/<int:number>", methods=["GET", "POST", "HEAD", "OPTIONS"])
    def order(number: int) -> str:
        if number == 404:
            flask.abort(404)
        if number == 500:
            raise LookupError("no such order")
        return str(number)

    FlaskInstrumentor().instrument_app(app)
    return app


async def stock(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["number"])


def make_aiohttp() -> web.Application:
    app = web.Application()
    app.router.add_get("/stock/{number}", stock)
    return app


@contextmanager
def served_by_uvicorn(app: fastapi.FastAPI) -> Iterator[str]:
    # Whoever connects waits in the socket until the server is up.
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def served_by_werkzeug(app: flask.Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def call(what: str, do: Callable[..., object], *arguments: object, **named: object) -> None:
    """One call in a span of its own, whose name tells the test which one it is."""
    with tracer.start_as_current_span(what):
        do(*arguments, **named)


async def with_aiohttp() -> None:
    runner = web.AppRunner(make_aiohttp())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for path in ("/stock/7", "/nothing/7?token=private"):
            with tracer.start_as_current_span(f"aiohttp {path.partition('?')[0]}"):
                async with session.get(path) as response:
                    await response.read()
    await runner.cleanup()


def main() -> None:
    app = make_fastapi()
    # Without a server: uvicorn takes no WebSockets without a further package.
    with TestClient(app).websocket_connect("/prices/7?token=private") as connection:
        connection.receive_json()
    with served_by_uvicorn(app) as url:
        for number in (1, 2, 404, 500):
            call(f"httpx {number}", httpx.get, f"{url}/items/{number}?token=private")
        call("httpx unknown", httpx.get, f"{url}/nowhere/7")
        call("httpx options", httpx.options, f"{url}/items/1")
    with served_by_werkzeug(make_flask()) as url:
        for number in (1, 2, 404, 500):
            call(f"requests {number}", requests.get, f"{url}/orders/{number}?token=private")
        call("requests unknown", requests.post, f"{url}/nowhere/7", b"abc")
        call("requests head", requests.head, f"{url}/orders/1")
        pool = urllib3.PoolManager(retries=urllib3.Retry(0))
        call("urllib3 1", pool.request, "GET", f"{url}/orders/1?token=private")
        with suppress(urllib3.exceptions.MaxRetryError):
            call("urllib3 refused", pool.request, "GET", "http://127.0.0.1:1/")
    asyncio.run(with_aiohttp())
    spanbridge.shutdown()


if __name__ == "__main__":
    main()
