"""The context of a request to Flask, which ends with it whatever fails at its end."""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, attach, detach, get_current

from spanbridge.instrument.activation import Activation
from spanbridge.instrument.request_context import request_context
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from spanbridge.runtime.excluded import Exclusion

_OTEL_ACTIVATION: Final = "opentelemetry-flask.activation_key"
_OTEL_TOKEN: Final = "opentelemetry-flask.token"


class ServedRequest:
    """A request from where it arrives until its answer has left; its context is current at first.

    Args:
        around: The context it arrives in.
        exclusion: Given if the request is left out of telemetry.
    """

    __slots__ = ("_activation", "_exclusion", "_is_over", "_mark", "_thread")

    def __init__(self, around: Context, exclusion: Exclusion | None) -> None:
        self._exclusion = exclusion
        self._is_over = False
        self._thread = threading.get_ident()
        self._mark = _REQUEST.set(self)
        self._activation: Activation | None = Activation(request_context(around, exclusion))

    def was_here(self) -> bool:
        """Whether it was served by this thread, and is over."""
        return self._is_over and self._thread == threading.get_ident()

    def step_aside(self) -> None:
        """The application has returned a streamed answer.

        Its context stays if Flask's does (``stream_with_context``).
        """
        if self._activation is not None and self._activation.is_innermost():
            self._leave()

    def end(self) -> None:
        """The answer has left, or never came about."""
        self.forget()
        self._leave()

    def forget(self) -> None:
        """The answer was given up, at a time and in a thread that are nobody's choice."""
        self._is_over = True
        if self._exclusion is not None:
            self._exclusion.is_over = True

    def _leave(self) -> None:
        activation, self._activation = self._activation, None
        if activation is not None:
            activation.end()
            with suppress(ValueError):  # closed in another thread
                _REQUEST.reset(self._mark)


# Not in OpenTelemetry's context: its propagators replace that by one with nothing else in it.
_REQUEST: Final[ContextVar[ServedRequest | None]] = ContextVar(
    "spanbridge.instrument.flask.request", default=None
)


def drop_left_behind() -> Context:
    """The context a request arrives in, without what an earlier one of this thread has left.

    A server that does not close a streamed answer leaves the context of its request behind.
    """
    earlier = _REQUEST.get()
    if earlier is None or not earlier.was_here():
        return get_current()
    _REQUEST.set(None)
    nothing = Context()
    attach(nothing)
    return nothing


def is_within_request() -> bool:
    """Whether a request is served here already, so that the current span is that one's."""
    return _REQUEST.get() is not None


def leave_opentelemetrys(environ: WSGIEnvironment) -> None:
    """Do what OpenTelemetry's function for the end of the request did not come to do.

    Left alone, it would happen when the garbage is collected, in the context of another request.
    """
    activation = environ.pop(_OTEL_ACTIVATION, None)
    token = environ.pop(_OTEL_TOKEN, None)
    try:
        if activation is not None:
            activation.__exit__(None, None, None)
        if token is not None:
            detach(token)
    except Exception as failure:
        GUARD.caught("instrument.flask", failure)
