"""Work that a request starts and does not wait for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.service import Service, serving

TEXT = """
import asyncio, threading
import spanbridge
from opentelemetry import trace
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure()
tracer = trace.get_tracer("service")
answered = asyncio.Event()
spawned = set()

async def later():
    with tracer.start_as_current_span("spawned.agent"):
        await answered.wait()
        with tracer.start_as_current_span("tool"):
            await asyncio.sleep(1)

async def endless():
    with tracer.start_as_current_span("endless.agent"):
        with tracer.start_as_current_span("finished"):
            pass
        await asyncio.Event().wait()

async def background():
    with tracer.start_as_current_span("tool"):
        await asyncio.sleep(1)

if KIND == "fastapi":
    from fastapi import BackgroundTasks, FastAPI
    app = FastAPI()

    @app.get("/bg")
    async def bg(tasks: BackgroundTasks):
        tasks.add_task(background)
        return "accepted"

    @app.get("/spawn")
    async def spawn():
        spawned.add(asyncio.create_task(later()))
        return "accepted"

    @app.get("/endless")
    async def never():
        spawned.add(asyncio.create_task(endless()))
        await asyncio.sleep(0)
        return "accepted"

    @app.get("/go")
    async def go():
        answered.set()
else:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def bg(request):
        return PlainTextResponse("accepted", background=BackgroundTask(background))

    async def spawn(request):
        spawned.add(asyncio.create_task(later()))
        return PlainTextResponse("accepted")

    async def go(request):
        answered.set()
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/bg", bg), Route("/spawn", spawn), Route("/go", go)])
instrument_app(app, excluded_urls="/go$")
"""

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}


@pytest.fixture(params=["fastapi", "starlette"])
def service(
    receiver: Receiver, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Service]:
    text = f"KIND = {request.param!r}\n{TEXT}"
    with serving(
        tmp_path, text, SENTRY_DSN=receiver.dsn, SENTRY_ENVIRONMENT="development"
    ) as service:
        yield service


@pytest.mark.parametrize(
    ("path", "name"), [("/bg", "BackgroundTask background"), ("/spawn", "spawned.agent")]
)
def test_work_that_outlives_its_request_continues_its_trace(
    receiver: Receiver, service: Service, path: str, name: str
) -> None:
    assert httpx.get(service.url + path, headers=HEADERS).status_code == 200
    assert httpx.get(f"{service.url}/go").status_code == 200  # has no span
    # At once: the server waits for background tasks, not for tasks of the application's own.
    if path == "/bg":
        service.program.send_signal(15)
        service.program.wait()
    receiver.wait_for(lambda r: len(r.transactions) == 2, 30)

    request, work = _by_name(receiver, f"GET {path}", name)
    assert receiver.violations == []
    assert request["contexts"]["trace"]["trace_id"] == TRACE_ID
    assert work["contexts"]["trace"]["trace_id"] == TRACE_ID
    assert work["contexts"]["trace"]["parent_span_id"] == request["contexts"]["trace"]["span_id"]
    [tool] = work["spans"]
    assert tool["parent_span_id"] == work["contexts"]["trace"]["span_id"]
    assert request["spans"] == []
    # The work takes a second, so that the request leaves before it, and begins or goes on when the
    # request has been answered.
    assert tool["timestamp"] - tool["start_timestamp"] >= 0.95
    assert request["timestamp"] <= tool["start_timestamp"]
    assert request["timestamp"] < work["timestamp"] - 0.9


@pytest.mark.parametrize("service", ["fastapi"], indirect=True)
def test_what_an_endless_task_has_finished_arrives_when_the_server_stops(
    receiver: Receiver, service: Service
) -> None:
    httpx.get(f"{service.url}/endless", headers=HEADERS)
    service.program.send_signal(15)
    assert service.program.wait().seconds < 10

    arrived = {
        (name, trace_id)
        for item in receiver.transactions
        for name, trace_id in [
            (item.payload["transaction"], item.payload["contexts"]["trace"]["trace_id"]),
            *((span["description"], span["trace_id"]) for span in item.payload["spans"]),
        ]
    }
    assert arrived == {("GET /endless", TRACE_ID), ("finished", TRACE_ID)}
    assert receiver.violations == []


def _by_name(receiver: Receiver, *names: str) -> list[dict[str, Any]]:
    by_name = {item.payload["transaction"]: item.payload for item in receiver.transactions}
    return [by_name[name] for name in names]
