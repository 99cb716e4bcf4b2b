"""Where a request enters an ASGI application, before OpenTelemetry's middleware sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import ContextVar
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context, get_current
from opentelemetry.instrumentation.asgi import get_host_port_url_tuple
from opentelemetry.trace import get_current_span

from spanbridge.instrument.activation import Activation
from spanbridge.instrument.request_context import request_context
from spanbridge.runtime.excluded import Exclusion
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.util.http import ExcludeList
    from starlette.types import ASGIApp, Receive, Scope, Send

    from spanbridge.instrument.server_span import DoubleInstrumentation

ENTERED: Final = "spanbridge.entered"
"""In the scope of a request: it has passed here, in an application around this one."""

_NOTHING: Final = Context()


class RequestEntry:
    """Outermost ASGI middleware: the context a request begins in.

    - Python can leak the context of one request into another one of the same connection
      (cpython#140947; servers that pipeline do as well). Such a request begins without a context.
    - A request to a URL that is excluded runs with instrumentation suppressed, so that what it does
      leaves no orphans.
    - Each request is a ``bound()`` block: what it binds ends with it.

    Args:
        app: What it is put around.
        excluded: The URLs that OpenTelemetry's middleware leaves out.
        double: Says that a request has a span already.
        is_traced: Whether OpenTelemetry's middleware is inside.
    """

    def __init__(
        self,
        app: ASGIApp,
        excluded: ExcludeList | None,
        double: DoubleInstrumentation,
        *,
        is_traced: bool,
    ) -> None:
        self.app = app
        self._excluded = excluded
        self._double = double
        self._is_traced = is_traced

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        if ENTERED in scope:
            if self._is_traced:
                self._double.look_at_outer(get_current_span())
            return self.app(scope, receive, send)
        scope[ENTERED] = True
        return self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        around = get_current()
        outer = _REQUEST.get()
        task = _current_task()
        code = _root_code(task)
        if outer is not None:
            if outer.has_leaked_into(task, code):
                around, outer = _NOTHING, None
        elif around:
            self._double.look_at(get_current_span(around), str(scope.get("path")))
        exclusion = None
        if self._excluded is not None and self._is_excluded(scope):
            exclusion = Exclusion()
        request = _Request(outer, task, code)
        token = _REQUEST.set(request)
        activation = Activation(request_context(around, exclusion))
        try:
            await self.app(scope, receive, send)
        finally:
            activation.end()
            with suppress(ValueError):  # closed in another execution context
                _REQUEST.reset(token)
            request.end()
            if exclusion is not None:
                exclusion.is_over = True

    def _is_excluded(self, scope: Scope) -> bool:
        try:
            url = get_host_port_url_tuple(scope)[2]  # type: ignore[no-untyped-call]
            return bool(self._excluded is not None and self._excluded.url_disabled(url))
        except Exception as failure:
            GUARD.caught("instrument.asgi", failure)
            return False


class _Request:
    """Who serves a request; found in its context, and in what has been copied from that.

    A context of an earlier request is found in two cases. One is a call in this process
    (``httpx.ASGITransport``), in the task of that request or in one it has started, maybe long ago:
    it goes on with the trace. The other is a leak: the server starts a task for the next request in
    the context of the former one. They differ in who is running: a server runs the same code at the
    root of all its tasks, and a task of the application's runs the application's. Only the
    outermost request is surely the server's: calls in this process may be tasks of one kind too,
    as those of ``asyncio.gather`` are.
    """

    __slots__ = ("_code", "_loop", "_outermost", "_task")

    def __init__(
        self, outer: _Request | None, task: asyncio.Task[Any] | None, code: CodeType | None
    ) -> None:
        self._outermost: _Request | None = outer
        """``None`` if it is this one."""
        if outer is not None and outer._outermost is not None:
            self._outermost = outer._outermost
        self._task = task
        self._code = code
        self._loop = None if task is None else task.get_loop()

    def end(self) -> None:
        """The application is done with the request."""
        self._task = None  # which refers to its context, that is to this object

    def has_leaked_into(self, task: asyncio.Task[Any] | None, code: CodeType | None) -> bool:
        """Whether ``task`` serves another request for the server that the outermost one came to.

        Without asyncio's tasks there is no such leak.
        """
        if task is None or code is None:
            return False
        first = self if self._outermost is None else self._outermost
        return first._code is code and first._task is not task and first._loop is task.get_loop()


# Not in OpenTelemetry's context: its propagators replace that by one with nothing else in it.
_REQUEST: Final[ContextVar[_Request | None]] = ContextVar(
    "spanbridge.instrument.asgi.request", default=None
)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # the server runs on trio
        return None


def _root_code(task: asyncio.Task[Any] | None) -> CodeType | None:
    """What a task was started with."""
    return None if task is None else getattr(task.get_coro(), "cr_code", None)
