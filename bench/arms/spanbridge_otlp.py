"""OpenTelemetry through spanbridge to an OTLP/HTTP endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.arms.spanbridge import configured

if TYPE_CHECKING:
    from bench.arms import Arm, Setup, Target


def start(target: Target, setup: Setup) -> Arm:
    return configured(
        SPANBRIDGE_DESTINATIONS="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=target.otlp_endpoint,
    )
