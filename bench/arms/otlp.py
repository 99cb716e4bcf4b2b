"""The OpenTelemetry SDK with its batch processor and OTLP/HTTP exporter, both as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from bench.arms.otel import OtelArm

if TYPE_CHECKING:
    from bench.arms import Arm, Setup, Target


def start(target: Target, setup: Setup) -> Arm:
    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{target.otlp_endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return OtelArm(provider.force_flush)
