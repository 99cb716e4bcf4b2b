"""Options of a page for Prometheus."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from spanbridge.settings import otlp_variables as otel
from spanbridge.settings.address import is_loopback
from spanbridge.settings.declaration import option
from spanbridge.settings.options.common import CommonOptions, is_installed
from spanbridge.settings.ports import PORTS_OR_OFF, Ports
from spanbridge.settings.reading import TEXT, Unusable

PROMETHEUS_PORT: Final = 9464
"""Port of a page for Prometheus, as OpenTelemetry's specification has it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class PrometheusOptions(CommonOptions):
    """A page of current values that Prometheus reads. It takes metrics and nothing else."""

    is_remote: ClassVar[bool] = True
    takes_traces: ClassVar[bool] = False

    name: str = "prometheus"
    kind: Literal["prometheus"] = "prometheus"
    # Traces do not go there, so there is nothing to say about them.
    sample_rate: float = 1.0
    queue_max_items: int = CommonOptions.queue_max_items
    queue_max_bytes: int = CommonOptions.queue_max_bytes
    port: Ports | None = option(
        Ports(PROMETHEUS_PORT),
        "TCP port of the page. Of a range each process takes the first that is free. `off`: no "
        "port of its own; mount the page in the application.",
        PORTS_OR_OFF,
        empty="`off`",
        variables=(otel.prometheus_port(PROMETHEUS_PORT), "OTEL_EXPORTER_PROMETHEUS_PORT"),
        is_address=True,
    )
    host: str = option(
        "127.0.0.1",
        "Address of this machine that the port is opened on; `0.0.0.0` for all.",
        TEXT,
        variables=("OTEL_EXPORTER_PROMETHEUS_HOST",),
    )

    @property
    def place(self) -> str:
        return "" if self.port is None else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        return self.port is None or is_loopback(self.host)

    @property
    def takes_self_metrics(self) -> bool:
        return True

    def verify(self) -> None:
        if not is_installed("prometheus_client"):
            raise Unusable(
                "the Prometheus client is not installed",
                "Run: pip install 'spanbridge[prometheus]'",
            )
