"""A server on a real socket that answers each request as the script says."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spanbridge.deliver import Endpoint
from tests.support.ports import free_port


@dataclass
class Received:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes
    """After decompression."""


Behaviour = Callable[[socket.socket, Received], bool]
"""Answers a request; returns whether the connection may carry another one."""


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Behaviour:
    def behave(connection: socket.socket, _: Received) -> bool:
        lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return headers.get("Connection") != "close"

    return behave


def raw(*pieces: bytes, pause_s: float = 0.0, keeps: bool = True) -> Behaviour:
    def behave(connection: socket.socket, _: Received) -> bool:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        return keeps

    return behave


def hang(connection: socket.socket, _: Received) -> bool:
    """Say nothing until the client goes."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    return False


def hang_up(_: socket.socket, __: Received) -> bool:
    return False


def reset(connection: socket.socket, _: Received) -> bool:
    """Close with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def reset_after(*pieces: bytes) -> Behaviour:
    def behave(connection: socket.socket, request: Received) -> bool:
        raw(*pieces)(connection, request)
        return reset(connection, request)

    return behave


@dataclass
class Peer:
    """Follows ``script`` request by request, then ``otherwise``."""

    script: list[Behaviour] = field(default_factory=list)
    otherwise: Behaviour = field(default_factory=answer)
    tls: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    scheme_host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        # Nobody else gets this port, also when the peer is gone and is not to be reached.
        self.port = self.port or free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.scheme_host}:{self.port}/api/1/envelope/"

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]

    def endpoint(self, **options: object) -> Endpoint:
        options = {"timeout_s": 5.0, "http_proxy": None, **options}
        return Endpoint(url=self.url, public_key="key", user_agent="tested/1", **options)  # type: ignore[arg-type]

    def await_requests(self, count: int, timeout_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while len(self.requests) < count:
            assert time.monotonic() < deadline_s, f"{len(self.requests)} of {count} requests came"
            time.sleep(0.005)

    def stop(self) -> None:
        self._shut(self._listener)
        for connection in self._open:
            self._shut(connection)

    def _shut(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        sock.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self.serve_requests(connection)
        except (OSError, ValueError, EOFError):
            pass  # the client went, perhaps amid a body, or the test is over
        finally:
            connection.close()

    def serve_requests(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while (request := read_request(stream)) is not None:
                with self._lock:
                    self.requests.append(request)
                    behave = self.script.pop(0) if self.script else self.otherwise
                if not behave(connection, request):
                    return


def read_request(stream: object) -> Received | None:
    line = stream.readline()  # type: ignore[attr-defined]
    if not line:
        return None
    headers = {}
    while (header := stream.readline()) not in (b"\r\n", b""):  # type: ignore[attr-defined]
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Received(line.decode().strip(), headers, body)


@dataclass
class Proxy(Peer):
    """Forwards and tunnels to wherever it is asked to."""

    tunnels: list[str] = field(default_factory=list)
    status_of_connect: bytes = b"200 Connection established"
    reaches: int = 0
    """The loopback port every tunnel leads to."""

    def serve_requests(self, connection: socket.socket) -> None:
        with connection.makefile("rb", buffering=0) as stream:
            request = read_request(stream)
        if request is None:
            return
        self.requests.append(request)
        if not request.line.startswith("CONNECT"):
            answer()(connection, request)
            return
        self.tunnels.append(request.line.split()[1])
        connection.sendall(b"HTTP/1.1 " + self.status_of_connect + b"\r\nX-Proxy: yes\r\n\r\n")
        if not self.status_of_connect.startswith(b"200"):
            return
        with socket.create_connection(("127.0.0.1", self.reaches)) as target:
            back = threading.Thread(target=pump, args=(target, connection), daemon=True)
            back.start()
            pump(connection, target)
            back.join(1)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sink, socket.SHUT_RDWR)


@contextlib.contextmanager
def running(*peers: Peer) -> Iterator[None]:
    try:
        yield
    finally:
        for peer in peers:
            peer.stop()
