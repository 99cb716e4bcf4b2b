"""How OpenTelemetry's own variables say things that spanbridge's settings say otherwise.

Source: OpenTelemetry specification, "OTLP exporter configuration" and "General SDK
configuration".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from spanbridge.settings.address import http_url_of
from spanbridge.settings.declaration import Variable
from spanbridge.settings.reading import Reader, Unusable, text_of

RESOURCE_VARIABLE: Final = "OTEL_RESOURCE_ATTRIBUTES"
TRACES_PATH: Final = "/v1/traces"
METRICS_PATH: Final = "/v1/metrics"
SHORTEST_TIMEOUT_MS: Final = 100


def resource_attribute(name: str) -> Variable:
    """The attribute ``name`` out of ``OTEL_RESOURCE_ATTRIBUTES``."""

    def extract(text: str, _environ: Mapping[str, str]) -> object:
        for pair in text.split(","):
            key, equals, value = pair.partition("=")
            if equals and key.strip() == name:
                return unquote(value.strip()) or None
        return None

    return Variable(RESOURCE_VARIABLE, extract, part=name)


def otlp_url_of(raw: object) -> str:
    """A URL, or ``host:port`` as gRPC takes it."""
    text = text_of(raw)
    return text if _HOST_AND_PORT.fullmatch(text) else http_url_of(text)


def has_scheme(address: str) -> bool:
    """Whether it is a URL rather than ``host:port``."""
    return "://" in address


def traces_url_of(raw: object) -> str:
    """The URL for traces under a base URL; one that names the traces' path already is kept."""
    url = otlp_url_of(raw).rstrip("/")
    return url if url.endswith(TRACES_PATH) or not has_scheme(url) else url + TRACES_PATH


def _url_below_base_of(raw: object) -> str:
    url = otlp_url_of(raw).rstrip("/")
    return url + TRACES_PATH if has_scheme(url) else url


def _timeout_of(raw: object) -> float:
    try:
        milliseconds = int(text_of(raw))
    except ValueError:
        raise Unusable(
            "it is not a whole number of milliseconds", "Write 10000 for ten seconds."
        ) from None
    # The Python SDK's own exporter reads seconds here, against the specification. A value this
    # small is one of those: as milliseconds it would fail every request.
    if milliseconds < SHORTEST_TIMEOUT_MS:
        raise Unusable(
            f"the specification counts milliseconds, and less than {SHORTEST_TIMEOUT_MS} of them "
            "end every request",
            "Write 10000 for ten seconds.",
        )
    if milliseconds > 86_400_000:
        raise Unusable("it is longer than a day", "Write 10000 for ten seconds.")
    return milliseconds / 1000


_MILLISECONDS: Final = Reader("milliseconds", _timeout_of)


def _interval_of(raw: object) -> float:
    try:
        milliseconds = int(text_of(raw))
    except ValueError:
        milliseconds = 0
    if 0 < milliseconds <= 86_400_000:
        return milliseconds / 1000
    raise Unusable("it is no number of milliseconds from 1 to a day", "Write 60000 for one minute.")


INTERVAL_MS: Final = Reader("milliseconds", _interval_of)


def _protocol_of(raw: object) -> str:
    protocol = text_of(raw).lower()
    if protocol in ("http/protobuf", "grpc"):
        return protocol
    raise Unusable("it is no protocol that can be sent", "Set it to http/protobuf or grpc.")


PROTOCOL: Final = Reader("`http/protobuf` or `grpc`", _protocol_of)
TRACES_URL: Final = Reader("URL; `/v1/traces` is appended unless it is there", traces_url_of)
OTLP_URL: Final = Reader("whole URL", otlp_url_of)

_HOST_AND_PORT: Final = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")
BASE_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_METRICS_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"

ENDPOINT_VARIABLES: Final = (
    Variable(BASE_ENDPOINT, reader=Reader("base URL", _url_below_base_of)),
    Variable(_TRACES_ENDPOINT, reader=OTLP_URL),
)
TIMEOUT_VARIABLES: Final = (
    Variable("OTEL_EXPORTER_OTLP_TIMEOUT", reader=_MILLISECONDS),
    Variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", reader=_MILLISECONDS),
)


def otlp_variables(suffix: str) -> tuple[str, str]:
    """The general and the traces' variable of an OTLP option, weaker first."""
    return f"OTEL_EXPORTER_OTLP_{suffix}", f"OTEL_EXPORTER_OTLP_TRACES_{suffix}"


def metrics_variables(suffix: str) -> tuple[Variable, ...]:
    """The variables of an OTLP option for metrics, weaker first.

    A metrics' option that is not set is what it is for traces. That would be wrong where a
    variable of one signal alone says otherwise; there the general variable counts for metrics.
    """
    general, of_traces = otlp_variables(suffix)
    of_one_signal = (of_traces, *((_TRACES_ENDPOINT, _METRICS_ENDPOINT) * (suffix == "HEADERS")))

    def extract(text: str, environ: Mapping[str, str]) -> object:
        return text if any(environ.get(name, "").strip() for name in of_one_signal) else None

    reader = _MILLISECONDS if suffix == "TIMEOUT" else None
    return (
        Variable(general, extract, _METRICS_BELOW_BASE if suffix == "ENDPOINT" else reader),
        Variable(f"OTEL_EXPORTER_OTLP_METRICS_{suffix}", reader=reader),
    )


def _metrics_url_below_base_of(raw: object) -> str:
    url = otlp_url_of(raw).rstrip("/")
    return url + METRICS_PATH if has_scheme(url) else url


_METRICS_BELOW_BASE: Final = Reader("base URL", _metrics_url_below_base_of)


def metrics_exporter(kind: str) -> Variable:
    """Whether ``OTEL_METRICS_EXPORTER`` names ``kind``."""
    return Variable("OTEL_METRICS_EXPORTER", lambda text, _: kind in _exporters_in(text))


def _only_traces_have_an_address(_text: str, environ: Mapping[str, str]) -> object:
    # Somebody named a receiver for traces and nothing else; it may take nothing else.
    others = (BASE_ENDPOINT, _METRICS_ENDPOINT)
    return None if any(environ.get(name, "").strip() for name in others) else False


METRICS_VARIABLES: Final = (
    Variable(_TRACES_ENDPOINT, _only_traces_have_an_address, part="address of traces alone"),
    metrics_exporter("otlp"),
)


def prometheus_port(default: int) -> Variable:
    """The default port, where ``OTEL_METRICS_EXPORTER`` names ``prometheus``."""
    return Variable(
        "OTEL_METRICS_EXPORTER",
        lambda text, _: str(default) if "prometheus" in _exporters_in(text) else None,
        part="prometheus",
    )


def exporters_with_prometheus(text: str, environ: Mapping[str, str]) -> object:
    """The exporters of traces in ``text``, and that of metrics which is a place of its own."""
    if "prometheus" not in _exporters_in(environ.get("OTEL_METRICS_EXPORTER", "")):
        return text
    return "prometheus" if _exporters_in(text) == {"none"} else f"{text},prometheus"


def _exporters_in(text: str) -> set[str]:
    names = {name.strip().lower() for name in text.split(",")}
    return {EXPORTER_ALIASES.get(name, name) for name in names}


EXPORTER_ALIASES: Final = {"otlp_proto_http": "otlp", "otlp_proto_grpc": "otlp"}
"""Names under which OpenTelemetry's Python SDK knows what is ours by another name."""
