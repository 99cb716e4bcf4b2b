"""A small HTTP server for the page, on the first free port of a range."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from spanbridge.destinations.prometheus_page import wsgi_app
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Iterable

RETRY_S: Final = 5.0
"""How often a port that was taken is tried again: its owner may be on its way out."""
_WAKE_S: Final = 0.1
_CLIENT_TIMEOUT_S: Final = 10.0


class PageServer:
    """Serves one destination's page.

    Args:
        destination: The destination's name.
        host: The address to listen on.
        ports: The ports to try, in order.
    """

    def __init__(self, destination: str, host: str, ports: Iterable[int]) -> None:
        self._destination = destination
        self._host = host
        self._ports = list(ports)
        self._has_said_why_not = False
        self.problem: str | None = None
        """Why it has no port, while it has none."""
        self._start_empty()

    def _start_empty(self) -> None:
        self._is_closing = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int | None:
        """The port it listens on, if it has one."""
        return self._server.server_address[1] if self._server is not None else None

    def start(self) -> None:
        """Listen, or say why that is not possible and try again later."""
        self._server = self._bind()
        self._thread = start_daemon(f"{self._destination}-page", self._run)

    def close(self) -> None:
        """Give the port back."""
        self._is_closing.set()
        if self._thread is not None:
            self._thread.join(10 * _WAKE_S)
        if self._server is not None:
            self._server.server_close()

    def start_anew(self) -> None:
        """In a forked child: leave the parent's socket alone and get one of its own."""
        if self._server is not None:
            self._server.socket.close()
        self._start_empty()
        self.start()

    def _run(self) -> None:
        while not self._is_closing.is_set():
            server = self._server
            if server is not None:
                server.handle_request()
            elif not self._is_closing.wait(RETRY_S):
                self._server = self._bind()

    def _bind(self) -> _Server | None:
        problem = ""
        for port in self._ports:
            try:
                server = _Server((self._host, port), _Handler)
            except OSError as error:
                problem = f"{self._host}:{port}: {error.strerror or error}"
                continue
            server.set_app(wsgi_app(self._destination))
            self.problem = None
            return server
        self.problem = problem
        if not self._has_said_why_not:
            self._has_said_why_not = True
            GUARD.report(
                f"{self._destination}: no page",
                f"{problem}. The application goes on; the port is tried again. Several processes "
                "need a range of ports, for example 9464-9471",
            )
        return None


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    timeout = _WAKE_S

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Not the HTTP server's, which asks the name service who we are and may wait for it.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away is no news."""


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to the application's standard error."""
