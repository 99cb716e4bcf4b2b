"""Entry point ``opentelemetry_metrics_exporter``."""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

logger = logging.getLogger("spanbridge")


def tell_no_metrics() -> None:
    """Say what happens to metrics."""
    logger.warning(
        "spanbridge: Sentry takes no metrics of OpenTelemetry's, so nothing comes of 'sentry' in "
        "OTEL_METRICS_EXPORTER or below a metric reader; name another exporter, or none"
    )


class SentryMetricExporter(MetricExporter):
    """Takes metrics and sends nothing: asking for it must not stop the rest from being set up.

    Args:
        **options: Ignored.
    """

    def __init__(self, **options: object) -> None:
        super().__init__()
        tell_no_metrics()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Drop them."""
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing to do."""
