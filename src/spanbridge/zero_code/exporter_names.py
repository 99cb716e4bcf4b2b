"""Which names in OpenTelemetry's exporter variables are ours, and which are somebody else's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Final

from spanbridge.settings.elsewhere import METRICS_EXPORTER, NOTHING_OF_OURS, TRACES_EXPORTER
from spanbridge.settings.options import KINDS
from spanbridge.settings.otlp_variables import EXPORTER_ALIASES

LOGS_EXPORTER: Final = "OTEL_LOGS_EXPORTER"
_NONE: Final = "none"
_SENTRY: Final = "sentry"
_OURS: Final = frozenset({*KINDS, "otlp_proto_http", _NONE})
"""Names of exporters for traces that are destinations of ours."""


@dataclass(frozen=True)
class ExporterNames:
    """The names in ``OTEL_{TRACES,LOGS,METRICS}_EXPORTER``, divided.

    Attributes:
        ours: What ``OTEL_TRACES_EXPORTER`` says to us; empty if it says nothing.
        traces: Comma list of the exporters of others, empty if there are none.
        logs: The same for log records.
        metrics: The same for metrics.
        asks_for_metrics: Whether metrics are to go to Sentry.
        sends_otlp: Whether somebody else's exporter sends spans over OTLP.
        our_metrics: What ``OTEL_METRICS_EXPORTER`` says to us, where others act on it; ``None`` if
            it speaks to us too.
    """

    ours: str | None
    traces: str = ""
    logs: str = ""
    metrics: str = ""
    asks_for_metrics: bool = False
    sends_otlp: bool = False
    our_metrics: str | None = None

    @property
    def has_others(self) -> bool:
        """Whether exporters of others are asked for, which OpenTelemetry has to set up."""
        return bool(self.traces or self.logs or self.metrics)

    def without(self, ours: Collection[str]) -> ExporterNames:
        """The same without exporters of metrics that are destinations of ours, which send them.

        Args:
            ours: Names of the destinations that were asked for.
        """
        names = self.metrics.split(",")
        others = [n for n in names if EXPORTER_ALIASES.get(n.lower(), n.lower()) not in ours]
        return replace(self, metrics=",".join(others))

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ExporterNames:
        """As we divide them where we set up the SDK: what we can send is ours.

        A name that nobody knows is left to us, to be complained about.
        """
        traces = _names(environ, TRACES_EXPORTER)
        others = [name for name in traces if name.lower() not in _OURS and _is_registered(name)]
        ours = [name for name in traces if name not in others]
        metrics = _names(environ, METRICS_EXPORTER)
        return cls(
            ours=",".join(ours) or (NOTHING_OF_OURS if others else None),
            traces=",".join(others),
            logs=_without_sentry(_names(environ, LOGS_EXPORTER)),
            metrics=_without_sentry(metrics),
            asks_for_metrics=_SENTRY in map(str.lower, metrics),
        )

    @classmethod
    def beside_another_set_up(cls, environ: Mapping[str, str]) -> ExporterNames:
        """As they are where somebody else set up the SDK, and made exporters of all the names."""
        traces = _names(environ, TRACES_EXPORTER)
        ours = [name for name in traces if name.lower() in (_SENTRY, _NONE)]
        return cls(
            ours=",".join(ours),
            sends_otlp=any(name.lower().startswith("otlp") for name in traces),
            our_metrics=_NONE if _names(environ, METRICS_EXPORTER) else None,
        )


def _names(environ: Mapping[str, str], variable: str) -> list[str]:
    return [name.strip() for name in environ.get(variable, "").split(",") if name.strip()]


def _without_sentry(names: list[str]) -> str:
    return ",".join(name for name in names if name.lower() not in (_SENTRY, _NONE))


def _is_registered(name: str) -> bool:
    return bool(entry_points(group="opentelemetry_traces_exporter", name=name))
