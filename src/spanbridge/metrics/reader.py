"""A reader on the SDK's meter provider that hands over what it collects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from spanbridge.record.metric import read_points
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.metric_form import HistogramAggregation, MetricForm, TemporalityPreference

# OpenTelemetry specification, "OTLP metrics exporter", additional configuration.
_DELTA: Final[dict[TemporalityPreference, tuple[type, ...]]] = {
    "cumulative": (),
    "delta": (Counter, ObservableCounter, Histogram),
    "lowmemory": (Counter, Histogram),
}
_HISTOGRAMS: Final[dict[HistogramAggregation, type]] = {
    "explicit_bucket_histogram": ExplicitBucketHistogramAggregation,
    "base2_exponential_bucket_histogram": ExponentialBucketHistogramAggregation,
}


class BridgeReader(MetricReader):
    """Collects on demand, in one form, for all destinations that want it.

    Args:
        form: What the SDK is to keep.
    """

    def __init__(self, form: MetricForm) -> None:
        super().__init__(
            preferred_temporality=dict.fromkeys(
                _DELTA[form.temporality], AggregationTemporality.DELTA
            ),
            preferred_aggregation={Histogram: _HISTOGRAMS[form.histograms]()},
        )
        self.flushes: Callable[[float], bool] = lambda timeout_s: True
        """Called when the provider is flushed or shut down, with the seconds it may take. The
        provider asks each of its readers; one of them flushes for all."""
        self._collected: MetricsData | None = None
        self.is_leaving = False
        """Whether it is being taken off its provider, which the SDK does by a shutdown."""

    def read(self, timeout_s: float) -> list[MetricPoint]:
        """All points there are now. Call it from one thread at a time.

        Raises whatever goes wrong in the SDK: a callback of the application's that takes too long.
        """
        self._collected = None
        self.collect(timeout_millis=timeout_s * 1000)
        collected, self._collected = self._collected, None
        return list(read_points(collected)) if collected is not None else []

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        self._collected = metrics_data

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Collect and deliver, all signals."""
        try:
            return self.flushes(timeout_millis / 1000)
        except Exception as error:
            GUARD.caught("metrics.flush", error)
            return False

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Deliver what there is. Only the end of the tracer provider is the end of everything."""
        if not self.is_leaving:
            self.force_flush(timeout_millis)
