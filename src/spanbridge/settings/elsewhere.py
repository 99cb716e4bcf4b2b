"""What others say and do that bears on our settings: OpenTelemetry's own set-up of the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from spanbridge.settings.sources import Table

TRACES_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
METRICS_EXPORTER: Final = "OTEL_METRICS_EXPORTER"
NOTHING_OF_OURS: Final = "none,none"
"""A list of exporters that are all somebody else's, as it concerns us.

It chooses what ``none`` does, but it is not what somebody writes who wants nothing to be sent.
"""
OTLP_ENDPOINT: Final = "SPANBRIDGE_OTLP_ENDPOINT"
OTLP_ENABLED: Final = "SPANBRIDGE_OTLP_ENABLED"


@dataclass(frozen=True)
class Elsewhere:
    """Who set up OpenTelemetry's SDK, as far as it matters for where telemetry goes.

    Attributes:
        exporters: What is left of ``OTEL_TRACES_EXPORTER`` for us, where somebody else acts on the
            rest of it; ``None`` if the variable is ours alone. Empty text says nothing.
        metrics_exporters: The same of ``OTEL_METRICS_EXPORTER``.
        sends_otlp: Whether spans leave over OTLP by somebody else's exporter already. The
            destination ``otlp`` is then out, unless it has an address or a switch of its own.
        declared: Settings that stand in OpenTelemetry's configuration file. They are stronger than
            variables, as everything in that file is.
    """

    exporters: str | None = None
    metrics_exporters: str | None = None
    sends_otlp: bool = False
    declared: tuple[Table, ...] = ()

    def environ(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """The environment variables as they concern us."""
        if self == Elsewhere(declared=self.declared):
            return environ
        seen = dict(environ)
        if self.exporters is not None:
            seen[TRACES_EXPORTER] = self.exporters
        if self.metrics_exporters is not None:
            seen[METRICS_EXPORTER] = self.metrics_exporters
        if self.sends_otlp and not seen.get(OTLP_ENDPOINT):
            seen.setdefault(OTLP_ENABLED, "false")
        return seen
