"""Streams of a FastAPI application under uvicorn: left half way, many at once, one by one."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from spanbridge.receiver import Receiver
from tests.support.program import wait_until
from tests.support.service import Service, serving

TEXT = """
import asyncio, gc, logging
import spanbridge
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry import baggage, trace
from spanbridge.instrument import agent_task, stream
from spanbridge.instrument.fastapi import instrument_app

said = []

class Keep(logging.Handler):
    def emit(self, record):
        if record.name.startswith(("opentelemetry", "asyncio")):
            said.append(record.getMessage())

logging.getLogger().addHandler(Keep())
spanbridge.configure()
tracer = trace.get_tracer("service")
app = FastAPI()
kept = []
mixed = []

@stream("llm.stream")
async def llm(count):
    for number in range(count):
        yield f"data: {number}\\n\\n"
        await asyncio.sleep(0)

@agent_task("writer")
async def agent(count):
    async for item in llm(count):
        with tracer.start_as_current_span("execute_tool"):
            pass
        yield item

@app.get("/sse")
async def sse(count: int, how: str = "usual"):
    chunks = llm(count)
    if how == "usual":
        return StreamingResponse(chunks, media_type="text/event-stream")

    async def in_between():
        # The generator is never closed here: by another task, or by nobody.
        while (item := await anext(chunks, None)) is not None:
            if how == "task":
                kept.append(chunks)
            yield item
    return StreamingResponse(in_between(), media_type="text/event-stream")

@app.get("/agent")
async def streamed_agent(count: int):
    return StreamingResponse(agent(count), media_type="text/event-stream")

@app.get("/mine")
async def mine(request: Request, count: int):
    expected = request.headers["traceparent"].split("-")[1]
    tenant = baggage.get_baggage("tenant")

    @stream("llm.stream", attributes={"tenant.id": tenant})
    async def chunks():
        for _ in range(count):
            await asyncio.sleep(0.002)
            current = trace.get_current_span()
            here = current.get_span_context().trace_id
            if f"{here:032x}" != expected or baggage.get_baggage("tenant") != tenant:
                mixed.append(expected)
            with tracer.start_as_current_span("token"):
                pass
            yield "data: x\\n\\n"
    return StreamingResponse(chunks(), media_type="text/event-stream")

@app.post("/upload")
async def upload(request: Request):
    return len(await request.body())

@app.websocket("/talk")
async def talk(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)

@app.get("/settle")
async def settle():
    for chunks in {id(c): c for c in kept}.values():
        await asyncio.create_task(chunks.aclose())
    kept.clear()
    gc.collect()
    await asyncio.sleep(0.05)
    gc.collect()
    return {"said": said, "mixed": mixed}

instrument_app(app)
"""


@pytest.fixture
def service(receiver: Receiver, tmp_path: Path) -> Iterator[Service]:
    with serving(
        tmp_path, TEXT, SENTRY_DSN=receiver.dsn, SENTRY_ENVIRONMENT="development"
    ) as service:
        yield service


async def _take(service: Service, target: str, chunks: int | None = None, *headers: str) -> None:
    """Get ``target`` and leave after so many chunks, or at the end."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = (f"GET {target} HTTP/1.1", "host: x", "connection: close", *headers, "", "")
    writer.write("\r\n".join(lines).encode())
    if chunks is None:
        await reader.read()
    else:
        for _ in range(chunks):
            await reader.readuntil(b"data:")
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _settled(service: Service) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{service.url}/settle", timeout=20).json()
    return told


def _spans(receiver: Receiver, name: str) -> list[dict[str, Any]]:
    """What the receiver got of a span called so, from whichever segment."""
    found = []
    for item in receiver.transactions:
        context = item.payload["contexts"]["trace"]
        whole = {**context, "description": item.payload["transaction"]}
        found += [s for s in [whole, *item.payload["spans"]] if s["description"] == name]
    return found


def test_two_hundred_streams_of_which_half_are_left_end_quietly(
    receiver: Receiver, service: Service
) -> None:
    async def ask_all() -> None:
        ways = ("usual", "task", "nobody")
        # Those that are left would never come to an end.
        takes = [
            _take(
                service, f"/sse?how={ways[n % 3]}&count={10**9 if n % 2 else 20}", n % 2 * 3 or None
            )
            for n in range(200)
        ]
        for start in range(0, len(takes), 25):
            await asyncio.gather(*takes[start : start + 25])

    asyncio.run(ask_all())

    wait_until(lambda: _settled(service) and len(_spans(receiver, "llm.stream")) == 200, 20)
    assert _settled(service)["said"] == []
    assert receiver.issues == []
    assert receiver.violations == []
    outcomes = Counter(s["data"].get("spanbridge.outcome") for s in _spans(receiver, "llm.stream"))
    assert outcomes == {None: 100, "cancelled": 100}
    requests = _spans(receiver, "GET /sse")
    assert Counter(s["data"].get("spanbridge.outcome") for s in requests) == {
        None: 100,
        "disconnected": 100,
    }
    whole = [s["data"] for s in requests if "spanbridge.outcome" not in s["data"]]
    assert {data["spanbridge.stream.chunk.count"] for data in whole} == {20}


def test_the_tree_of_a_streamed_agent_is_whole(receiver: Receiver, service: Service) -> None:
    asyncio.run(_take(service, "/agent?count=3", None))

    [transaction] = receiver.wait_for(lambda r: r.transactions, 30)
    request = transaction.payload["contexts"]["trace"]
    spans = transaction.payload["spans"]
    [writer] = [s for s in spans if s["description"] == "invoke_agent writer"]
    assert writer["parent_span_id"] == request["span_id"]
    parents = {s["description"]: s["parent_span_id"] for s in spans if s is not writer}
    assert parents == {"llm.stream": writer["span_id"], "execute_tool": writer["span_id"]}
    assert {s["trace_id"] for s in spans} == {request["trace_id"]}


def test_five_hundred_streams_at_once_keep_their_own_trace_and_tenant(
    receiver: Receiver, service: Service
) -> None:
    expected = {secrets.token_hex(16): f"tenant-{n}" for n in range(500)}

    async def ask_all() -> None:
        at_once = asyncio.Semaphore(150)

        async def ask(trace_id: str, tenant: str) -> None:
            parent = f"traceparent: 00-{trace_id}-{secrets.token_hex(8)}-01"
            async with at_once:
                await _take(service, "/mine?count=3", None, parent, f"baggage: tenant={tenant}")

        await asyncio.gather(*(ask(*pair) for pair in expected.items()))

    asyncio.run(ask_all())

    receiver.wait_for(lambda r: len(_spans(receiver, "GET /mine")) == 500, 20)
    told = _settled(service)
    assert told == {"said": [], "mixed": []}
    got = {}
    for item in receiver.transactions:
        if item.payload["transaction"] != "GET /mine":
            continue
        trace_id = item.payload["contexts"]["trace"]["trace_id"]
        spans = item.payload["spans"]
        assert {s["trace_id"] for s in spans} == {trace_id}
        assert Counter(s["description"] for s in spans) == {"llm.stream": 1, "token": 3}
        [stream] = [s for s in spans if s["description"] == "llm.stream"]
        assert {s["parent_span_id"] for s in spans if s is not stream} == {stream["span_id"]}
        got[trace_id] = stream["data"]["tenant.id"]
    assert got == expected


def test_requests_on_one_connection_do_not_inherit_from_each_other(
    receiver: Receiver, service: Service
) -> None:
    """Pipelined, and after an upload that made the server pause: both leak a context."""
    body = b"x" * 300_000
    host, port = service.url.removeprefix("http://").split(":")

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await reader.readuntil(b"300000")
        get = b"GET /sse?count=2 HTTP/1.1\r\nhost: x\r\n"
        writer.write(get + b"\r\n" + get + b"\r\n" + get + b"connection: close\r\n\r\n")
        await reader.read()
        writer.close()

    asyncio.run(ask())

    receiver.wait_for(lambda r: len(r.transactions) == 4, 30)
    assert (
        len({item.payload["contexts"]["trace"]["trace_id"] for item in receiver.transactions}) == 4
    )
    assert {item.payload["contexts"]["trace"]["op"] for item in receiver.transactions} == {
        "http.server"
    }


def test_a_websocket_is_one_span_with_its_messages_whoever_ends_it(
    receiver: Receiver, service: Service
) -> None:
    with connect(service.url.replace("http", "ws") + "/talk") as polite:
        for text in ("a", "b"):
            polite.send(text)
            assert polite.recv() == text
    with connect(service.url.replace("http", "ws") + "/talk") as gone:
        gone.send("c")
        assert gone.recv() == "c"
        gone.socket.shutdown(socket.SHUT_RDWR)

    receiver.wait_for(lambda r: len(r.transactions) == 2, 30)
    data = {
        item.payload["contexts"]["trace"]["data"]["spanbridge.websocket.close.code"]: item.payload
        for item in receiver.transactions
    }
    assert set(data) == {1000, 1005}  # uvicorn knows no better than "no code was given"
    for code, messages in {1000: 2, 1005: 1}.items():
        told = data[code]["contexts"]["trace"]["data"]
        assert told["spanbridge.websocket.messages.received"] == messages
        assert told["spanbridge.websocket.messages.sent"] == messages
        assert data[code]["spans"] == []
        assert data[code]["tags"]["spanbridge.websocket.close.code"] == str(code)
    assert receiver.issues == []
