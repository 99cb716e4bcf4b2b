"""What the span of a connection says of its messages; which requests get one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

import fastapi
import pytest
from fastapi.responses import FileResponse, StreamingResponse
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect

from spanbridge.instrument import stream
from spanbridge.instrument.fastapi import instrument_app
from spanbridge.runtime.guard import GUARD
from tests.support.web import status_of, stream_of, talk
from tests.unit.instrument.conftest import Recorder


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


@pytest.fixture
def app(recorder: Recorder) -> Iterator[fastapi.FastAPI]:
    application = fastapi.FastAPI()

    @application.get("/sse")
    async def sse(count: int = 50) -> StreamingResponse:
        @stream("llm.stream", tracer_provider=recorder.provider)
        async def chunks() -> AsyncIterator[str]:
            for number in range(count):
                yield f"data: {number}\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream")

    @application.get("/plain")
    async def plain() -> str:
        return "whole"

    @application.get("/file")
    async def file() -> FileResponse:
        return FileResponse(__file__)

    @application.get("/health")
    async def health() -> bool:
        with recorder.tracer.start_as_current_span("plain span"):
            return is_instrumentation_enabled()

    @application.websocket("/talk")
    async def answer(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            if text == "leave":
                await websocket.close(4000)
                return
            await websocket.send_text(text)
            await websocket.send_text(text)

    yield application
    FastAPIInstrumentor.uninstrument_app(application)


def test_fifty_chunks_are_two_spans_with_count_and_times(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    instrument_app(app, tracer_provider=recorder.provider)

    assert len(stream_of(app, "/sse")) == 50

    inner, server = recorder.spans
    assert (inner.name, server.name) == ("llm.stream", "GET /sse")
    assert inner.parent == server.context
    attributes = attributes_of(server)
    assert attributes["spanbridge.stream.chunk.count"] == 50
    first_s = attributes["spanbridge.stream.time_to_first_chunk"]
    assert 0 < first_s < attributes["spanbridge.stream.time_to_last_chunk"]
    assert "spanbridge.outcome" not in attributes


def test_an_answer_in_one_piece_says_nothing_of_chunks(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    async def pass_on(request: fastapi.Request, call_next: Any) -> Any:
        return await call_next(request)  # makes a stream of everything

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    instrument_app(app, tracer_provider=recorder.provider)

    assert [status_of(app, path) for path in ("/plain", "/file", "/nowhere")] == [200, 200, 404]

    for span in recorder.spans:
        assert not [name for name in attributes_of(span) if name.startswith("spanbridge.")]


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_a_client_that_leaves_a_stream_is_the_outcome_of_its_request(
    app: fastapi.FastAPI, recorder: Recorder, version: str
) -> None:
    instrument_app(app, tracer_provider=recorder.provider)

    async def main() -> None:
        left = asyncio.Event()
        count = 0

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal count
            count += message["type"] == "http.response.body"
            if count == 3 and version == "2.4":
                raise OSError("the client is gone")
            if count == 3:
                left.set()
                await asyncio.Event().wait()  # the buffer is full

        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/sse", "headers": []}
        scope |= {"query_string": b"", "server": ("h", 80), "asgi": {"spec_version": version}}
        with suppress(ClientDisconnect):
            await app(scope, receive, send)

    asyncio.run(main())

    server = recorder.only("GET /sse")
    assert attributes_of(server)["spanbridge.outcome"] == "disconnected"
    assert attributes_of(server)["spanbridge.stream.chunk.count"] == 3
    # OpenTelemetry calls it an error where the server raises, as ASGI 2.4 has it.
    assert server.status.is_unset == (version == "2.3")


@pytest.mark.parametrize(
    ("texts", "received", "sent", "code"), [(["a", "b"], 2, 4, 1001), (["a", "leave"], 2, 2, 4000)]
)
def test_a_websocket_is_one_span_with_its_messages_and_its_close(
    app: fastapi.FastAPI,
    recorder: Recorder,
    texts: list[str],
    received: int,
    sent: int,
    code: int,
) -> None:
    instrument_app(app, tracer_provider=recorder.provider)

    talk(app, "/talk", *texts)

    attributes = attributes_of(recorder.only())
    assert attributes["spanbridge.websocket.messages.received"] == received
    assert attributes["spanbridge.websocket.messages.sent"] == sent
    assert attributes["spanbridge.websocket.close.code"] == code
    assert "spanbridge.outcome" not in attributes


def test_a_websocket_whose_client_disappears_has_that_outcome(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    instrument_app(app, tracer_provider=recorder.provider)

    talk(app, "/talk", "a", code=1006)

    attributes = attributes_of(recorder.only())
    assert attributes["spanbridge.websocket.close.code"] == 1006
    assert attributes["spanbridge.outcome"] == "disconnected"


def test_an_excluded_url_suppresses_instrumentation_and_its_metrics(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    reader = InMemoryMetricReader()
    instrument_app(
        app,
        tracer_provider=recorder.provider,
        meter_provider=MeterProvider([reader], shutdown_on_exit=False),
        excluded_urls="/health",
    )

    assert stream_of(app, "/health") == [b"false"]

    assert recorder.only().name == "plain span"  # a foreign sampler knows nothing of it
    assert reader.get_metrics_data() is None
    assert stream_of(app, "/plain") == [b'"whole"']
    assert recorder.spans[-1].name == "GET /plain"


def test_a_live_span_around_a_request_stays_its_parent(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    counts = dict(GUARD.counts)
    instrument_app(app, tracer_provider=recorder.provider)

    with recorder.tracer.start_as_current_span("test", kind=SpanKind.SERVER):
        status_of(app, "/plain")

    assert recorder.only("GET /plain").parent == recorder.only("test").context
    assert dict(GUARD.counts) == counts


@pytest.mark.parametrize("is_inside", [False, True])
def test_a_second_middleware_of_opentelemetry_is_told_of_once(
    app: fastapi.FastAPI,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_inside: bool,
) -> None:
    monkeypatch.setattr(GUARD, "_counts", Counter())
    monkeypatch.setattr(GUARD, "_logged_at", {})
    served: Any = app
    if is_inside:
        app.add_middleware(OpenTelemetryMiddleware, tracer_provider=recorder.provider)
    else:
        served = OpenTelemetryMiddleware(app, tracer_provider=recorder.provider)
    instrument_app(app, tracer_provider=recorder.provider)

    with caplog.at_level(logging.WARNING, logger="spanbridge"):
        for _ in range(3):
            status_of(served, "/plain")

    [line] = [r.getMessage() for r in caplog.records if r.name == "spanbridge"]
    assert "instrumented twice" in line
    assert "keep instrument_app() and take out the other" in line
    assert GUARD.counts == {"instrument.fastapi: instrumented twice": 1}


def test_an_application_that_opentelemetry_instrumented_before_obeys_the_arguments(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    FastAPIInstrumentor.instrument_app(app, tracer_provider=recorder.provider)
    instrument_app(app, excluded_urls="/plain")

    stream_of(app, "/sse")
    stream_of(app, "/plain")

    assert [span.name for span in recorder.spans] == ["llm.stream", "GET /sse"]
