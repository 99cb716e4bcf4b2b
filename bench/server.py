"""A loopback server that accepts envelopes and OTLP, and counts what is inside them.

It runs in a process of its own. While an arm is measured it only keeps the bodies; they are
decoded when the parent asks for the counts, outside the measured window.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing as mp
import socket
from multiprocessing.connection import Connection

from bench.delivered import Body, Delivered

_HTTP_PORT = 80
_UNDECODED_LIMIT_BYTES = 256 * 1024 * 1024
"""Long runs are decoded on the way at this size; no measured window comes near it."""


class CountingServer:
    """The parent's handle of one server process.

    Sentry's SDK traces its own uploads if the DSN names a port that is not the default one, so
    every server sits on port 80 of a loopback address of its own. Where that is not permitted,
    :attr:`on_default_port` is false and the native arms switch that instrumentation off.

    Args:
        host: A loopback address nobody else uses.
    """

    def __init__(self, host: str) -> None:
        listener = _listen(host)
        port = listener.getsockname()[1]
        self.on_default_port = port == _HTTP_PORT
        self.address = host if self.on_default_port else f"{host}:{port}"
        self._pipe, theirs = mp.Pipe()
        context = mp.get_context("spawn")
        self._process = context.Process(target=_serve, args=(listener, theirs), daemon=True)
        self._process.start()
        theirs.close()
        listener.close()

    def take(self) -> Delivered:
        """What arrived since the last call."""
        self._pipe.send("take")
        answer = self._pipe.recv()
        if isinstance(answer, Exception):  # a body nobody could read is a fault of its arm
            raise answer
        assert isinstance(answer, Delivered)
        return answer

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.send("close")
        self._process.join()


def _listen(host: str) -> socket.socket:
    try:
        return socket.create_server((host, _HTTP_PORT), backlog=128)
    except OSError:  # no right to the port, or somebody else has it
        return socket.create_server((host, 0), backlog=128)


def _serve(listener: socket.socket, pipe: Connection) -> None:
    asyncio.run(_Server(pipe).run(listener))


class _Server:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._undecoded: list[Body] = []
        self._undecoded_bytes = 0
        self._delivered = Delivered()
        self._closed = asyncio.Event()

    async def run(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe.fileno(), self._on_command)
        await loop.create_server(lambda: _HttpConnection(self), sock=listener)
        await self._closed.wait()

    def accept(self, body: Body) -> None:
        self._undecoded.append(body)
        self._undecoded_bytes += len(body.data)
        if self._undecoded_bytes > _UNDECODED_LIMIT_BYTES:
            self._decode()

    def _on_command(self) -> None:
        try:
            command = self._pipe.recv()
        except EOFError:  # the parent is gone
            command = "close"
        if command == "close":
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._closed.set()
            return
        try:
            self._decode()
            self._pipe.send(self._delivered)
        except Exception as error:
            self._pipe.send(error)
        self._delivered = Delivered()

    def _decode(self) -> None:
        for body in self._undecoded:
            self._delivered.add(body)
        self._undecoded.clear()
        self._undecoded_bytes = 0


class _HttpConnection(asyncio.Protocol):
    """Just enough HTTP/1.1: keep-alive POSTs with a length."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end_of_head := self._received.find(b"\r\n\r\n")) >= 0:
            headers = _headers(bytes(self._received[:end_of_head]))
            if "content-length" not in headers:
                self._reply(b"411 Length Required", b"")
                return
            start = end_of_head + 4
            end = start + int(headers["content-length"])
            if len(self._received) < end:
                return
            body = bytes(self._received[start:end])
            del self._received[:end]
            is_otlp = headers.get("content-type") == "application/x-protobuf"
            self._server.accept(Body(is_otlp, headers.get("content-encoding", "identity"), body))
            self._reply(b"200 OK", b"" if is_otlp else b"{}")

    def _reply(self, status: bytes, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {
        name.lower(): value.strip().lower()
        for name, _, value in (line.partition(":") for line in lines)
    }
