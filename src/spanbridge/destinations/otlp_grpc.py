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
    from spanbridge.settings import OtlpTarget

OVERHEARD.listen_to(otlp_exporter.__name__)

_COMPRESSIONS: Final = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def make_span_exporter(target: OtlpTarget) -> OTLPSpanExporter:
    """An exporter of spans, with an open channel."""
    return OTLPSpanExporter(**_arguments(target))


def make_metric_exporter(target: OtlpTarget) -> OTLPMetricExporter:
    """An exporter of metrics, with an open channel."""
    return OTLPMetricExporter(**_arguments(target))


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
