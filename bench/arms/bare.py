"""The OpenTelemetry SDK alone: what instrumenting costs before anything is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from bench.arms.otel import OtelArm

if TYPE_CHECKING:
    from bench.arms import Arm, Setup, Target


class _NullExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def start(target: Target, setup: Setup) -> Arm:
    """No processor at all; under FastAPI the usual one, with an exporter that does nothing.

    A trace that is not sampled costs as much as can be had only by not seeing its errors.
    """
    provider = TracerProvider(sampler=ALWAYS_OFF if setup == "unsampled" else ALWAYS_ON)
    if setup == "fastapi":
        provider.add_span_processor(BatchSpanProcessor(_NullExporter()))
    trace.set_tracer_provider(provider)
    return OtelArm(provider.force_flush)
