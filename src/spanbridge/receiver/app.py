"""The receiver's ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from spanbridge.receiver.api import api_routes
from spanbridge.receiver.connections import Connections, NoAnswer
from spanbridge.receiver.faults import Endpoint, Fault, Faults
from spanbridge.receiver.intake import Answer, Intake, Request
from spanbridge.receiver.otlp import OtlpSignal
from spanbridge.receiver.records import ReceiverLimits
from spanbridge.receiver.store import Store

_COMMIT_INTERVAL_S = 0.25
# Smaller bodies are taken at once: handing them to a thread costs more than it saves.
_THREAD_ABOVE_BYTES = 128 * 1024

_READING = frozenset({"GET", "HEAD", "OPTIONS"})

Take = Callable[[Request], Answer]


class ReceiverApp:
    """Everything behind the socket.

    Args:
        store: Where items go.
        limits: Sizes above which a request is refused.
        accepts_foreign_hosts: Whether the page and the API answer to any ``Host``. Leave it off on
            loopback, so that a web page cannot reach them by a name that resolves here.
        on_start: Called once the application is ready.
    """

    def __init__(
        self,
        store: Store,
        limits: ReceiverLimits,
        *,
        accepts_foreign_hosts: bool,
        on_start: Callable[[], None],
    ) -> None:
        self.faults = Faults()
        self.connections = Connections()
        self._store = store
        self._limits = limits
        self._intake = Intake(store, limits)
        self._on_start = on_start
        self._stopping = asyncio.Event()
        self.asgi = Starlette(
            routes=[
                *self._envelope_routes(),
                *self._otlp_routes(),
                *api_routes(store, self.faults, accepts_foreign_hosts=accepts_foreign_hosts),
            ],
            exception_handlers={404: self._refuse_path, 405: self._refuse_path},
            lifespan=self._lifespan,
        )
        # Those who follow no redirect would lose what they send without a word.
        self.asgi.router.redirect_slashes = False

    def stop_waiting(self) -> None:
        """End every hang and slow answer. Call it on the event loop."""
        self._stopping.set()

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        committing = asyncio.create_task(self._commit_in_batches())
        self._on_start()
        try:
            yield
        finally:
            committing.cancel()
            self._store.commit()

    async def _commit_in_batches(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_INTERVAL_S)
            self._store.commit()

    def _envelope_routes(self) -> list[Route]:
        async def take(request: HttpRequest) -> Response:
            return await self._take("envelope", self._intake.take_envelope, request)

        return _post_routes("/api/{project_id}/envelope", take)

    def _otlp_routes(self) -> list[Route]:
        routes = []
        for signal in ("traces", "logs", "metrics"):
            endpoint = self._otlp_endpoint(signal)
            routes += [Route(f"/v1/{signal}", endpoint, methods=["POST"])]
            if signal != "metrics":  # Sentry has no endpoint for OTLP metrics
                path = f"/api/{{project_id}}/integration/otlp/v1/{signal}"
                routes += _post_routes(path, endpoint)
        return routes

    def _otlp_endpoint(self, signal: OtlpSignal) -> Callable[[HttpRequest], object]:
        async def take(request: HttpRequest) -> Response:
            return await self._take(
                "otlp", lambda taken: self._intake.take_otlp(signal, taken), request
            )

        return take

    async def _take(self, endpoint: Endpoint, take: Take, request: HttpRequest) -> Response:
        self._store.add_request(request.url.path)
        fault = self.faults.take(endpoint)
        if fault is not None and fault.kind == "reset":
            return NoAnswer(self.connections, is_reset=True)
        try:
            body = await self._read_body(request)
        except ClientDisconnect:
            return NoAnswer(self.connections, is_reset=False)
        if fault is None:
            return await self._answer(take, request, body)
        return await self._answer_with_fault(fault, take, request, body)

    async def _refuse_path(self, request: HttpRequest, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        headers = dict(getattr(error, "headers", None) or {})
        if request.method in _READING:  # a browser that looks for an icon sends nothing
            return Response("", status, headers)
        self._store.add_request(request.url.path)
        answer = self._intake.refuse_path(status, request.method, request.url.path)
        return Response(answer.body, status, {**headers, "content-type": answer.content_type})

    async def _answer_with_fault(
        self, fault: Fault, take: Take, request: HttpRequest, body: bytes | None
    ) -> Response:
        response: Response | None = None
        if fault.takes or fault.kind in ("slow", "headers"):
            # Whoever waits for a slow answer may give up before it comes.
            is_acknowledged = fault.kind == "headers"
            response = await self._answer(take, request, body, is_acknowledged=is_acknowledged)
        if fault.kind in ("hang", "slow"):
            await self._wait(fault.delay_s)
        if response is not None and fault.kind in ("slow", "headers"):
            response.headers.update(fault.headers)
            return response
        if fault.kind == "status":
            return Response(
                '{"detail":"fault on demand"}',
                fault.status,
                {"content-type": "application/json", **fault.headers},
            )
        return NoAnswer(self.connections, is_reset=False)

    async def _answer(
        self,
        take: Take,
        request: HttpRequest,
        body: bytes | None,
        *,
        is_acknowledged: bool = True,
    ) -> Response:
        if body is None:
            answer = self._intake.refuse_size()
        else:
            taken = Request(
                headers=dict(request.headers),
                query=dict(request.query_params),
                body=body,
                project_id=request.path_params.get("project_id"),
                is_acknowledged=is_acknowledged,
            )
            is_large = len(body) > _THREAD_ABOVE_BYTES
            answer = await asyncio.to_thread(take, taken) if is_large else take(taken)
        return Response(answer.body, answer.status, {"content-type": answer.content_type})

    async def _read_body(self, request: HttpRequest) -> bytes | None:
        """The body, or ``None`` if it is above the limit."""
        chunks: list[bytes] = []
        size_bytes = 0
        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes <= self._limits.body_bytes:
                chunks.append(chunk)
            # A client that still sends would not read the answer: let a moderate excess pass by.
            elif size_bytes > 2 * self._limits.body_bytes:
                break
            else:
                chunks.clear()
        return b"".join(chunks) if size_bytes <= self._limits.body_bytes else None

    async def _wait(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay_s)


def _post_routes(path: str, endpoint: Callable[[HttpRequest], object]) -> list[Route]:
    """With and without a path prefix before it, and a slash behind it."""
    return [
        Route(f"{prefix}{path}{slash}", endpoint, methods=["POST"])
        for prefix in ("", "/{prefix:path}")
        for slash in ("/", "")
    ]
