from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import fastapi
import httpx
import pytest
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from spanbridge.instrument.fastapi import instrument_app
from spanbridge.runtime.guard import GUARD
from tests.unit.instrument.conftest import Recorder


def serve(app: fastapi.FastAPI, *paths: str, between: Callable[[], object] = bool) -> list[str]:
    """Start the application, get the paths one by one, stop it; returns the answers."""

    async def main() -> list[str]:
        events: asyncio.Queue[Any] = asyncio.Queue()
        answers: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        lifespan = asyncio.create_task(app(scope, events.get, answers.put))
        events.put_nowait({"type": "lifespan.startup"})
        assert await answers.get() == {"type": "lifespan.startup.complete"}
        texts = []
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path in paths:
                texts.append((await client.get(path)).text)
                between()
        events.put_nowait({"type": "lifespan.shutdown"})
        assert await answers.get() == {"type": "lifespan.shutdown.complete"}
        await lifespan
        return texts

    return asyncio.run(main())


class Flushes(SpanProcessor):
    """Notes when it was asked to flush."""

    def __init__(self, journal: list[str], blocked_by: threading.Event | None = None) -> None:
        self._journal = journal
        self._blocked_by = blocked_by

    def on_end(self, span: ReadableSpan) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        if self._blocked_by is not None:
            self._blocked_by.wait()
        self._journal.append(f"flush within {timeout_millis} ms")
        return True


@pytest.fixture
def app(journal: list[str]) -> Iterator[fastapi.FastAPI]:
    @asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        journal.append("start")
        yield
        journal.append("stop")

    application = fastapi.FastAPI(lifespan=lifespan)

    @application.get("/items/{number}")
    async def item(number: int) -> int:
        return number

    @application.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            for _ in range(5):
                yield "chunk"

        return StreamingResponse(chunks())

    yield application
    if getattr(application, "_is_instrumented_by_opentelemetry", False):
        FastAPIInstrumentor.uninstrument_app(application)


@pytest.fixture
def journal() -> list[str]:
    return []


def test_a_request_is_one_span_also_if_its_answer_is_streamed(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    instrument_app(app, tracer_provider=recorder.provider)

    assert serve(app, "/items/7", "/stream") == ["7", "chunk" * 5]

    assert [span.name for span in recorder.spans] == ["GET /items/{number}", "GET /stream"]


def test_spans_of_messages_can_be_asked_for(app: fastapi.FastAPI, recorder: Recorder) -> None:
    instrument_app(app, tracer_provider=recorder.provider, exclude_spans=None)

    serve(app, "/items/7")

    assert len(recorder.spans) > 1


def test_spans_are_flushed_after_the_shutdown_code_of_the_application(
    app: fastapi.FastAPI, journal: list[str]
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(Flushes(journal))
    instrument_app(app, flush_timeout_s=2.0, tracer_provider=provider)

    serve(app, "/items/7", between=lambda: journal.append("answered"))

    assert journal[:3] == ["start", "answered", "stop"]
    assert [entry.startswith("flush within") for entry in journal[3:]] == [True]


def test_instrumenting_twice_flushes_once(app: fastapi.FastAPI, journal: list[str]) -> None:
    provider = TracerProvider()
    provider.add_span_processor(Flushes(journal))
    instrument_app(app, tracer_provider=provider)
    instrument_app(app, tracer_provider=provider)

    serve(app)

    assert [entry for entry in journal if entry.startswith("flush")] == journal[2:]
    assert len(journal) == 3


def test_a_flush_that_hangs_holds_the_shutdown_for_the_timeout_only(
    app: fastapi.FastAPI, journal: list[str]
) -> None:
    release = threading.Event()
    provider = TracerProvider()
    provider.add_span_processor(Flushes(journal, blocked_by=release))
    instrument_app(app, flush_timeout_s=0.05, tracer_provider=provider)

    started_s = time.monotonic()
    serve(app)
    took_s = time.monotonic() - started_s
    release.set()

    assert took_s < 5
    assert journal[:2] == ["start", "stop"]
    assert GUARD.counts["instrument: flush took too long"] >= 1


def test_a_failing_flush_does_not_disturb_the_shutdown(
    app: fastapi.FastAPI, journal: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(TracerProvider):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            raise RuntimeError("flush")

    monkeypatch.setattr(GUARD, "_reraise", False)
    instrument_app(app, tracer_provider=Failing())

    serve(app)

    assert journal == ["start", "stop"]


@pytest.mark.parametrize("timeout_s", [float("nan"), float("inf"), -1, "long"])
def test_a_timeout_that_is_none_does_not_disturb_the_shutdown(
    app: fastapi.FastAPI, journal: list[str], timeout_s: Any
) -> None:
    instrument_app(app, tracer_provider=TracerProvider(), flush_timeout_s=timeout_s)

    serve(app)

    assert journal == ["start", "stop"]


def test_without_a_provider_the_application_starts_and_stops_as_before(
    app: fastapi.FastAPI, journal: list[str]
) -> None:
    instrument_app(app)

    assert serve(app, "/items/7") == ["7"]
    assert journal == ["start", "stop"]


def test_an_application_that_serves_already_is_left_alone(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    def instrument() -> None:
        instrument_app(app, tracer_provider=recorder.provider)

    assert serve(app, "/items/7", "/items/8", between=instrument) == ["7", "8"]

    assert GUARD.counts["instrument.fastapi: too late"] >= 1
    assert recorder.spans == ()


def test_logs_are_flushed_too(app: fastapi.FastAPI, journal: list[str]) -> None:
    class Logs(LoggerProvider):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            journal.append("logs")
            return True

    provider = TracerProvider()
    provider.add_span_processor(Flushes(journal))
    instrument_app(app, tracer_provider=provider, logger_provider=Logs(shutdown_on_exit=False))

    serve(app)

    assert journal[:2] == ["start", "stop"]
    assert journal[2].startswith("flush")
    assert journal[3:] == ["logs"]


def test_metrics_are_flushed_too(app: fastapi.FastAPI, journal: list[str]) -> None:
    class Metrics(MeterProvider):
        def force_flush(self, timeout_millis: float = 30_000) -> bool:
            journal.append("metrics")
            return True

    provider = TracerProvider()
    provider.add_span_processor(Flushes(journal))
    metrics = Metrics(shutdown_on_exit=False)
    instrument_app(app, tracer_provider=provider, meter_provider=metrics)

    serve(app)

    assert journal[2].startswith("flush")
    assert journal[3:] == ["metrics"]


def test_an_application_that_was_instrumented_before_is_watched_inside_of_the_spans(
    app: fastapi.FastAPI, recorder: Recorder
) -> None:
    FastAPIInstrumentor.instrument_app(app, tracer_provider=recorder.provider)
    logging.getLogger("opentelemetry.instrumentation.fastapi").disabled = True
    try:
        instrument_app(app)
    finally:
        logging.getLogger("opentelemetry.instrumentation.fastapi").disabled = False

    @app.get("/503")
    async def unavailable() -> None:
        raise fastapi.HTTPException(503)

    serve(app, "/503")

    [event] = [event for span in recorder.spans for event in span.events]
    assert (event.attributes or {})["exception.type"] == "fastapi.exceptions.HTTPException"


def test_an_application_in_a_loop_that_has_a_handler_gets_it_back(app: fastapi.FastAPI) -> None:
    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None: ...

    during: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handler)
        events: asyncio.Queue[Any] = asyncio.Queue()
        answers: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        lifespan = asyncio.create_task(app(scope, events.get, answers.put))
        events.put_nowait({"type": "lifespan.startup"})
        await answers.get()
        during.append(loop.get_exception_handler())
        events.put_nowait({"type": "lifespan.shutdown"})
        await lifespan
        during.append(loop.get_exception_handler())

    instrument_app(app)
    asyncio.run(main())

    assert during[0] is not handler
    assert during[1] is handler


def test_without_a_handler_of_the_application_the_loop_is_left_alone(
    app: fastapi.FastAPI,
) -> None:
    seen: list[object] = []

    @app.get("/loop")
    async def loop() -> None:
        seen.append(asyncio.get_running_loop().get_exception_handler())

    instrument_app(app)
    serve(app, "/loop")

    assert seen == [None]


def test_a_failing_log_processor_does_not_disturb_the_answer(
    app: fastapi.FastAPI, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(LogRecordProcessor):
        def on_emit(self, log_record: ReadWriteLogRecord) -> None:
            raise RuntimeError("log processor")

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return True

    monkeypatch.setattr(GUARD, "_reraise", False)
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(Failing())
    instrument_app(
        app, tracer_provider=recorder.provider, logger_provider=logs, excluded_urls="503"
    )

    @app.get("/503")
    async def unavailable() -> None:
        raise fastapi.HTTPException(503, "as the application says")

    assert serve(app, "/503") == ['{"detail":"as the application says"}']
    assert GUARD.counts["instrument.exception_log: RuntimeError"] >= 1


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_missing_extra_is_named_together_with_the_command_that_installs_it() -> None:
    result = run_python(
        "import sys; sys.modules['opentelemetry.instrumentation.fastapi'] = None\n"
        "from spanbridge.errors import ConfigurationError\n"
        "try: import spanbridge.instrument.fastapi\n"
        "except ConfigurationError as error: print(error)"
    )
    assert result.stdout.count("\n") == 1, result.stderr
    assert "pip install 'spanbridge[fastapi]'" in result.stdout


def test_the_helpers_load_neither_the_sdk_nor_a_web_framework_nor_sentry() -> None:
    result = run_python(
        "import sys, spanbridge.instrument\n"
        "heavy = ('opentelemetry.sdk', 'fastapi', 'starlette', 'sentry_sdk', 'yaml', 'pydantic')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    assert result.stdout == "[]\n", result.stderr
