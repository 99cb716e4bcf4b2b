"""The routes of FastAPI applications that fail in every way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry.trace import Tracer
from starlette.applications import Starlette
from starlette.background import BackgroundTask

from spanbridge.instrument.fastapi import instrument_app
from tests.support.web import Watched


class Broken(Exception):
    """Nobody handles it."""


class Answered(Exception):
    """A sync handler answers 503."""


class AnsweredAsync(Exception):
    """An async handler answers 503."""


class Rejected(Exception):
    """A handler answers 409."""


def fail(message: str) -> None:
    raise Broken(message)


def failing_routes(router: APIRouter | FastAPI, tracer: Tracer) -> None:
    """Routes that fail before the answer begins, and some that do not."""

    @router.get("/unhandled")
    async def unhandled() -> None:
        raise Broken("unhandled")

    @router.get("/unhandled-sync")
    def unhandled_sync() -> None:
        raise Broken("unhandled sync")

    @router.get("/http-500")
    async def http_500() -> None:
        raise HTTPException(500, "five hundred")

    @router.get("/http-503-from")
    async def http_503() -> None:
        try:
            raise LookupError("no row")
        except LookupError as error:
            raise HTTPException(503) from error

    @router.get("/http-404")
    async def http_404() -> None:
        raise HTTPException(404)

    @router.get("/invalid")
    async def invalid(number: int) -> None: ...

    @router.get("/answered")
    async def answered() -> None:
        raise Answered("answered")

    @router.get("/answered-async")
    def answered_async() -> None:
        raise AnsweredAsync("answered async")

    @router.get("/answered-child")
    async def answered_child() -> None:
        with tracer.start_as_current_span("child"):
            raise Answered("left a child")

    @router.get("/rejected")
    async def rejected() -> None:
        raise Rejected("rejected")

    def dependency() -> None:
        raise Broken("dependency")

    @router.get("/dependency", dependencies=[Depends(dependency)])
    async def with_dependency() -> None: ...

    async def before_yield() -> AsyncIterator[None]:
        fail("before yield")
        yield

    @router.get("/before-yield", dependencies=[Depends(before_yield)])
    async def with_before_yield() -> None: ...

    async def passes() -> AsyncIterator[None]:
        yield

    @router.get("/through-yield", dependencies=[Depends(passes)])
    async def through_yield() -> None:
        raise Broken("through yield")

    @router.get("/fine")
    async def fine() -> str:
        return "fine"

    @router.get("/unavailable")
    async def unavailable() -> JSONResponse:
        return JSONResponse({}, 503)


def routes_that_fail_late(router: APIRouter | FastAPI) -> None:
    """Routes that fail when the answer has begun."""

    async def after_yield() -> AsyncIterator[None]:
        yield
        raise Broken("after yield")

    @router.get("/after-yield", dependencies=[Depends(after_yield)])
    async def with_after_yield() -> str:
        return "done"

    def after_yield_sync() -> Iterator[None]:
        yield
        raise Broken("after yield sync")

    @router.get("/after-yield-sync", dependencies=[Depends(after_yield_sync)])
    async def with_after_yield_sync() -> str:
        return "done"

    async def fail_async(message: str) -> None:
        fail(message)

    @router.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(fail, "background")
        return "done"

    @router.get("/background-async")
    async def background_async() -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(fail_async, "background async"))

    @router.get("/stream/{good}")
    async def stream(good: int) -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            for _ in range(good):
                yield "chunk"
            raise Broken("stream")

        return StreamingResponse(chunks(), media_type="text/event-stream")

    @router.get("/stream-sync/{good}")
    def stream_sync(good: int) -> StreamingResponse:
        def chunks() -> Iterator[str]:
            for _ in range(good):
                yield "chunk"
            raise Broken("stream sync")

        return StreamingResponse(chunks())


async def pass_on(request: Request, call_next: Callable[[Request], Any]) -> Any:
    """What a middleware made from ``BaseHTTPMiddleware`` does at least."""
    return await call_next(request)


def instrument(app: Starlette, watched: Watched, **more: Any) -> None:
    """Instrument ``app`` with the providers of ``watched``."""
    instrument_app(
        app,
        tracer_provider=watched.tracer_provider,
        logger_provider=watched.logger_provider,
        **more,
    )
