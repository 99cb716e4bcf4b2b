"""The form in which a destination wants metrics, which the SDK has to know beforehand."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

TemporalityPreference: TypeAlias = Literal["cumulative", "delta", "lowmemory"]
HistogramAggregation: TypeAlias = Literal[
    "explicit_bucket_histogram", "base2_exponential_bucket_histogram"
]


class MetricForm(NamedTuple):
    """What the SDK keeps for a reader. Destinations of one form share what is collected.

    The words are those of OpenTelemetry's variables for its OTLP exporter.
    """

    temporality: TemporalityPreference = "cumulative"
    histograms: HistogramAggregation = "explicit_bucket_histogram"
