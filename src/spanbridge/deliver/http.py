"""One keep-alive connection that posts envelopes with as little CPU as correctness allows.

urllib3 opens the connection, llhttp (by httptools) parses the answer; what lies between is one
``send`` and usually one ``recv``. Reasons and figures: decision record 0003.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Protocol

import urllib3.exceptions
from urllib3.connection import HTTPConnection

from spanbridge.deliver.answer import Answer, AnswerReader, ExchangeError
from spanbridge.deliver.dial import Dialer, shut_down
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.errors import ConfigurationError

STALE_CHECK_AFTER_S = 1.0
"""After a longer pause it is looked first whether the server has hung up meanwhile."""

MAX_IDLE_S = 50.0
"""Load balancers forget idle connections after 60 s, some without a word to either side."""

MAX_DRAINED_BYTES = 65_536
"""A longer rest of an answer is not read: a new connection is cheaper."""

DRAIN_TIMEOUT_S = 2.0
"""The rest of an answer is read only to use the connection again: not worth more than this."""

_RECEIVE_BYTES = 65_536


class EnvelopeClient(Protocol):
    """What the sender needs of HTTP."""

    def post(self, body: bytes, *, is_gzip: bool) -> Answer:
        """Send one request and wait for its answer, or raise :class:`ExchangeError`."""

    def interrupt(self) -> None:
        """End a running :meth:`post`, from another thread, and let no other one begin."""

    def close(self) -> None:
        """Let go of the connection."""


class HttpClient:
    """Posts to one endpoint over one connection, opened when needed. Used by one thread.

    Args:
        endpoint: Where to and by which way.
        clock: Seconds from any fixed point, never going back.

    Raises:
        ConfigurationError: the endpoint is unusable.
    """

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = endpoint.timeout_s
        self._clock = clock
        self._dialer = Dialer(endpoint)
        self._plain_head = self._request_head(endpoint, content_encoding=None)
        self._gzip_head = self._request_head(endpoint, content_encoding="gzip")
        self._connection: HTTPConnection | None = None
        self._reader = AnswerReader()
        self._idle_since_s = 0.0
        self._is_interrupted = False

    def post(self, body: bytes, *, is_gzip: bool) -> Answer:
        """Send ``body`` and wait for the answer.

        A connection that the server closed while it was idle is replaced once. That is safe: the
        server hung up before any byte of an answer, and Sentry drops a second copy by event id.

        Raises:
            ExchangeError: no answer within the endpoint's timeout.
        """
        head = self._gzip_head if is_gzip else self._plain_head
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        try:
            if self._reuses_connection():
                try:
                    return self._exchange(request)
                except _HungUpEarly:
                    self.close()
            self._connect()
            return self._exchange(request)
        except _HungUpEarly as error:
            self.close()
            raise ExchangeError("connection closed", "before an answer") from error
        except ExchangeError:
            self.close()
            raise
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
            self.close()
            raise _named(error) from error

    def interrupt(self) -> None:
        """End a running :meth:`post`, from another thread, and let no other one begin."""
        self._is_interrupted = True
        connection = self._connection
        if connection is not None:
            shut_down(connection)

    def close(self) -> None:
        """Let go of the connection. The other end of a fork keeps its own."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _request_head(self, endpoint: Endpoint, content_encoding: str | None) -> bytes:
        route = self._dialer.route
        headers = {
            "Host": route.host_header,
            "User-Agent": endpoint.user_agent,
            "X-Sentry-Auth": endpoint.auth_header,
            "Proxy-Authorization": route.proxy_authorization,
            "Content-Type": "application/x-sentry-envelope",
            "Content-Encoding": content_encoding,
        }
        lines = [f"POST {route.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        for line in lines:
            if not (line.isascii() and line.isprintable()):
                raise ConfigurationError(
                    "dsn", "***", "it has characters that HTTP does not allow", "Copy it again."
                )
        return ("\r\n".join(lines) + "\r\nContent-Length: ").encode()

    def _reuses_connection(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        idle_s = self._clock() - self._idle_since_s
        if idle_s > MAX_IDLE_S or (idle_s > STALE_CHECK_AFTER_S and not connection.is_connected):
            self.close()
            return False
        return True

    def _connect(self) -> None:
        # Stored before it is open, so that interrupt() reaches a TLS or proxy handshake too.
        self._connection = connection = self._dialer.prepare()
        self._reader = AnswerReader()
        if self._is_interrupted:
            raise ExchangeError("interrupted")
        connection.connect()

    def _exchange(self, request: bytes) -> Answer:
        sock = self._connection.sock if self._connection else None
        if self._is_interrupted or sock is None:
            raise ExchangeError("interrupted")
        deadline_s = self._clock() + self._timeout_s
        reader = self._reader
        reader.start()
        hang_up = self._send(sock, request, deadline_s)
        try:
            self._receive(sock, reader, deadline_s)
        except OSError as error:
            if reader.is_untouched and isinstance(error, _HANG_UPS):
                raise _HungUpEarly from hang_up or error
            if not reader.status:
                raise
        if hang_up is not None or not reader.allows_another_request:
            self.close()
        else:
            self._idle_since_s = self._clock()
        return reader.answer()

    def _send(self, sock: socket.socket, request: bytes, deadline_s: float) -> OSError | None:
        # A server may refuse a body without reading it all: its answer can be waiting for us
        # although our bytes have nowhere to go. So a hang-up is not the end of the exchange.
        rest = memoryview(request)
        try:
            while rest:
                sock.settimeout(self._left_s(deadline_s))
                rest = rest[sock.send(rest) :]
        except _HANG_UPS as error:
            return error
        return None

    def _receive(self, sock: socket.socket, reader: AnswerReader, deadline_s: float) -> None:
        while True:
            sock.settimeout(self._left_s(deadline_s))
            data = sock.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            reader.feed(data)
            if reader.is_complete or reader.body_bytes > MAX_DRAINED_BYTES:
                return
            if reader.status:
                deadline_s = min(deadline_s, self._clock() + DRAIN_TIMEOUT_S)

    def _left_s(self, deadline_s: float) -> float:
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise TimeoutError
        return left_s


_HANG_UPS = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class _HungUpEarly(Exception):
    """The server closed the connection before the first byte of an answer."""


def _named(error: Exception) -> ExchangeError:
    """``error`` under a name that logs and ledger can count."""
    source = error
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        source = error.__cause__ if isinstance(error.__cause__, Exception) else error
    match source:
        case socket.gaierror():
            cause = "name resolution"
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            cause = "timeout"
        case ConnectionRefusedError():
            cause = "connection refused"
        case ConnectionError():
            cause = "connection closed"
        case ssl.SSLCertVerificationError():
            cause = "tls certificate"
        case ssl.SSLError() | urllib3.exceptions.SSLError():
            cause = "tls"
        case OSError() if str(source).startswith("Tunnel connection failed"):
            cause = "proxy"
        case _:
            cause = "connection"
    return ExchangeError(cause, str(source))
