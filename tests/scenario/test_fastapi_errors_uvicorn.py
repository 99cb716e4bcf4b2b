"""A FastAPI application under uvicorn that fails, or that its clients leave."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.service import Service, serving

TEXT = """
import asyncio
import spanbridge
from contextlib import asynccontextmanager
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from opentelemetry import trace
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure()
tracer = trace.get_tracer("service")
gone = []

@asynccontextmanager
async def lifespan(app):
    yield
    raise RuntimeError("cannot stop")

app = FastAPI(lifespan=lifespan)

class Answered(Exception): ...

@app.exception_handler(Answered)
async def answer(request, error):
    return JSONResponse({}, 503)

@app.get("/answered")
async def answered():
    raise Answered("sorry")

@app.get("/stream")
async def stream(count: int, fail: bool = False):
    async def chunks():
        with tracer.start_as_current_span("llm.stream"):
            try:
                for _ in range(count):
                    yield "chunk"
                    await asyncio.sleep(0.02)
            except (asyncio.CancelledError, GeneratorExit) as error:
                gone.append(type(error).__name__)
                raise
        if fail:
            raise LookupError("broke off")
    return StreamingResponse(chunks())

@app.post("/upload")
async def upload(request: Request):
    await request.body()

@app.get("/gone")
async def who_is_gone():
    return gone

@app.get("/background")
async def background(tasks: BackgroundTasks):
    def work():
        raise LookupError("in the background")
    tasks.add_task(work)

inner = FastAPI()

@inner.get("/boom")
async def boom():
    raise LookupError("inner")

app.mount("/inner", inner)

async def pass_on(request, call_next):
    return await call_next(request)

BEHIND and app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
instrument_app(app)
"""


@pytest.fixture(params=[False, True], ids=["plain", "behind a middleware"])
def service(
    receiver: Receiver, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Service]:
    text = TEXT.replace("BEHIND", str(request.param))
    with serving(tmp_path, text, SENTRY_DSN=receiver.dsn) as service:
        yield service


def types_of(receiver: Receiver) -> list[str]:
    return [item.payload["exception"]["values"][-1]["type"] for item in receiver.issues]


@pytest.mark.parametrize("path", ["/answered", "/background", "/stream"])
def test_a_failing_request_is_one_issue_with_its_request(
    receiver: Receiver, service: Service, path: str
) -> None:
    with suppress(httpx.RemoteProtocolError):  # a stream that breaks off
        httpx.get(service.url + path, params={"count": 2, "fail": True})

    receiver.wait_for(lambda r: r.transactions and r.issues, 30)
    [issue] = [item.payload for item in receiver.issues]
    transaction = receiver.transactions[0].payload

    assert receiver.violations == []
    assert issue["contexts"]["trace"]["trace_id"] == transaction["contexts"]["trace"]["trace_id"]
    assert issue["transaction"] == transaction["transaction"] == f"GET {path}"
    assert issue["request"]["method"] == "GET"
    assert issue["request"]["url"].endswith(path)


def test_a_mounted_application_adds_no_span_of_its_own(
    receiver: Receiver, service: Service
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}

    assert httpx.get(f"{service.url}/inner/boom", headers=headers).status_code == 500

    receiver.wait_for(lambda r: r.issues and r.transactions, 30)
    [transaction] = receiver.transactions
    assert transaction.payload["contexts"]["trace"]["trace_id"] == trace_id
    assert transaction.payload["spans"] == []
    assert types_of(receiver) == ["LookupError"]


def test_clients_that_leave_are_no_issue(receiver: Receiver, service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /stream?count=500 HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(64)
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nhalf")
    deadline_s = time.monotonic() + 30
    while len(httpx.get(f"{service.url}/gone").json()) < 5:
        assert time.monotonic() < deadline_s
    # An issue that is wanted comes after all that is not.
    httpx.get(f"{service.url}/answered")
    receiver.wait_for(lambda r: r.issues, 30)

    assert types_of(receiver) == ["Answered"]


def test_a_lifespan_that_fails_at_the_end_is_sent_before_the_process_ends(
    receiver: Receiver, service: Service
) -> None:
    service.program.send_signal(15)
    service.program.wait()

    [issue] = receiver.issues
    [value] = issue.payload["exception"]["values"]
    assert (value["type"], value["value"]) == ("RuntimeError", "cannot stop")
    assert value["mechanism"]["handled"] is False
