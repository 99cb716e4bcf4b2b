"""The destinations' options: one class per kind, one field per setting."""

# ruff: noqa: RUF009 - option() makes a dataclass field, as dataclasses.field() does

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypeAlias

from spanbridge.model.rule import Condition
from spanbridge.settings import otlp_variables as otel
from spanbridge.settings.address import (
    DSN,
    PROXY,
    SPOTLIGHT,
    SentryDsn,
    is_loopback,
    mask_dsn,
    mask_spotlight,
    mask_url,
    spotlight_in,
)
from spanbridge.settings.conditions import MATCH
from spanbridge.settings.declaration import Option, Variable, masked_repr, option, options_of
from spanbridge.settings.masking import Secret, mask_whole
from spanbridge.settings.otlp_metrics import METRICS_SENTENCE, OtlpMetricsOptions
from spanbridge.settings.otlp_target import Compression, OtlpTarget
from spanbridge.settings.ports import PORTS_OR_OFF, Ports
from spanbridge.settings.privacy import PrivacyOverrides
from spanbridge.settings.reading import (
    BOOLEAN,
    COUNT,
    DURATION_S,
    HEADERS,
    ORGANISATION_ID,
    PATH,
    RATE,
    TEXT,
    TRACES_PER_S,
    Unusable,
    one_of,
)

Kind: TypeAlias = Literal["sentry", "otlp", "console", "file", "spotlight", "prometheus"]
SentryWire: TypeAlias = Literal["transactions", "spans"]
SentryMode: TypeAlias = Literal["full", "errors"]
SpanEventsAs: TypeAlias = Literal["logs", "attributes"]
PROMETHEUS_PORT: Final = 9464
"""Port of a page for Prometheus, as OpenTelemetry's specification has it."""


class Incomplete(Unusable):
    """A problem that belongs to one field and shows only once the options are complete."""

    def __init__(self, key: str, problem: str, fix: str, value: object = None) -> None:
        super().__init__(problem, f"{fix}.")
        self.key = key
        self.value = value


@dataclass(frozen=True, kw_only=True, repr=False)
class CommonOptions(PrivacyOverrides):
    """What every destination has.

    Attributes:
        name: The destination's name, by default its kind.
        sample_rate_source: Where the rate comes from, for logs and ``status()``.
        capture_content: Whether prompts and answers may go here.
    """

    is_remote: ClassVar[bool] = False
    """Whether data leaves the process over a network. A server on loopback may pass it on."""
    takes_traces: ClassVar[bool] = True
    """Whether spans go there, and thus whether it has a sample rate."""

    name: str
    sample_rate: float = option(
        1.0,
        "Share of traces sent here.",
        RATE,
        variables=(otel.SAMPLER, otel.SAMPLER_ARGUMENT),
    )
    sample_rate_source: str = field(default="default", compare=False)
    capture_content: bool = False
    queue_max_items: int = option(
        65_536, "Spans and errors that may wait for this destination.", COUNT, unit="items"
    )
    queue_max_bytes: int = option(
        64 * 1024 * 1024, "Memory they may take while they wait.", COUNT, unit="bytes"
    )

    match: tuple[Condition, ...] = option(
        (),
        "What a span has to be to go here. Others are left out, and what is below them moves up "
        "to the nearest span that goes. Issues go by the span they arose in.",
        MATCH,
    )
    max_traces_per_s: float | None = option(
        None,
        "The most traces a process sends here in a second; beyond it the share of traces is "
        "lowered. Errors, and traces that a caller decided on, are not limited. Unset: no limit.",
        TRACES_PER_S,
        unit="per second",
    )

    __repr__ = masked_repr

    @property
    def place(self) -> str:
        """Where it sends to, as a log line may show it; empty if there is nothing to say."""
        return ""

    @property
    def manner(self) -> str:
        """How it sends, where there is a choice, as a table may show it."""
        return ""

    @property
    def share(self) -> str:
        """How much of the traces goes there, as a log line says it; empty if none can."""
        return f"{self.sample_rate * 100:g} %" if self.takes_traces else ""

    @property
    def is_local(self) -> bool:
        """Whether nothing it sends leaves this machine, as far as its address tells."""
        return True

    def verify(self) -> None:
        """Check what only the whole can show. Raises ``Unusable``."""


@dataclass(frozen=True, kw_only=True, repr=False)
class SentryOptions(CommonOptions):
    """Sentry, SaaS or self-hosted. The names are those of Sentry's SDK."""

    is_remote: ClassVar[bool] = True

    name: str = "sentry"
    kind: Literal["sentry", "spotlight"] = "sentry"
    sample_rate: float = option(
        0.1,
        "Share of traces sent to Sentry. Errors are always sent.",
        RATE,
        variables=("SENTRY_TRACES_SAMPLE_RATE",),
        by_profile=lambda profile: profile.sentry_sample_rate,
        is_shorthand=True,
    )
    dsn: SentryDsn | None = option(
        None,
        "The project's DSN.",
        DSN,
        variables=("SENTRY_DSN",),
        mask=mask_dsn,
        has_file_variant=True,
        is_address=True,
        is_shorthand=True,
    )
    mode: SentryMode = option(
        "full",
        "What is sent: everything, or errors alone, where traces go elsewhere.",
        one_of("full", "errors"),
    )
    wire: SentryWire = option(
        "transactions",
        "How traces are sent: as transactions, which every server takes, or as streamed spans, "
        "which have no size limit as a whole and arrive while a long run is under way.",
        one_of("transactions", "spans"),
        has_safe_default=True,
    )
    span_events: SpanEventsAs = option(
        "logs",
        "What becomes of span events that are no exceptions: log items of their own, or an "
        "attribute of the span, for servers without Sentry's logs.",
        one_of("logs", "attributes"),
        has_safe_default=True,
    )
    org_id: str | None = option(
        None,
        "The organisation's id. Unset: the one in the DSN's host, as Sentry's own hosts carry it.",
        ORGANISATION_ID,
        is_shorthand=True,
    )
    timeout_s: float = option(10.0, "Longest time of one request.", DURATION_S, unit="s")
    http_proxy: str | None = option(
        None,
        "Proxy for requests. Unset: the system's; empty (not in a variable): none.",
        PROXY,
        mask=mask_url,
    )
    https_proxy: str | None = option(
        None,
        "Proxy for HTTPS requests, where it differs from `http_proxy`.",
        PROXY,
        mask=mask_url,
    )
    ca_certs: str | None = option(
        None, "PEM file of the authorities to trust. Unset: the system's.", PATH
    )
    cert_file: str | None = option(None, "PEM file of a client certificate.", PATH)
    key_file: str | None = option(None, "PEM file of the client certificate's key.", PATH)

    @property
    def organisation(self) -> str | None:
        """The organisation's id, as far as it is known."""
        return self.org_id or (self.dsn.org_id if self.dsn else None)

    @property
    def place(self) -> str:
        return self.dsn.netloc if self.dsn else ""

    @property
    def manner(self) -> str:
        return self.wire if self.mode == "full" else "errors only"

    @property
    def share(self) -> str:
        return super().share if self.mode == "full" else "errors only"

    @property
    def is_local(self) -> bool:
        return self.dsn is not None and is_loopback(self.dsn.host)

    def verify(self) -> None:
        _are_readable(self, "ca_certs", "cert_file", "key_file")
        if self.dsn is None:
            raise Incomplete(
                "dsn", f"the destination {self.name} needs a DSN", "Set it to your project's DSN"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class SpotlightOptions(SentryOptions):
    """Spotlight, Sentry's viewer for development. It speaks Sentry's protocol."""

    name: str = "spotlight"
    kind: Literal["sentry", "spotlight"] = "spotlight"
    sample_rate: float = option(1.0, "Share of traces sent here. Errors are always sent.", RATE)
    dsn: SentryDsn | None = option(
        None,
        "Where it listens. `SENTRY_SPOTLIGHT` takes `true`, which is port 8969 of this machine, or "
        "a URL.",
        DSN,
        variables=(Variable("SENTRY_SPOTLIGHT", extract=spotlight_in, reader=SPOTLIGHT),),
        mask=mask_spotlight,
        is_address=True,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class OtlpOptions(OtlpMetricsOptions, CommonOptions):
    """Any OTLP receiver: a Collector or a vendor. Names and variables as OpenTelemetry has them."""

    is_remote: ClassVar[bool] = True

    name: str = "otlp"
    kind: Literal["otlp"] = "otlp"
    endpoint: str = option(
        "",
        "Where traces are posted. Unset: this machine, port 4318, or 4317 for gRPC.",
        otel.TRACES_URL,
        variables=otel.ENDPOINT_VARIABLES,
        mask=mask_url,
        is_address=True,
    )
    protocol: str = option(
        "http/protobuf",
        "Encoding and transport.",
        otel.PROTOCOL,
        variables=otel.otlp_variables("PROTOCOL"),
    )
    headers: tuple[tuple[str, Secret], ...] = option(
        (),
        "Headers of every request, for example a vendor's key.",
        HEADERS,
        variables=otel.otlp_variables("HEADERS"),
        mask=mask_whole,
    )
    timeout_s: float = option(
        10.0,
        "Longest time of one request.",
        DURATION_S,
        unit="s",
        variables=otel.TIMEOUT_VARIABLES,
    )
    compression: Compression = option(
        "none",
        "How request bodies are compressed.",
        one_of("none", "gzip", "deflate"),
        variables=otel.otlp_variables("COMPRESSION"),
    )
    certificate_file: str | None = option(
        None,
        "PEM file of the authorities to trust. Unset: the system's.",
        PATH,
        variables=otel.otlp_variables("CERTIFICATE"),
    )
    client_certificate_file: str | None = option(
        None,
        "PEM file of a client certificate.",
        PATH,
        variables=otel.otlp_variables("CLIENT_CERTIFICATE"),
    )
    client_key_file: str | None = option(
        None,
        "PEM file of the client certificate's key.",
        PATH,
        variables=otel.otlp_variables("CLIENT_KEY"),
    )

    insecure: bool = option(
        False,
        "Whether gRPC goes without TLS where the endpoint is `host:port`. A URL's scheme says it.",
        BOOLEAN,
        variables=otel.otlp_variables("INSECURE"),
    )

    @property
    def traces_target(self) -> OtlpTarget:
        """Where traces go, and how."""
        is_grpc = self.protocol == "grpc"
        usual = "http://localhost:4317" if is_grpc else "http://localhost:4318/v1/traces"
        return OtlpTarget(
            endpoint=self.endpoint or usual,
            is_grpc=is_grpc,
            headers=self.headers,
            timeout_s=self.timeout_s,
            compression=self.compression,
            certificate_file=self.certificate_file,
            client_certificate_file=self.client_certificate_file,
            client_key_file=self.client_key_file,
            is_insecure=self.insecure,
        )

    @property
    def metrics_target(self) -> OtlpTarget | None:
        """Where metrics go, and how; ``None`` if they do not, or if nobody said where."""
        return self.beside(self.traces_target) if self.metrics else None

    @property
    def place(self) -> str:
        return self.traces_target.authority

    @property
    def is_local(self) -> bool:
        metrics = self.metrics_target
        return self.traces_target.is_local and (metrics is None or metrics.is_local)

    @property
    def manner(self) -> str:
        return self.protocol

    def verify(self) -> None:
        _are_readable(self, "certificate_file", "client_certificate_file", "client_key_file")
        for key, target in (("", self.traces_target), ("metrics_", self.metrics_target)):
            if target is not None:
                _verify_target(f"{key}endpoint", target)


def _verify_target(key: str, target: OtlpTarget) -> None:
    if target.is_grpc:
        if not _is_installed("opentelemetry.exporter.otlp.proto.grpc"):
            raise Unusable(
                "the OTLP exporter for gRPC is not installed",
                "Run: pip install 'spanbridge[otlp-grpc]'",
            )
        return
    if not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        raise Unusable("the OTLP exporter is not installed", "Run: pip install 'spanbridge[otlp]'")
    if not otel.has_scheme(target.endpoint):
        raise Incomplete(
            key,
            "it does not start with http:// or https://",
            "A URL looks like https://<host>:<port>/<path>",
            target.endpoint,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class ConsoleOptions(CommonOptions):
    """A readable tree of every trace on the terminal."""

    name: str = "console"
    kind: Literal["console"] = "console"
    metrics: bool = option(
        True, METRICS_SENTENCE, BOOLEAN, variables=(otel.metrics_exporter("console"),)
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class FileOptions(CommonOptions):
    """A local file, one JSON object per line."""

    name: str = "file"
    kind: Literal["file"] = "file"
    path: str = option("telemetry.jsonl", "The file; it is appended to.", PATH, is_address=True)
    metrics: bool = option(
        True, METRICS_SENTENCE, BOOLEAN, variables=(otel.metrics_exporter("file"),)
    )

    @property
    def place(self) -> str:
        return self.path

    def verify(self) -> None:
        try:
            folder = os.path.dirname(
                os.path.abspath(self.path)
            )  # the working directory may be gone
            if os.path.isdir(self.path):
                raise Incomplete("path", "it is a directory", "Name a file", self.path)
            if not os.path.isdir(folder):
                raise Incomplete("path", "its directory does not exist", "Create it", self.path)
            is_writable = os.access(self.path if os.path.exists(self.path) else folder, os.W_OK)
        except (OSError, UnicodeError):
            raise Incomplete("path", "it is no usable path", "Choose another", self.path) from None
        if not is_writable:
            raise Incomplete(
                "path",
                "this process may not write there",
                "Change its permissions, or choose another path",
                self.path,
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class PrometheusOptions(CommonOptions):
    """A page of current values that Prometheus reads. It takes metrics and nothing else."""

    is_remote: ClassVar[bool] = True
    takes_traces: ClassVar[bool] = False

    name: str = "prometheus"
    kind: Literal["prometheus"] = "prometheus"
    # Traces do not go there, so there is nothing to say about them.
    sample_rate: float = 1.0
    queue_max_items: int = 65_536
    queue_max_bytes: int = 64 * 1024 * 1024
    port: Ports | None = option(
        Ports(PROMETHEUS_PORT),
        "TCP port of the page. Of a range each process takes the first that is free. `off`: no "
        "port of its own; mount the page in the application.",
        PORTS_OR_OFF,
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

    def verify(self) -> None:
        if not _is_installed("prometheus_client"):
            raise Unusable(
                "the Prometheus client is not installed",
                "Run: pip install 'spanbridge[prometheus]'",
            )


DestinationOptions: TypeAlias = (
    SentryOptions
    | OtlpOptions
    | ConsoleOptions
    | FileOptions
    | SpotlightOptions
    | PrometheusOptions
)

KINDS: Final[Mapping[str, type[DestinationOptions]]] = MappingProxyType(
    {
        "sentry": SentryOptions,
        "otlp": OtlpOptions,
        "console": ConsoleOptions,
        "file": FileOptions,
        "spotlight": SpotlightOptions,
        "prometheus": PrometheusOptions,
    }
)
"""Every kind of destination. A new one is an entry here, its class, and its place in the union."""

KIND: Final = Option(
    key="kind",
    default=None,
    sentence="What a destination with a name of its own is.",
    reader=one_of("sentry", "otlp", "console", "file", "spotlight", "prometheus"),
)

ENABLED: Final = Option(
    key="enabled",
    default=None,
    sentence="Add the destination to those chosen, or take it out.",
    reader=BOOLEAN,
)


def destination_options(kind: str) -> Mapping[str, Option]:
    """Everything that can be set for a destination of ``kind``, by key."""
    return {KIND.key: KIND, ENABLED.key: ENABLED, **options_of(KINDS[kind])}


def _are_readable(options: CommonOptions, *keys: str) -> None:
    for key in keys:
        path = getattr(options, key)
        if path is not None and not os.access(path, os.R_OK):
            raise Incomplete(
                key,
                "there is nothing that can be read",
                "Correct the path or its permissions",
                path,
            )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent package is missing, or a stub stands in for it
        return False
