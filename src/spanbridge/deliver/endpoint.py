"""Where envelopes go and by which way: address, credentials, proxy, TLS."""

from __future__ import annotations

import os
import ssl
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit

import certifi
import msgspec

from spanbridge.errors import ConfigurationError

PROTOCOL_VERSION = 7


class Endpoint(msgspec.Struct, frozen=True):
    """The envelope endpoint of one Sentry project.

    Proxies follow Sentry's SDK: an explicit proxy wins and ignores ``NO_PROXY``; ``""`` means none
    at all; ``None`` takes ``HTTPS_PROXY``/``HTTP_PROXY`` from the environment unless ``NO_PROXY``
    names the host; an ``https`` address without its own proxy uses the one for ``http``.
    """

    url: str
    """``https://host[:port][/prefix]/api/PROJECT_ID/envelope/``."""
    public_key: str
    user_agent: str
    """``NAME/VERSION``; also sent as ``sentry_client``."""
    secret_key: str | None = None
    timeout_s: float = 30.0
    """Bound of one request from the first byte sent to the last byte of the answer's head."""
    http_proxy: str | None = None
    https_proxy: str | None = None
    ca_certs: str | None = None
    """A PEM file or directory to trust instead of the system's and certifi's authorities."""
    cert_file: str | None = None
    """A PEM file with a client certificate."""
    key_file: str | None = None
    """Its key, if that is in a file of its own."""

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, user_agent={self.user_agent!r})"  # no keys in logs

    @property
    def auth_header(self) -> str:
        """The value of ``X-Sentry-Auth``."""
        fields = {
            "sentry_key": self.public_key,
            "sentry_version": PROTOCOL_VERSION,
            "sentry_client": self.user_agent,
        }
        if self.secret_key:
            fields["sentry_secret"] = self.secret_key
        return "Sentry " + ", ".join(f"{name}={value}" for name, value in fields.items())


class Proxy(msgspec.Struct, frozen=True):
    """A proxy to go through."""

    is_tls: bool
    host: str
    port: int
    credentials: str | None
    """``user:password`` as they go into ``Proxy-Authorization``."""


def proxy_for(endpoint: Endpoint) -> Proxy | None:
    """The proxy between here and ``endpoint``, or ``None`` for a direct connection.

    Raises:
        ConfigurationError: the proxy's address is unusable.
    """
    target = urlsplit(endpoint.url)
    from_environment = (
        {} if urllib.request.proxy_bypass(target.hostname or "") else urllib.request.getproxies()
    )
    if target.scheme == "https" and endpoint.https_proxy != "":
        address = endpoint.https_proxy or from_environment.get("https")
        if address:
            return _parse_proxy("https_proxy", address)
    if endpoint.http_proxy == "":
        return None
    address = endpoint.http_proxy or from_environment.get("http")
    return _parse_proxy("http_proxy", address) if address else None


def _parse_proxy(setting: str, address: str) -> Proxy:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigurationError(
            setting,
            _without_credentials(parts),
            "it is not the address of an HTTP proxy",
            "Write it as http://host:port or https://host:port.",
        )
    is_tls = parts.scheme == "https"
    credentials = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(is_tls, parts.hostname, port or (443 if is_tls else 80), credentials)


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """How to verify the server.

    Without ``ca_certs`` the system's store (``SSL_CERT_FILE`` included) and certifi's are trusted,
    so that slim containers and company authorities both work.

    Raises:
        ConfigurationError: ``ca_certs`` cannot be read.
    """
    if endpoint.ca_certs is None:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
    else:
        context = _context_trusting_only(endpoint.ca_certs)
    if endpoint.cert_file is not None:
        _present_certificate(context, endpoint.cert_file, endpoint.key_file)
    return context


def _present_certificate(context: ssl.SSLContext, cert_file: str, key_file: str | None) -> None:
    try:
        context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            "cert_file",
            cert_file,
            f"it cannot be used as a client certificate ({error.strerror or error})",
            "Name a readable PEM file, and its key with key_file.",
        ) from None


def _context_trusting_only(ca_certs: str) -> ssl.SSLContext:
    try:
        if os.path.isdir(ca_certs):
            return ssl.create_default_context(capath=ca_certs)
        return ssl.create_default_context(cafile=ca_certs)
    except OSError as error:
        raise ConfigurationError(
            "ca_certs",
            ca_certs,
            f"it cannot be read as PEM certificates ({error.strerror or error})",
            "Name a readable PEM file or a directory of hashed certificates.",
        ) from None
