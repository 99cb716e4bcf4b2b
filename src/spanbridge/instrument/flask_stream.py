"""A streamed answer of Flask's, on its way to the server: part of the span of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode, get_current_span
from werkzeug.exceptions import ClientDisconnected

from spanbridge.conventions import SPANBRIDGE_OUTCOME
from spanbridge.instrument.activation import Activation
from spanbridge.instrument.flask_request import ServedRequest, leave_opentelemetrys
from spanbridge.instrument.outcome import description_of
from spanbridge.instrument.stream_times import StreamTimes
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import WSGIEnvironment

    from opentelemetry.context import Context

    from spanbridge.instrument.exception_log import ExceptionLog

BROKE_OFF: Final = "An exception broke off an answer"


class HeldSpan:
    """Keeps the span of a request open until its answer was streamed.

    OpenTelemetry ends it together with Flask's request context, which mostly is before the first
    part. Nothing can be told to it, so the span object's own ``end`` only takes note meanwhile.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._is_held = True
        self._is_due = False
        span.end = self._note  # type: ignore[method-assign]

    @classmethod
    def of(cls, span: Span) -> HeldSpan | None:
        """Let ``end`` wait for :meth:`release`, if there is a span and it can."""
        if not span.is_recording():
            return None
        try:
            return cls(span)
        except Exception as failure:  # somebody's span class
            GUARD.caught("instrument.flask", failure)
            return None

    def release(self) -> None:
        """End the span if somebody wanted to meanwhile; may be called more than once."""
        if not self._is_held:
            return
        self._is_held = False
        try:
            del self._span.end
            if self._is_due:
                self._span.end()
        except Exception as failure:
            GUARD.caught("instrument.flask", failure)

    def _note(self, end_time: int | None = None) -> None:
        self._is_due = True


class StreamedAnswer:
    """The parts of one answer. If it is streamed, each is made in the context of its request.

    Args:
        parts: What the application returned.
        span: The span of the request; an invalid one for excluded URLs.
        held: Keeps the span open until the last part, if the answer is streamed.
        context: The context of the request, if the answer is streamed.
        times: Counts the parts; began with the request.
        log: Where a failure is told.
        request: What the parts belong to; it ends with the last one.
        environ: What the server said of the request.
    """

    def __init__(
        self,
        parts: Iterable[bytes],
        span: Span,
        held: HeldSpan | None,
        context: Context | None,
        times: StreamTimes,
        log: ExceptionLog,
        request: ServedRequest,
        environ: WSGIEnvironment,
    ) -> None:
        self._parts = parts
        self._iterator: Iterator[bytes] | None = None
        self._held = held
        self._span = span
        self._context = context
        self._times = times
        self._log = log
        self._request = request
        self._environ: WSGIEnvironment | None = environ
        self._has_ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        activation = self._enter()
        try:
            if self._iterator is None:
                self._iterator = iter(self._parts)
            part = next(self._iterator)
        except StopIteration:
            self._leave(activation)
            self._end(None)
            raise
        except BaseException as error:
            self._leave(activation)
            self._end(error)
            raise
        self._leave(activation)
        if part:
            self._times.note()
        return part

    def close(self) -> None:
        """The server is done with the answer, maybe before its end."""
        activation = self._enter()
        try:
            if (close := getattr(self._parts, "close", None)) is not None:
                close()
        except BaseException as error:
            self._leave(activation)
            self._end(error, {SPANBRIDGE_OUTCOME: "disconnected"})
            raise
        else:
            self._leave(activation)
            self._end(None, {SPANBRIDGE_OUTCOME: "disconnected"})
        finally:
            self._environ = None
            self._request.end()

    def __del__(self) -> None:
        if not self._has_ended:  # by a server that does not close what it is given
            self._end(None, {SPANBRIDGE_OUTCOME: "disconnected"})
        if self._environ is not None:
            self._request.forget()

    def _enter(self) -> Activation | None:
        # With ``stream_with_context`` the request's own context is current still.
        context = self._context
        has_span = self._span is not INVALID_SPAN  # as for URLs that are excluded
        if context is None or (has_span and get_current_span() is self._span):
            return None
        return Activation(context)

    def _leave(self, activation: Activation | None) -> None:
        if activation is not None:
            self._context = activation.end()

    def _end(self, error: BaseException | None, outcome: dict[str, str] | None = None) -> None:
        """Call it while ``error`` is handled: whoever sees the span end can see it then."""
        if self._has_ended:
            return
        self._has_ended = True
        try:
            if self._held is not None and self._span.is_recording():
                self._span.set_attributes({**self._times.attributes(), **(outcome or {})})
            if isinstance(error, Exception) and not isinstance(error, ClientDisconnected):
                self._fail(error)
        except Exception as failure:  # somebody's span
            GUARD.caught("instrument.flask", failure)
        if error is not None and self._environ is not None:
            leave_opentelemetrys(self._environ)
        if self._held is not None:
            self._held.release()

    def _fail(self, error: Exception) -> None:
        self._log.record(error, BROKE_OFF, is_handled=False, span=self._span)
        if self._span.is_recording():
            self._span.set_status(Status(StatusCode.ERROR, description_of(error)))
