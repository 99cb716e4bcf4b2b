"""How a span ended that was neither a success nor a failure: outcomes by exception class."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

EndingWord: TypeAlias = Literal["cancelled", "disconnected", "timeout", "interrupted"]

_BY_OUTCOME: Final[dict[EndingWord | None, tuple[str, ...]]] = {
    "cancelled": (
        "asyncio.exceptions.CancelledError", "asyncio.CancelledError", "CancelledError",
        "concurrent.futures._base.CancelledError", "trio.Cancelled", "GeneratorExit",
    ),
    "disconnected": (
        "starlette.requests.ClientDisconnect", "starlette.websockets.WebSocketDisconnect",
        "uvicorn.protocols.utils.ClientDisconnected", "werkzeug.exceptions.ClientDisconnected",
        "django.http.request.UnreadablePostError", "websockets.exceptions.ConnectionClosedOK",
        "simple_websocket.errors.ConnectionClosed",
    ),
    "interrupted": ("KeyboardInterrupt", "SystemExit"),
    None: (
        "StopAsyncIteration", "anyio.EndOfStream", "trio.EndOfChannel",
        "channels.exceptions.StopConsumer",
    ),
}  # fmt: skip

NOT_FAILURES: Final[Mapping[str, EndingWord | None]] = MappingProxyType(
    {name: outcome for outcome, names in _BY_OUTCOME.items() for name in names}
)
"""Cancellation, disconnection and orderly exits are outcomes, not errors.

By qualified class name, as ``exception.type`` has it; ``None`` where nothing is worth a word. Not
among them: a stray ``StopIteration`` and the use of a closed stream, which are mistakes as often as
not.
"""

_TIMEOUTS: Final = frozenset(
    {"TimeoutError", "asyncio.exceptions.TimeoutError", "trio.TooSlowError"}
)


def ending_word(exception_type: str) -> EndingWord | None:
    """The outcome of a span that an exception of this class left, if it has a word of its own."""
    return "timeout" if exception_type in _TIMEOUTS else NOT_FAILURES.get(exception_type)
