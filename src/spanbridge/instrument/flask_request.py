"""The context of a request to Flask, which ends with it whatever fails at its end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context, attach, create_key, detach, get_current, get_value

from spanbridge.instrument.activation import Activation
from spanbridge.instrument.request_context import request_context
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from spanbridge.runtime.excluded import Exclusion

_KEY: Final = create_key("spanbridge.instrument.flask.request")
_OTEL_ACTIVATION: Final = "opentelemetry-flask.activation_key"
_OTEL_TOKEN: Final = "opentelemetry-flask.token"  # noqa: S105


def drop_left_behind() -> Context:
    """The context a request arrives in, without what an earlier one of this thread has left.

    A server that does not close a streamed answer leaves the context of its request behind.
    """
    around = get_current()
    if around:
        earlier = get_value(_KEY, around)
        if isinstance(earlier, ServedRequest) and earlier.was_here():
            around = Context()
            attach(around)
    return around


def is_of_request(context: Context) -> bool:
    """Whether it belongs to a request that this glue knows, so the span in it does too."""
    return get_value(_KEY, context) is not None


class ServedRequest:
    """A request from where it arrives until its answer has left; its context is current at first.

    Args:
        around: The context it arrives in.
        exclusion: Given if the request is left out of telemetry.
    """

    __slots__ = ("_activation", "_exclusion", "_is_over", "_thread")

    def __init__(self, around: Context, exclusion: Exclusion | None) -> None:
        self._exclusion = exclusion
        self._is_over = False
        self._thread = threading.get_ident()
        self._activation: Activation | None = Activation(
            request_context(around, _KEY, self, exclusion)
        )

    def was_here(self) -> bool:
        """Whether it was served by this thread, and is over."""
        return self._is_over and self._thread == threading.get_ident()

    def step_aside(self) -> None:
        """The application has returned a streamed answer.

        Its context stays if Flask's does (``stream_with_context``).
        """
        activation = self._activation
        if activation is not None and activation.is_innermost():
            activation.end()
            self._activation = None

    def end(self) -> None:
        """The answer has left, or never came about."""
        self.forget()
        activation, self._activation = self._activation, None
        if activation is not None:
            activation.end()

    def forget(self) -> None:
        """The answer was given up, at a time and in a thread that are nobody's choice."""
        self._is_over = True
        if self._exclusion is not None:
            self._exclusion.is_over = True


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
