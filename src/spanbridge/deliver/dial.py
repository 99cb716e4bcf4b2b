"""Open the way to an endpoint: TCP, proxy, TLS."""

from __future__ import annotations

import base64
import socket
import ssl
from urllib.parse import urlsplit

import msgspec
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.util import Url

from spanbridge.deliver.endpoint import Endpoint, Proxy, proxy_for, tls_context
from spanbridge.errors import ConfigurationError

CONNECT_TIMEOUT_S = 10.0
"""Bound of each step of opening a connection; the request's own timeout may be shorter."""


class Route(msgspec.Struct, frozen=True):
    """What a request has to say so that it arrives along this way."""

    target: str
    """What follows ``POST`` in the request line."""
    host_header: str
    proxy_authorization: str | None
    """Only where the proxy reads our requests; inside a tunnel it saw the header already."""


class Dialer:
    """Opens connections to one endpoint, directly or through a proxy.

    Raises:
        ConfigurationError: address, proxy or ``ca_certs`` are unusable.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._is_tls, self._host, self._port, self._path = _parse_address(endpoint.url)
        self._proxy = proxy_for(endpoint)
        # A private authority is read at start-up, where a mistake can be said. The public ones
        # take 20 ms to load and cannot be wrong: they wait for the first connection.
        self._tls = tls_context(endpoint) if endpoint.ca_certs or endpoint.cert_file else None

    @property
    def route(self) -> Route:
        """How requests are addressed on connections from here."""
        default_port = 443 if self._is_tls else 80
        host = f"[{self._host}]" if ":" in self._host else self._host
        if self._port != default_port:
            host = f"{host}:{self._port}"
        if self._proxy is None or self._is_tls:
            return Route(self._path, host, None)
        return Route(f"http://{host}{self._path}", host, _basic_authorization(self._proxy))

    def prepare(self) -> HTTPConnection:
        """A connection that is not open yet; its ``connect()`` does all the waiting."""
        timeout_s = min(CONNECT_TIMEOUT_S, self._endpoint.timeout_s)
        proxy = self._proxy
        if proxy is None:
            if not self._is_tls:
                return HTTPConnection(self._host, self._port, timeout=timeout_s)
            return HTTPSConnection(
                self._host, self._port, timeout=timeout_s, ssl_context=self._tls_context()
            )
        if self._is_tls:
            return self._prepare_tunnel(proxy, timeout_s)
        if not proxy.is_tls:
            return HTTPConnection(proxy.host, proxy.port, timeout=timeout_s)
        return HTTPSConnection(
            proxy.host, proxy.port, timeout=timeout_s, ssl_context=self._tls_context()
        )

    def _prepare_tunnel(self, proxy: Proxy, timeout_s: float) -> HTTPConnection:
        scheme = "https" if proxy.is_tls else "http"
        connection = HTTPSConnection(
            proxy.host,
            proxy.port,
            timeout=timeout_s,
            ssl_context=self._tls_context(),
            proxy=Url(scheme=scheme, host=proxy.host, port=proxy.port),
            proxy_config=ProxyConfig(
                ssl_context=self._tls_context() if proxy.is_tls else None,
                use_forwarding_for_https=False,
                assert_hostname=None,
                assert_fingerprint=None,
            ),
        )
        authorization = _basic_authorization(proxy)
        headers = {"Proxy-Authorization": authorization} if authorization else {}
        connection.set_tunnel(self._host, self._port, headers, scheme=scheme)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context(self._endpoint)
        return self._tls


def shut_down(connection: HTTPConnection) -> None:
    """Wake a thread that waits on ``connection``, from another thread.

    Only the descriptor is shut: TLS state belongs to the thread that waits. A thread inside name
    resolution or the TCP handshake cannot be woken; its own timeout ends that.
    """
    sock = connection.sock
    sock = getattr(sock, "socket", sock)  # TLS inside TLS is not a socket but holds one
    if sock is None:
        return
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # closed already, by either side


def _parse_address(url: str) -> tuple[bool, str, int, str]:
    parts = urlsplit(url)
    try:
        host = parts.hostname or ""
        if ":" not in host:  # an IPv6 address is no name to encode
            host = host.encode("idna").decode()
        port = parts.port
    except ValueError:
        host, port = "", None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            "dsn", url, "it does not lead to an HTTP server", "Copy the DSN from Sentry again."
        )
    is_tls = parts.scheme == "https"
    return is_tls, host, port or (443 if is_tls else 80), parts.path or "/"


def _basic_authorization(proxy: Proxy) -> str | None:
    if proxy.credentials is None:
        return None
    return "Basic " + base64.b64encode(proxy.credentials.encode()).decode()
