"""Options of OTLP: where traces go, and beside them metrics."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from spanbridge.settings import otlp_variables as otel
from spanbridge.settings.address import mask_url
from spanbridge.settings.declaration import option
from spanbridge.settings.masking import Secret, mask_whole
from spanbridge.settings.options.common import (
    CommonOptions,
    Incomplete,
    is_installed,
    verify_readable,
)
from spanbridge.settings.options.otlp_metrics import OtlpMetricsOptions
from spanbridge.settings.otlp_target import COMPRESSION, Compression, OtlpTarget
from spanbridge.settings.reading import BOOLEAN, DURATION_S, HEADERS, PATH, Unusable


@dataclass(frozen=True, kw_only=True, repr=False)
class OtlpOptions(OtlpMetricsOptions, CommonOptions):
    """Any OTLP receiver: a Collector or a vendor. Names and variables as OpenTelemetry has them."""

    is_remote: ClassVar[bool] = True

    name: str = "otlp"
    kind: Literal["otlp"] = "otlp"
    endpoint: str = option(
        "",
        "Where traces are posted.",
        otel.TRACES_URL,
        unset="this machine, port 4318, or 4317 for gRPC",
        variables=otel.ENDPOINT_VARIABLES,
        mask=mask_url,
        is_address=True,
    )
    protocol: str = option(
        "http/protobuf",
        "Encoding and transport.",
        otel.PROTOCOL,
        variables=otel.otlp_variables("PROTOCOL"),
    )
    headers: tuple[tuple[str, Secret], ...] = option(
        (),
        "Headers of every request, for example a vendor's key.",
        HEADERS,
        variables=otel.otlp_variables("HEADERS"),
        mask=mask_whole,
    )
    timeout_s: float = option(
        10.0,
        "Longest time of one request.",
        DURATION_S,
        unit="s",
        variables=otel.TIMEOUT_VARIABLES,
        has_safe_default=True,
    )
    compression: Compression = option(
        "none",
        "How request bodies are compressed.",
        COMPRESSION,
        variables=otel.otlp_variables("COMPRESSION"),
        has_safe_default=True,
    )
    certificate_file: str | None = option(
        None,
        "PEM file of the authorities to trust.",
        PATH,
        unset="the system's",
        variables=otel.otlp_variables("CERTIFICATE"),
    )
    client_certificate_file: str | None = option(
        None,
        "PEM file of a client certificate.",
        PATH,
        unset="none",
        variables=otel.otlp_variables("CLIENT_CERTIFICATE"),
    )
    client_key_file: str | None = option(
        None,
        "PEM file of the client certificate's key.",
        PATH,
        unset="none",
        variables=otel.otlp_variables("CLIENT_KEY"),
    )

    insecure: bool = option(
        False,
        "Whether gRPC goes without TLS where the endpoint is `host:port`. A URL's scheme says it.",
        BOOLEAN,
        variables=otel.otlp_variables("INSECURE"),
    )

    @property
    def traces_target(self) -> OtlpTarget:
        """Where traces go, and how."""
        is_grpc = self.protocol == "grpc"
        usual = "http://localhost:4317" if is_grpc else "http://localhost:4318/v1/traces"
        return OtlpTarget(
            endpoint=self.endpoint or usual,
            is_grpc=is_grpc,
            headers=self.headers,
            timeout_s=self.timeout_s,
            compression=self.compression,
            certificate_file=self.certificate_file,
            client_certificate_file=self.client_certificate_file,
            client_key_file=self.client_key_file,
            is_insecure=self.insecure,
        )

    @property
    def metrics_target(self) -> OtlpTarget | None:
        """Where metrics go, and how; ``None`` if they do not, or if nobody said where."""
        return self.beside(self.traces_target) if self.metrics else None

    @property
    def place(self) -> str:
        return self.traces_target.authority

    @property
    def is_local(self) -> bool:
        metrics = self.metrics_target
        return self.traces_target.is_local and (metrics is None or metrics.is_local)

    @property
    def takes_self_metrics(self) -> bool:
        return self.metrics_target is not None

    @property
    def manner(self) -> str:
        return self.protocol

    def verify(self) -> None:
        verify_readable(self, "certificate_file", "client_certificate_file", "client_key_file")
        for key, target in (("", self.traces_target), ("metrics_", self.metrics_target)):
            if target is not None:
                _verify_target(f"{key}endpoint", target)


def _verify_target(key: str, target: OtlpTarget) -> None:
    if target.is_grpc:
        if not is_installed("opentelemetry.exporter.otlp.proto.grpc"):
            raise Unusable(
                "the OTLP exporter for gRPC is not installed",
                "Run: pip install 'spanbridge[otlp-grpc]'",
            )
        return
    if not is_installed("opentelemetry.exporter.otlp.proto.http"):
        raise Unusable("the OTLP exporter is not installed", "Run: pip install 'spanbridge[otlp]'")
    if not otel.has_scheme(target.endpoint):
        raise Incomplete(
            key,
            "it does not start with http:// or https://",
            "A URL looks like https://<host>:<port>/<path>",
            target.endpoint,
        )
