"""Glue for FastAPI: spans for requests, and nothing lost when the server stops.

Needs the extra ``fastapi``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import TracerProvider, get_tracer_provider

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import GUARD

try:
    from anyio import to_thread
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
except ImportError as error:
    raise ConfigurationError(
        "the extra",
        "fastapi",
        f"spanbridge.instrument.fastapi needs {error.name}, which is not installed",
        "Run: pip install 'spanbridge[fastapi]'",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_FLUSH_TIMEOUT_S: Final = 5.0

_LAST_MESSAGES: Final = frozenset(
    {"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"}
)


def instrument_app(
    app: FastAPI, *, flush_timeout_s: float = DEFAULT_FLUSH_TIMEOUT_S, **passthrough: Any
) -> None:
    """Write a span for each request of ``app``, and flush when the server stops.

    Call it once the application is made, before it serves; a second call changes nothing. The
    spans are those of OpenTelemetry's FastAPI instrumentation. By default there is none for each
    ASGI message, which a streamed answer would have one of per chunk.

    The flush takes place at the end of the application's lifespan, because after SIGTERM uvicorn
    ends the process without running ``atexit``.

    Args:
        app: The application.
        flush_timeout_s: The longest that stopping may wait for telemetry, in seconds.
        **passthrough: Arguments of ``FastAPIInstrumentor.instrument_app``.

    Raises:
        ConfigurationError: At import of this module, if the extra is missing.
    """
    installed: list[object] = [middleware.cls for middleware in app.user_middleware]
    if _FlushOnShutdown in installed:
        return
    if app.middleware_stack is not None:
        GUARD.report("instrument.fastapi: too late", "the application serves already")
        return
    passthrough.setdefault("exclude_spans", ["send", "receive"])
    FastAPIInstrumentor.instrument_app(app, **passthrough)
    app.add_middleware(
        _FlushOnShutdown,
        tracer_provider=passthrough.get("tracer_provider"),
        timeout_s=flush_timeout_s,
    )


class _FlushOnShutdown:
    """ASGI middleware that holds back the lifespan's last message until spans are flushed."""

    def __init__(
        self, app: ASGIApp, tracer_provider: TracerProvider | None, timeout_s: float
    ) -> None:
        self._app = app
        self._tracer_provider = tracer_provider
        self._timeout_s = timeout_s

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Not async itself: a request passes without a coroutine of ours.
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        return self._app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_after_flush(message: Message) -> None:
            if message["type"] in _LAST_MESSAGES:
                await _flush(self._tracer_provider or get_tracer_provider(), self._timeout_s)
            await send(message)

        await self._app(scope, receive, send_after_flush)


async def _flush(provider: TracerProvider, timeout_s: float) -> None:
    # Only the SDK's provider has it; the API declares no such method.
    force_flush = getattr(provider, "force_flush", None)
    if force_flush is None:
        return
    is_done = threading.Event()

    def run() -> None:
        try:
            force_flush(int(timeout_s * 1000))
        except Exception as failure:
            GUARD.caught("instrument.fastapi.flush", failure)
        finally:
            is_done.set()

    # A daemon thread of our own: force_flush may ignore its timeout, and the interpreter would
    # wait at exit for a thread of the event loop's pool.
    threading.Thread(target=run, name="spanbridge-flush", daemon=True).start()
    if not await to_thread.run_sync(is_done.wait, timeout_s):
        GUARD.report(
            "instrument.fastapi: flush took too long", f"stopped waiting after {timeout_s} s"
        )
