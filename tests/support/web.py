"""Web applications under test: what was answered, which spans ended, what became an issue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, get_current_span

from tests.support.told import Told, telling

AsgiApp = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


class Watched:
    """Providers with the bridge on them, and memories of all that passes through."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.tracer_provider: TracerProvider = told.under_test.provider
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.logger_provider: LoggerProvider = getattr(
            told.under_test, "logger_provider", None
        ) or LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.span_ids_in_handlers: list[str] = []

    def handler_is_here(self) -> None:
        """To be called where the application handles an exception."""
        span = get_current_span()
        assert span.is_recording()
        self.span_ids_in_handlers.append(f"{span.get_span_context().span_id:016x}")

    def hearing_loggers(self) -> AbstractContextManager[None]:
        """Meanwhile what the process's loggers say reaches the bridge too."""
        return self._told.under_test.chained()

    @property
    def issues(self) -> list[dict[str, Any]]:
        return self._told.issues

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._spans.get_finished_spans()

    @property
    def server(self) -> ReadableSpan:
        [span] = [span for span in self.spans if span.kind is SpanKind.SERVER]
        return span

    @property
    def server_id(self) -> str:
        return _id_of(self.server)

    @property
    def trace_id(self) -> str:
        context = self.server.get_span_context()
        assert context is not None
        return f"{context.trace_id:032x}"

    def id_of(self, name: str) -> str | None:
        """The id of the span called ``name``, if there is one."""
        return next((_id_of(span) for span in self.spans if span.name == name), None)

    @property
    def logs(self) -> list[ReadableLogRecord]:
        """Log records that carry an exception."""
        records = self._logs.get_finished_logs()
        return [r for r in records if "exception.type" in (r.log_record.attributes or {})]


def _id_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


@contextmanager
def watching(path: Path, **settings: object) -> Iterator[Watched]:
    with telling(path, **settings) as told:
        yield Watched(told)


def status_of(app: AsgiApp, path: str) -> int:
    """Get ``path``; the status code, 0 if the answer broke off."""

    async def main() -> int:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get(path)).status_code

    return asyncio.run(main())


def stream_of(app: AsgiApp, path: str) -> list[bytes]:
    """What a server passes on of a streamed answer until the application is done or fails."""
    chunks: list[bytes] = []
    incoming = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop()
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        chunks.append(message.get("body", b""))

    with suppress(Exception):
        asyncio.run(app(_scope("http", path), receive, send))
    return [chunk for chunk in chunks if chunk]


def talk(app: AsgiApp, path: str, *texts: str, code: int = 1001) -> list[dict[str, Any]]:
    """Open a websocket, say ``texts`` and go away; returns what the application sent."""
    incoming: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    incoming += [{"type": "websocket.receive", "text": text} for text in texts]
    incoming += [{"type": "websocket.disconnect", "code": code}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with suppress(Exception):
        asyncio.run(app(_scope("websocket", path), receive, send))
    return sent


def live(app: AsgiApp, *, within: Callable[[], Awaitable[None]] | None = None) -> list[str]:
    """Start and stop an application as a server does; returns the messages it sent."""
    sent: list[str] = []

    async def main() -> None:
        started = asyncio.Event()
        stopping = asyncio.Event()
        incoming = [{"type": "lifespan.startup"}]

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop()
            await stopping.wait()
            return {"type": "lifespan.shutdown"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["type"])
            started.set()

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        lifespan = asyncio.create_task(app(scope, receive, send))
        await started.wait()
        if within is not None:
            await within()
        stopping.set()
        with suppress(Exception):
            await lifespan

    asyncio.run(main())
    return sent


def _scope(kind: str, path: str) -> dict[str, Any]:
    return {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http" if kind == "http" else "ws", "headers": [], "subprotocols": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip
