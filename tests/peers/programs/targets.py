"""Every HTTP client of the environment calls one server under two names.

Prints, for each client and name, the headers that arrived and what the calling span said of its
target when the headers were written.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import httpx
import requests
import urllib3
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.propagators.textmap import CarrierT, Setter, TextMapPropagator, default_setter

import spanbridge

HEARD: dict[str, list[str]] = {}
KNOWN: list[list[str]] = []
_TARGETS = ("url.full", "http.url", "server.address", "net.peer.name", "http.host")


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        HEARD[self.path] = sorted(name.lower() for name in self.headers)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Watching(TextMapPropagator):
    """The propagators as they are, with a note of what is known when they write."""

    def __init__(self, watched: TextMapPropagator) -> None:
        self._watched = watched

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        attributes = getattr(trace.get_current_span(context), "attributes", None) or {}
        KNOWN.append([name for name in _TARGETS if name in attributes])
        self._watched.inject(carrier, context, setter)

    def extract(self, *args: Any, **kwargs: Any) -> Context:
        return self._watched.extract(*args, **kwargs)

    @property
    def fields(self) -> set[str]:
        return self._watched.fields


async def by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass


async def by_httpx_later(url: str) -> None:
    async with httpx.AsyncClient() as client:
        await client.get(url)


CLIENTS: dict[str, Callable[[str], object]] = {
    "httpx": httpx.get,
    "httpx async": lambda url: asyncio.run(by_httpx_later(url)),
    "requests": requests.get,
    "urllib3": lambda url: urllib3.PoolManager().request("GET", url),
    "aiohttp": lambda url: asyncio.run(by_aiohttp(url)),
}


def main() -> None:
    spanbridge.configure()
    propagate.set_global_textmap(Watching(propagate.get_global_textmap()))
    for instrumentor in (
        AioHttpClientInstrumentor(),
        HTTPXClientInstrumentor(),
        RequestsInstrumentor(),
        URLLib3Instrumentor(),
    ):
        instrumentor.instrument()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told: dict[str, Any] = {}
    for client, get in CLIENTS.items():
        for host in ("localhost", "127.0.0.1"):
            KNOWN.clear()
            path = f"/{client.replace(' ', '-')}/{host}"
            with trace.get_tracer("caller").start_as_current_span("request"):
                get(f"http://{host}:{server.server_port}{path}")
            told[f"{client} to {host}"] = {"headers": HEARD[path], "known": KNOWN[0]}
    server.shutdown()
    assert spanbridge.flush()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
