"""OpenTelemetry's exporters for OTLP over gRPC.

An exporter opens its channel when it is made, and a channel does not survive a fork. So one is made
only when there is something to send, and anew in a forked child.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from opentelemetry.exporter.otlp.proto.grpc import exporter as otlp_exporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from spanbridge.destinations.overheard import OVERHEARD

if TYPE_CHECKING:
    from spanbridge.destinations.attempts import Attempts
    from spanbridge.settings import OtlpTarget

OVERHEARD.listen_to(otlp_exporter.__name__)

_COMPRESSIONS: Final = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def make_span_exporter(target: OtlpTarget, attempts: Attempts) -> OTLPSpanExporter:
    """An exporter of spans, with an open channel."""
    return _SpanExporter(target, attempts)


def make_metric_exporter(target: OtlpTarget, attempts: Attempts) -> OTLPMetricExporter:
    """An exporter of metrics, with an open channel."""
    return _MetricExporter(target, attempts)


class _SeenStub:
    """The generated client of a service, which tells what its calls meet."""

    def __init__(self, stub: Any, attempts: Attempts) -> None:
        self._stub = stub
        self._attempts = attempts
        attempts.are_seen = True

    def Export(self, *arguments: Any, **named: Any) -> Any:
        """Send one request."""
        self._attempts.made += 1
        request = named.get("request") or arguments[0]
        try:
            answer = self._stub.Export(*arguments, **named)
        except grpc.RpcError as error:
            self._attempts.failed(_words(error))
            raise
        self._attempts.sent_bytes += request.ByteSize()
        self._attempts.answered(answer)
        return answer


def _words(error: Any) -> str:
    # Whatever a call raises is a call too, though not by its type.
    return f"{error.code().name}: {error.details()}" if hasattr(error, "code") else str(error)


class _Seen:
    """An exporter whose client tells what it meets.

    The exporter makes that client in a method of its own, again after a failure. In a version
    without this method all goes on, and what the exporter logs has to do.
    """

    _client: Any

    def __init__(self, target: OtlpTarget, attempts: Attempts) -> None:
        self._attempts = attempts
        super().__init__(**_arguments(target))

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()  # type: ignore[misc]
        self._client = _SeenStub(self._client, self._attempts)


class _SpanExporter(_Seen, OTLPSpanExporter):
    """That of spans."""


class _MetricExporter(_Seen, OTLPMetricExporter):
    """That of metrics."""


def _arguments(target: OtlpTarget) -> dict[str, Any]:
    return {
        "endpoint": target.endpoint,
        "insecure": not target.has_tls,
        "credentials": _credentials(target) if target.has_tls else None,
        "headers": _Headers((name, value.reveal()) for name, value in target.headers),
        "timeout": target.timeout_s,
        "compression": _COMPRESSIONS[target.compression],
    }


class _Headers(dict[str, str]):
    """Metadata of every request. For none the exporter would take another destination's.

    It looks into the environment variables if what it is given counts as false.
    """

    def __bool__(self) -> bool:
        return True


def _credentials(target: OtlpTarget) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_content(target.certificate_file),
        private_key=_content(target.client_key_file),
        certificate_chain=_content(target.client_certificate_file),
    )


def _content(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path is not None else None
