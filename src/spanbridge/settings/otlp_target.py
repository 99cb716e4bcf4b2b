"""Where one signal goes over OTLP, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from spanbridge.settings.address import is_loopback
from spanbridge.settings.masking import Secret, plain
from spanbridge.settings.reading import Reader, one_of

Compression: TypeAlias = Literal["none", "gzip", "deflate"]
COMPRESSION: Final[Reader[Compression]] = one_of("none", "gzip", "deflate")


@dataclass(frozen=True, kw_only=True)
class OtlpTarget:
    """What an exporter of one signal has to know.

    Attributes:
        endpoint: The whole URL; for gRPC a URL whose path does not count, or ``host:port``.
        is_grpc: Whether it speaks gRPC rather than HTTP.
        headers: Headers, or gRPC metadata, of every request.
        timeout_s: Longest time of one request with all its attempts.
        compression: How bodies are compressed.
        certificate_file: PEM file of the authorities to trust; ``None``: the system's.
        client_certificate_file: PEM file of a client certificate.
        client_key_file: PEM file of its key.
        is_insecure: Whether gRPC goes without TLS where the endpoint has no scheme.
    """

    endpoint: str
    is_grpc: bool
    headers: tuple[tuple[str, Secret], ...]
    timeout_s: float
    compression: Compression
    certificate_file: str | None
    client_certificate_file: str | None
    client_key_file: str | None
    is_insecure: bool

    @property
    def authority(self) -> str:
        """Host and port, as a log line may show them."""
        return plain(self._parts.netloc.rpartition("@")[2])

    @property
    def shown(self) -> str:
        """The address as a log line may show it."""
        return self.authority if self.is_grpc else self.endpoint

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self._parts.hostname or "")

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        scheme = self._parts.scheme
        return scheme == "https" or (self.is_grpc and not scheme and not self.is_insecure)

    def is_beside(self, other: OtlpTarget) -> bool:
        """Whether both are the same server."""
        return self._parts[:2] == other._parts[:2]

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}")
