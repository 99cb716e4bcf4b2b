"""The exceptions of requests to Starlette applications, FastAPI's among them.

Most are recorded by OpenTelemetry's instrumentation, as they pass it on their way out. Two pieces
of middleware see the others: those that somebody answers for with a 5xx, and those that leave when
the span of the request has ended.

::

    OpenTelemetry's middleware
      FailureReports        knows the span, sees what is sent in the end, and what leaves
        the application's middleware, which may run the rest in another task
          FailureNotices    sees which exception is handled when an answer starts, and what passes
            exception handlers, routes
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Span, StatusCode, get_current_span
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from spanbridge.instrument.asgi_answer import HttpAnswer, WebSocketTalk

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from spanbridge.instrument.asgi_lifespan import LifespanWatch
    from spanbridge.instrument.exception_log import ExceptionLog

_KEY: Final = "spanbridge.failures"
_FASTAPIS_OWN: Final = "fastapi.telemetry"
_INTERNAL_ERROR: Final = 1011
"""WebSocket close code: the server met a condition that it did not expect (RFC 6455, 7.4.1)."""
_RAISES_AGAIN: Final = ServerErrorMiddleware.__call__.__code__

ANSWERED: Final = "An exception was answered with a server error"
ESCAPED: Final = "An exception left the application"


class RequestFailures:
    """What is known of the exceptions of one request, while it is served."""

    __slots__ = ("inherited", "is_raised_again", "noticed", "recorded", "span")

    def __init__(self, span: Span, inherited: BaseException | None) -> None:
        self.span = span
        """The span of the request, whatever spans the application's middleware opens in it."""
        self.inherited = inherited
        """What a caller in this process was handling before: none of our business."""
        self.noticed: BaseException | None = None
        """The last one that was handled inside, or passed on its way out."""
        self.is_raised_again = False
        """Whether that one leaves the application in spite of the answer."""
        self.recorded: BaseException | None = None

    def in_flight(self) -> BaseException | None:
        """The exception that is being handled right now because of this request."""
        error = sys.exc_info()[1]
        return None if error is self.inherited else error

    def forget(self) -> None:
        """Let go of the exceptions: their frames refer to the request again."""
        self.inherited = self.noticed = self.recorded = None


class FailureNotices:
    """Innermost ASGI middleware: notices the exceptions of handlers and routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        failures = scope.get(_KEY)
        if not isinstance(failures, RequestFailures):
            return self.app(scope, receive, send)
        return self._serve(scope, receive, send, failures)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, failures: RequestFailures
    ) -> None:
        def send_and_notice(message: Message) -> Awaitable[None]:
            if _is_failure(message) and (error := failures.in_flight()) is not None:
                failures.noticed = error
                failures.is_raised_again = _is_caught_to_raise_again(error)
            return send(message)

        try:
            await self.app(scope, receive, send_and_notice)
        except Exception as error:
            if error is not failures.noticed:
                failures.noticed = error
                failures.is_raised_again = False
            raise


class FailureReports:
    """Outermost ASGI middleware of an application: tells of what nobody else will.

    That is failures that OpenTelemetry's middleware does not see, and what the messages of the
    connection add up to.

    Args:
        app: What it is put around.
        log: Where to report what the span of the request cannot record.
        lifespan: What to do while the application starts and stops.
    """

    def __init__(self, app: ASGIApp, log: ExceptionLog, lifespan: LifespanWatch) -> None:
        self.app = app
        self._log = log
        self._lifespan = lifespan

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._lifespan.run(self.app, scope, receive, send)
        return self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        failures = RequestFailures(get_current_span(), sys.exc_info()[1])
        around = scope.get(_KEY)
        scope[_KEY] = failures
        # FastAPI applications mounted in this one would open a second span for the same request.
        scope.setdefault(_FASTAPIS_OWN, None)
        messages: HttpAnswer | WebSocketTalk
        if scope["type"] == "websocket":
            messages = WebSocketTalk(failures.span)
            receive = messages.listening(receive)
        else:
            messages = HttpAnswer(failures.span)
        has_failed = True

        def send_and_record(message: Message) -> Awaitable[None]:
            if _is_failure(message):
                self._record(failures)
            messages.sends(message)
            error = failures.recorded
            if error is not None and sys.exc_info()[1] is None:
                return _send_while_handling(error, send, message)
            return send(message)

        try:
            await self.app(scope, receive, send_and_record)
            has_failed = False
        except Exception as error:
            has_failed = not isinstance(error, ClientDisconnect | WebSocketDisconnect)
            # A span that still records meets the exception outside, in its own middleware.
            if has_failed and error is not failures.recorded and not failures.span.is_recording():
                self._log.report(error, ESCAPED, is_handled=False, span=failures.span)
            raise
        finally:
            messages.end(has_failed=has_failed)
            failures.forget()
            scope[_KEY] = around

    def _record(self, failures: RequestFailures) -> None:
        if (error := failures.in_flight()) is None:
            error = failures.noticed
        if error is None or error is failures.recorded or not isinstance(error, Exception):
            return
        is_handled = not (error is failures.noticed and failures.is_raised_again)
        self._log.record(error, ANSWERED, is_handled=is_handled, span=failures.span)
        # For HTTP this is what the instrumentation does; a websocket has no status code.
        failures.span.set_status(StatusCode.ERROR)
        failures.recorded = error


def _is_failure(message: Message) -> bool:
    kind = message["type"]
    if kind == "http.response.start" or kind == "websocket.http.response.start":
        return bool(message["status"] >= 500)
    return kind == "websocket.close" and message.get("code") == _INTERNAL_ERROR


def _is_caught_to_raise_again(error: BaseException) -> bool:
    """Whether it is answered for by a mounted application that does not handle it."""
    traceback = error.__traceback__  # begins with the frame that caught it
    return traceback is not None and traceback.tb_frame.f_code is _RAISES_AGAIN


async def _send_while_handling(error: BaseException, send: Send, message: Message) -> None:
    """Send as if within the ``except`` block of whoever answers for ``error``.

    The span of the request ends with the last message. Span processors that ask which exception
    is handled then get the same reply as without a middleware that runs handlers in another task.
    """
    traceback = error.__traceback__
    try:
        raise error
    except BaseException:
        error.__traceback__ = traceback  # without the line above
        await send(message)
