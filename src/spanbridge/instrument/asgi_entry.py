"""Where a request enters an ASGI application, before OpenTelemetry's middleware sees it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, get_current
from opentelemetry.instrumentation.asgi import get_host_port_url_tuple
from opentelemetry.trace import get_current_span

from spanbridge.instrument.activation import Activation
from spanbridge.runtime.excluded import excluding, is_excluded
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.util.http import ExcludeList
    from starlette.types import ASGIApp, Receive, Scope, Send

    from spanbridge.instrument.server_span import DoubleInstrumentation

ENTERED: Final = "spanbridge.entered"
"""In the scope of a request: it has passed here, in an application around this one."""

_NOTHING: Final = Context()
_NOTHING_EXCLUDED: Final = excluding(_NOTHING)


class RequestEntry:
    """Outermost ASGI middleware: the context a request begins in.

    - Python can leak the context of one request into another one of the same connection
      (cpython#140947; servers that pipeline do as well). Such a request begins without a context.
    - A request to a URL that is excluded runs with instrumentation suppressed, so that what it does
      leaves no orphans.

    Args:
        app: What it is put around.
        excluded: The URLs that OpenTelemetry's middleware leaves out.
        double: Says that a request has a span already.
    """

    def __init__(
        self, app: ASGIApp, excluded: ExcludeList | None, double: DoubleInstrumentation
    ) -> None:
        self.app = app
        self._excluded = excluded
        self._double = double

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan" or ENTERED in scope:
            return self.app(scope, receive, send)
        scope[ENTERED] = True
        around = get_current()
        context = self._begins_in(around, scope) if around else around
        if self._excluded is not None and self._is_excluded(scope):
            context = excluding(context) if context else _NOTHING_EXCLUDED
        if context is around:
            return self.app(scope, receive, send)
        return self._serve_in(context, scope, receive, send)

    async def _serve_in(self, context: Context, scope: Scope, receive: Receive, send: Send) -> None:
        activation = Activation(context)
        try:
            await self.app(scope, receive, send)
        finally:
            activation.end()

    def _begins_in(self, context: Context, scope: Scope) -> Context:
        """The context itself, unless it was left behind by another request."""
        span = get_current_span(context)
        if is_excluded(context) or getattr(span, "end_time", None) is not None:
            return _NOTHING
        self._double.look_at(span, str(scope.get("path")))
        return context

    def _is_excluded(self, scope: Scope) -> bool:
        try:
            url = get_host_port_url_tuple(scope)[2]  # type: ignore[no-untyped-call]
            return bool(self._excluded is not None and self._excluded.url_disabled(url))
        except Exception as failure:
            GUARD.caught("instrument.asgi", failure)
            return False
