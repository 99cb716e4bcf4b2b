"""FastAPI applications with our glue, made by a program that does not know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastapi

from spanbridge.instrument.fastapi import instrument_app
from spanbridge.zero_code.start import harmless

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def see_to_fastapi() -> None:
    """Make ``fastapi.FastAPI`` a class whose applications have our glue."""

    class FastAPI(fastapi.FastAPI):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            _instrument_when_it_serves(self)

    fastapi.FastAPI = FastAPI  # type: ignore[misc] # as OpenTelemetry's instrumentor does


def _instrument_when_it_serves(app: fastapi.FastAPI) -> None:
    """Not before: a call of ``instrument_app`` in the program may have arguments."""
    build = app.build_middleware_stack
    is_instrumented = False

    def build_middleware_stack() -> ASGIApp:
        nonlocal is_instrumented
        if is_instrumented:
            return build()
        is_instrumented = True
        harmless(instrument_app)(app)
        return app.build_middleware_stack()  # which leads back to here

    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]
