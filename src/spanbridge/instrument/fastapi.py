"""Glue for FastAPI and Starlette: spans for requests, no error unseen, nothing lost at the end.

Needs the extra ``fastapi``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import GUARD

try:
    from fastapi import FastAPI
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from starlette.middleware import Middleware
    from starlette.middleware.errors import ServerErrorMiddleware
except ImportError as error:
    raise ConfigurationError(
        "the extra",
        "fastapi",
        f"spanbridge.instrument.fastapi needs {error.name}, which is not installed",
        "Run: pip install 'spanbridge[fastapi]'",
    ) from error

from spanbridge.instrument.asgi import FailureNotices, FailureReports
from spanbridge.instrument.asgi_lifespan import LifespanWatch
from spanbridge.instrument.exception_log import ExceptionLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry._logs import LoggerProvider
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

DEFAULT_FLUSH_TIMEOUT_S: Final = 5.0

_INSTRUMENTATION: Final = "opentelemetry.instrumentation."


def instrument_app(
    app: Starlette,
    *,
    flush_timeout_s: float = DEFAULT_FLUSH_TIMEOUT_S,
    logger_provider: LoggerProvider | None = None,
    **passthrough: Any,
) -> None:
    """Write a span for each request of ``app``, tell of its errors, and flush when it stops.

    Call it once the application is made, before it serves; a second call changes nothing. The
    spans are those of OpenTelemetry's FastAPI instrumentation. By default there is none for each
    ASGI message, which a streamed answer would have one of per chunk.

    An exception that a handler or a middleware turns into a 5xx is recorded on the span of the
    request. What leaves the application when that span has ended, or when there is none (URLs
    that are excluded, the lifespan), is written as a log record of severity ERROR.

    The flush takes place at the end of the application's lifespan, because after SIGTERM uvicorn
    ends the process without running ``atexit``.

    Args:
        app: A FastAPI or a Starlette application.
        flush_timeout_s: The longest that stopping may wait for telemetry, in seconds.
        logger_provider: Where log records go, instead of the global one.
        **passthrough: Arguments of ``FastAPIInstrumentor.instrument_app``.

    Raises:
        ConfigurationError: At import of this module, if the extra is missing.
    """
    installed: list[object] = [middleware.cls for middleware in app.user_middleware]
    if FailureNotices in installed:
        return
    if app.middleware_stack is not None:
        GUARD.report("instrument.fastapi: too late", "the application serves already")
        return
    framework = "fastapi" if isinstance(app, FastAPI) else "starlette"
    log = ExceptionLog(framework, f"auto.http.{framework}", logger_provider)
    lifespan = LifespanWatch(
        log,
        ExceptionLog("asyncio", "auto.asyncio", logger_provider),
        passthrough.get("tracer_provider"),
        logger_provider,
        flush_timeout_s,
    )
    _put_around_middleware(app, lambda inside: FailureReports(inside, log, lifespan))
    # What is added later with ``add_middleware`` is put outside of what is there.
    app.user_middleware.append(Middleware(FailureNotices))
    passthrough.setdefault("exclude_spans", ["send", "receive"])
    FastAPIInstrumentor.instrument_app(app, **passthrough)  # type: ignore[arg-type] # any Starlette


def _put_around_middleware(app: Starlette, wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    """Let ``wrap`` stand outside of all middleware of the application, now and later added.

    It stays inside OpenTelemetry's, so that the span of the request is current there.
    """
    build = app.build_middleware_stack

    def build_middleware_stack() -> ASGIApp:
        stack = build()
        if not _stands_outside(stack):
            return wrap(stack)
        outer: Any = stack
        while _stands_outside(outer.app):
            outer = outer.app
        outer.app = wrap(outer.app)
        return stack

    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]


def _stands_outside(layer: object) -> bool:
    return isinstance(layer, ServerErrorMiddleware) or type(layer).__module__.startswith(
        _INSTRUMENTATION
    )
