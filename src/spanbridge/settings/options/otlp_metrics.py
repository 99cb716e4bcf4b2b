"""What can be said about metrics over OTLP, where they differ from traces."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from spanbridge.model.metric_form import HistogramAggregation, MetricForm, TemporalityPreference
from spanbridge.settings import otlp_variables as otel
from spanbridge.settings.address import mask_url
from spanbridge.settings.declaration import option
from spanbridge.settings.masking import Secret, mask_whole
from spanbridge.settings.options.common import metrics_option
from spanbridge.settings.otlp_target import COMPRESSION, Compression, OtlpTarget
from spanbridge.settings.reading import DURATION_S, HEADERS, PATH, one_of

AS_FOR_TRACES: Final = "as for traces"


@dataclass(frozen=True, kw_only=True, repr=False)
class OtlpMetricsOptions:
    """Options of metrics. What is not set is what it is for traces."""

    metrics: bool = metrics_option(*otel.METRICS_VARIABLES)
    metrics_endpoint: str | None = option(
        None,
        "Where metrics are posted.",
        otel.OTLP_URL,
        unset="beside the traces",
        variables=otel.metrics_variables("ENDPOINT"),
        mask=mask_url,
    )
    metrics_protocol: str | None = option(
        None,
        "The protocol of metrics, where it is another.",
        otel.PROTOCOL,
        unset=AS_FOR_TRACES,
        variables=otel.metrics_variables("PROTOCOL"),
    )
    metrics_headers: tuple[tuple[str, Secret], ...] | None = option(
        None,
        "The headers of metrics, where they are others. Those of traces go to no other server.",
        HEADERS,
        unset="as for traces at the same server, else none",
        variables=otel.metrics_variables("HEADERS"),
        mask=mask_whole,
    )
    metrics_timeout_s: float | None = option(
        None,
        "Longest time of one request with metrics, where it is another.",
        DURATION_S,
        unset=AS_FOR_TRACES,
        unit="s",
        variables=otel.metrics_variables("TIMEOUT"),
        has_safe_default=True,
    )
    metrics_compression: Compression | None = option(
        None,
        "The compression of metrics, where it is another.",
        COMPRESSION,
        unset=AS_FOR_TRACES,
        variables=otel.metrics_variables("COMPRESSION"),
        has_safe_default=True,
    )
    metrics_certificate_file: str | None = option(
        None,
        "PEM file of the authorities to trust for metrics, where they are others.",
        PATH,
        unset=AS_FOR_TRACES,
        variables=otel.metrics_variables("CERTIFICATE"),
    )
    metrics_client_certificate_file: str | None = option(
        None,
        "PEM file of the client certificate for metrics, where it is another.",
        PATH,
        unset=AS_FOR_TRACES,
        variables=otel.metrics_variables("CLIENT_CERTIFICATE"),
    )
    metrics_client_key_file: str | None = option(
        None,
        "PEM file of that certificate's key.",
        PATH,
        unset=AS_FOR_TRACES,
        variables=otel.metrics_variables("CLIENT_KEY"),
    )
    metrics_temporality: TemporalityPreference = option(
        "cumulative",
        "Whether counters and histograms tell their total since the start, or what came since the "
        "last time.",
        one_of("cumulative", "delta", "lowmemory"),
        variables=("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",),
        has_safe_default=True,
    )
    metrics_histograms: HistogramAggregation = option(
        "explicit_bucket_histogram",
        "How histograms are aggregated that no view speaks of.",
        one_of("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
        variables=("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",),
        has_safe_default=True,
    )

    @property
    def metric_form(self) -> MetricForm:
        """The form in which metrics go there."""
        return MetricForm(self.metrics_temporality, self.metrics_histograms)

    def beside(self, traces: OtlpTarget) -> OtlpTarget | None:
        """Where metrics go if traces go to ``traces``; ``None`` if that does not tell."""
        is_grpc = traces.is_grpc
        if self.metrics_protocol is not None:
            is_grpc = self.metrics_protocol == "grpc"
        endpoint = self.metrics_endpoint or _sibling(traces.endpoint, is_grpc)
        if endpoint is None:
            return None
        target = replace(
            traces,
            endpoint=endpoint,
            is_grpc=is_grpc,
            timeout_s=self.metrics_timeout_s or traces.timeout_s,
            compression=self.metrics_compression or traces.compression,
            certificate_file=self.metrics_certificate_file or traces.certificate_file,
            client_certificate_file=self.metrics_client_certificate_file
            or traces.client_certificate_file,
            client_key_file=self.metrics_client_key_file or traces.client_key_file,
        )
        headers = self.metrics_headers
        if headers is None:
            headers = traces.headers if target.is_beside(traces) else ()
        return replace(target, headers=headers)


def _sibling(endpoint: str, is_grpc: bool) -> str | None:
    """The URL of metrics next to one of traces."""
    if is_grpc:
        return endpoint
    if not endpoint.endswith(otel.TRACES_PATH):
        return None
    return endpoint.removesuffix(otel.TRACES_PATH) + otel.METRICS_PATH
