"""What the span of an ASGI connection says of its messages, instead of one span for each."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Span

from spanbridge.conventions import (
    SPANBRIDGE_OUTCOME,
    SPANBRIDGE_WEBSOCKET_CLOSE_CODE,
    SPANBRIDGE_WEBSOCKET_MESSAGES_RECEIVED,
    SPANBRIDGE_WEBSOCKET_MESSAGES_SENT,
)
from spanbridge.instrument.stream_times import StreamTimes
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Receive

NORMAL: Final = 1000
ABNORMAL: Final = 1006
"""WebSocket close codes (RFC 6455, 7.4.1): done; gone without a word."""


class HttpAnswer:
    """Notes when the chunks of a streamed answer are handed to the server.

    An answer is streamed if it comes in several parts, or in one whose length is not announced.

    Args:
        span: The span of the request. The last part ends it.
    """

    __slots__ = ("_began_s", "_head", "_span", "_times")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._began_s = perf_counter()
        self._head: Message | None = None
        self._times: StreamTimes | None = None

    def sends(self, message: Message) -> None:
        """The application is about to send ``message``."""
        kind = message["type"]
        if kind == "http.response.start":
            self._head = message
        elif kind == "http.response.body":
            is_last = not message.get("more_body", False)
            if self._times is None:
                if is_last:
                    return  # in one piece, as most are
                self._times = StreamTimes(self._began_s)
            if message.get("body"):
                self._times.note()
            if is_last:
                self._tell({})

    def end(self, *, has_failed: bool) -> None:
        """The application is done with the request.

        Args:
            has_failed: Whether with an exception. Without one, a stream whose last part was never
                sent is one whose client went away.
        """
        if self._times is not None:
            self._tell({} if has_failed else {SPANBRIDGE_OUTCOME: "disconnected"})
        self._head = None

    def _tell(self, outcome: Mapping[str, str]) -> None:
        times, self._times = self._times, None
        if times is None or (times.count < 2 and not outcome and _has_length(self._head)):
            return
        _write(self._span, {**times.attributes(), **outcome})


class WebSocketTalk:
    """Counts the messages of a websocket, and notes how it was closed.

    Args:
        span: The span of the connection.
    """

    __slots__ = ("_close_code", "_received", "_sent", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._received = self._sent = 0
        self._close_code: int | None = None

    def listening(self, receive: Receive) -> Receive:
        """``receive``, with an ear on it."""

        async def receive_and_note() -> Message:
            message = await receive()
            kind = message["type"]
            if kind == "websocket.receive":
                self._received += 1
            elif kind == "websocket.disconnect":
                self._close(message)
            return message

        return receive_and_note

    def sends(self, message: Message) -> None:
        """The application is about to send ``message``."""
        kind = message["type"]
        if kind == "websocket.send":
            self._sent += 1
        elif kind == "websocket.close":
            self._close(message)

    def end(self, *, has_failed: bool) -> None:
        """The application is done with the connection."""
        attributes: dict[str, str | int] = {
            SPANBRIDGE_WEBSOCKET_MESSAGES_RECEIVED: self._received,
            SPANBRIDGE_WEBSOCKET_MESSAGES_SENT: self._sent,
        }
        if self._close_code is not None:
            attributes[SPANBRIDGE_WEBSOCKET_CLOSE_CODE] = self._close_code
        if self._close_code == ABNORMAL and not has_failed:
            attributes[SPANBRIDGE_OUTCOME] = "disconnected"
        _write(self._span, attributes)

    def _close(self, message: Message) -> None:
        if self._close_code is None:
            code = message.get("code")
            self._close_code = int(code) if code is not None else NORMAL


def _has_length(head: Message | None) -> bool:
    return head is not None and any(
        name.lower() == b"content-length" for name, _ in head.get("headers", ())
    )


def _write(span: Span, attributes: Mapping[str, str | int | float]) -> None:
    if not span.is_recording():
        return
    try:
        span.set_attributes(attributes)
    except Exception as failure:  # somebody's span
        GUARD.caught("instrument.asgi", failure)
