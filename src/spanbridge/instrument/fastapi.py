"""Glue for FastAPI and Starlette: spans for requests, no error unseen, nothing lost at the end.

Needs the extra ``fastapi``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import GUARD

try:
    # Not from the package, where OpenTelemetry may have put its own subclass.
    from fastapi.applications import FastAPI
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.util.http import parse_excluded_urls
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
from spanbridge.instrument.asgi_entry import RequestEntry
from spanbridge.instrument.asgi_lifespan import DEFAULT_FLUSH_TIMEOUT_S, LifespanWatch
from spanbridge.instrument.exception_log import ExceptionLog
from spanbridge.instrument.server_span import DoubleInstrumentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.util.http import ExcludeList
    from starlette.applications import Starlette
    from starlette.types import ASGIApp


_INSTRUMENTATION: Final = "opentelemetry.instrumentation."
_NO_MESSAGES: Final = ["send", "receive"]
_MAX_LAYERS: Final = 100


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
    ASGI message, which a streamed answer would have one of per chunk: the span of the request says
    how many chunks there were and when they came. ``exclude_spans=None`` brings them back.

    A request to one of ``excluded_urls`` (or ``OTEL_PYTHON_FASTAPI_EXCLUDED_URLS``, or
    ``OTEL_PYTHON_EXCLUDED_URLS``) leaves no span and no metric, also none of what it does: the
    database, the network, plain spans. Its errors are told all the same.

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
        (passthrough.get("tracer_provider"), logger_provider, passthrough.get("meter_provider")),
        flush_timeout_s,
    )
    _put_around_middleware(app, lambda inside: FailureReports(inside, log, lifespan))
    # What is added later with ``add_middleware`` is put outside of what is there.
    app.user_middleware.append(Middleware(FailureNotices))
    passthrough.setdefault("exclude_spans", _NO_MESSAGES)
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
        FastAPIInstrumentor.instrument_app(app, **passthrough)  # type: ignore[arg-type] # any Starlette
    _put_outermost(app, passthrough)


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


def _put_outermost(app: Starlette, passthrough: dict[str, Any]) -> None:
    """Let requests enter before OpenTelemetry's middleware, wherever that came from."""
    build = app.build_middleware_stack

    def build_middleware_stack() -> ASGIApp:
        stack = build()
        double = DoubleInstrumentation("instrument.fastapi")
        traced = [layer for layer in _layers(stack) if isinstance(layer, OpenTelemetryMiddleware)]
        if not traced:
            return RequestEntry(stack, None, double, is_traced=False)
        if len(traced) > 1:
            double.tell()
        _apply(passthrough, traced[0])
        return RequestEntry(stack, _excluded_by(traced[0]), double, is_traced=True)

    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]


def _layers(stack: object) -> Iterator[object]:
    """What stands around the routes, outermost first, as far as it follows the convention."""
    layer: object | None = stack
    for _ in range(_MAX_LAYERS):
        if layer is None:
            return
        yield layer
        layer = getattr(layer, "app", None)


def _apply(passthrough: dict[str, Any], middleware: OpenTelemetryMiddleware) -> None:
    """Arguments for a middleware that was there before: ``opentelemetry-instrument`` made it."""
    excluded = passthrough["exclude_spans"] or ()
    middleware.exclude_send_span = "send" in excluded
    middleware.exclude_receive_span = "receive" in excluded
    if (urls := passthrough.get("excluded_urls")) is not None:
        middleware.excluded_urls = parse_excluded_urls(urls)


def _excluded_by(middleware: OpenTelemetryMiddleware) -> ExcludeList | None:
    excluded: ExcludeList | None = middleware.excluded_urls
    # Nothing public tells that a list is empty, as it mostly is.
    return excluded if getattr(excluded, "_excluded_urls", excluded) else None


def _stands_outside(layer: object) -> bool:
    return isinstance(layer, ServerErrorMiddleware) or type(layer).__module__.startswith(
        _INSTRUMENTATION
    )
