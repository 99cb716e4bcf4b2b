"""OpenTelemetry's exporters for OTLP over HTTP."""

from __future__ import annotations

# The HTTP client imports these two when it sends for the first time, on the sending thread; a fork
# in the middle of an import leaves the child with a lock that nobody releases.
import encodings.idna  # noqa: F401
import netrc  # noqa: F401
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import metric_exporter as otlp_metric_exporter
from opentelemetry.exporter.otlp.proto.http import trace_exporter as otlp_trace_exporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanbridge.destinations.overheard import OVERHEARD

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from spanbridge.destinations.attempts import Attempts
    from spanbridge.settings import OtlpTarget

for _module in (otlp_trace_exporter, otlp_metric_exporter):
    OVERHEARD.listen_to(_module.__name__)


def make_span_exporter(
    target: OtlpTarget, attempts: Attempts
) -> otlp_trace_exporter.OTLPSpanExporter:
    """An exporter of spans."""
    session = _OwnSession(target, attempts, ExportTraceServiceResponse)
    exporter = otlp_trace_exporter.OTLPSpanExporter(session=session, **_arguments(target))
    session.trust_only(target)
    return exporter


def make_metric_exporter(
    target: OtlpTarget, attempts: Attempts
) -> otlp_metric_exporter.OTLPMetricExporter:
    """An exporter of metrics."""
    session = _OwnSession(target, attempts, ExportMetricsServiceResponse)
    exporter = otlp_metric_exporter.OTLPMetricExporter(session=session, **_arguments(target))
    session.trust_only(target)
    return exporter


def _arguments(target: OtlpTarget) -> dict[str, Any]:
    return {
        "endpoint": target.endpoint,
        "headers": {name: value.reveal() for name, value in target.headers},
        "timeout": target.timeout_s,
        "compression": Compression(target.compression),
    }


_PROTOCOLS_OWN: Final = frozenset({"content-type", "content-encoding", "user-agent"})


class _OwnSession(requests.Session):
    """An HTTP session that sends one destination's headers and certificates, and no others.

    OpenTelemetry's exporter adds what the environment variables say, whatever it is given. They
    speak of one destination only, and its key must not go to another. What the exporter does not
    read of the answers is read here.
    """

    def __init__(self, target: OtlpTarget, attempts: Attempts, answer: type[Message]) -> None:
        super().__init__()
        self._attempts = attempts
        self._answer = answer
        attempts.are_seen = True
        self._allowed = _PROTOCOLS_OWN | {name.lower() for name, _ in target.headers}

    def trust_only(self, target: OtlpTarget) -> None:
        """Use the target's certificates, whatever the exporter has set."""
        self.verify = target.certificate_file or True
        certificate, key = target.client_certificate_file, target.client_key_file
        self.cert = (certificate, key) if certificate and key else certificate

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        """Send a request without headers that are not this destination's."""
        headers = named.get("headers") or {}
        named["headers"] = {
            name: value for name, value in headers.items() if name.lower() in self._allowed
        }
        self._attempts.made += 1
        try:
            response = super().request(*arguments, **named)
            if 300 <= response.status_code < 400:
                raise _RedirectedError(response)
        except Exception as error:
            # The exporter tries once more at once: the connection may have been an old one.
            may_be_old = isinstance(error, requests.ConnectionError) and self._attempts.made == 1
            self._attempts.failed(str(error), is_certain=not may_be_old)
            raise
        self._attempts.sent_bytes += len(response.request.body or b"")
        if response.status_code >= 400:
            self._attempts.failed(f"HTTP {response.status_code} {response.reason}")
        else:
            self._attempts.answered(self._read(response))
        return response

    def _read(self, response: requests.Response) -> Message:
        answer = self._answer()
        kind = response.headers.get("content-type", "")
        try:
            if "protobuf" in kind:
                answer.MergeFromString(response.content)
            elif "json" in kind:
                json_format.Parse(response.content, answer, ignore_unknown_fields=True)
        except Exception:  # no answer of OTLP's, but a yes
            return self._answer()
        return answer


class _RedirectedError(Exception):
    """The receiver is elsewhere. The exporter follows nobody and takes such an answer for a yes.

    We follow nobody either: the headers hold a key, which must not go where an answer says.
    """

    def __init__(self, response: requests.Response) -> None:
        place = urlsplit(response.headers.get("location", ""))
        # Without what may be secret: a password, a query.
        host = place.netloc.rpartition("@")[2]
        there = f"{place.scheme}://{host}{place.path}" if host else place.path or "nowhere"
        super().__init__(
            f"HTTP {response.status_code}, redirected to {there}. Set `endpoint` to where the "
            "receiver is; redirects are not followed"
        )
