"""Break connections on purpose: reset them, or close them without an answer."""

from __future__ import annotations

import asyncio
import socket
import struct

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_RESET = struct.pack("ii", 1, 0)


class Connections:
    """The open connections by the client's address, which is what an ASGI application knows."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """An HTTP protocol for uvicorn that keeps this registry."""
        transports = self._transports

        class TrackedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    transports.pop(self.client, None)
                super().connection_lost(exc)

        return TrackedProtocol

    def reset(self, client: tuple[str, int]) -> None:
        """Send RST."""
        if (transport := self._transports.get(client)) is not None:
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET
            )
            transport.abort()

    def abort(self) -> None:
        """Drop every connection."""
        for transport in list(self._transports.values()):
            transport.abort()

    def close(self, client: tuple[str, int]) -> None:
        """Send FIN."""
        if (transport := self._transports.get(client)) is not None:
            transport.close()


class NoAnswer(Response):
    """Ends the connection instead of answering.

    Args:
        connections: Where the connection is registered.
        is_reset: RST rather than FIN.
    """

    def __init__(self, connections: Connections, *, is_reset: bool) -> None:
        super().__init__()
        self._connections = connections
        self._is_reset = is_reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client: tuple[str, int] = tuple(scope["client"])
        if self._is_reset:
            self._connections.reset(client)
        else:
            self._connections.close(client)
        # The server would answer 500 for an application that returns before the client is gone.
        while (await receive())["type"] != "http.disconnect":
            pass
