"""How OpenTelemetry's own variables say things that spanbridge's settings say otherwise.

Source: OpenTelemetry specification, "OTLP exporter configuration" and "General SDK
configuration".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from spanbridge.settings.address import http_url_of
from spanbridge.settings.declaration import Variable
from spanbridge.settings.reading import Reader, Unusable, text_of

RESOURCE_VARIABLE: Final = "OTEL_RESOURCE_ATTRIBUTES"
TRACES_PATH: Final = "/v1/traces"
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


def traces_url_of(raw: object) -> str:
    """The URL for traces under a base URL; one that names the traces' path already is kept."""
    url = http_url_of(raw).rstrip("/")
    return url if url.endswith(TRACES_PATH) else url + TRACES_PATH


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


def _protocol_of(raw: object) -> str:
    protocol = text_of(raw).lower()
    if protocol == "http/protobuf":
        return protocol
    if protocol == "grpc":
        raise Unusable(
            "OTLP over gRPC is not available",
            "Set it to http/protobuf and point the endpoint at the receiver's HTTP port, "
            "usually 4318.",
        )
    raise Unusable("it is no protocol that can be sent", "Set it to http/protobuf.")


PROTOCOL: Final = Reader("`http/protobuf`", _protocol_of)
TRACES_URL: Final = Reader("URL; `/v1/traces` is appended unless it is there", traces_url_of)

ENDPOINT_VARIABLES: Final = (
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        reader=Reader("base URL", lambda raw: http_url_of(raw).rstrip("/") + TRACES_PATH),
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", reader=Reader("whole URL", http_url_of)),
)
TIMEOUT_VARIABLES: Final = (
    Variable("OTEL_EXPORTER_OTLP_TIMEOUT", reader=_MILLISECONDS),
    Variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", reader=_MILLISECONDS),
)


def otlp_variables(suffix: str) -> tuple[str, str]:
    """The general and the traces' variable of an OTLP option, weaker first."""
    return f"OTEL_EXPORTER_OTLP_{suffix}", f"OTEL_EXPORTER_OTLP_TRACES_{suffix}"


def _fixed_rate(text: str, _environ: Mapping[str, str]) -> object:
    # A sampler of somebody else decides before any destination does, so it gives no rate here.
    return {"always_on": 1.0, "always_off": 0.0}.get(text.removeprefix("parentbased_"))


def _ratio(text: str, environ: Mapping[str, str]) -> object:
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip()
    return text if sampler.removeprefix("parentbased_") == "traceidratio" else None


SAMPLER: Final = Variable("OTEL_TRACES_SAMPLER", _fixed_rate)
SAMPLER_ARGUMENT: Final = Variable("OTEL_TRACES_SAMPLER_ARG", _ratio)
