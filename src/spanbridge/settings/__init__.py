"""What users can say: options, profiles, loading, provenance."""

from spanbridge.settings.address import SentryDsn
from spanbridge.settings.loading import load
from spanbridge.settings.masking import Secret
from spanbridge.settings.options import (
    ConsoleOptions,
    DestinationOptions,
    FileOptions,
    OtlpOptions,
    PrometheusOptions,
    SentryOptions,
    SpotlightOptions,
)
from spanbridge.settings.otlp_target import OtlpTarget
from spanbridge.settings.start_line import start_line
from spanbridge.settings.tree import Settings

__all__ = [
    "ConsoleOptions",
    "DestinationOptions",
    "FileOptions",
    "OtlpOptions",
    "OtlpTarget",
    "PrometheusOptions",
    "Secret",
    "SentryDsn",
    "SentryOptions",
    "Settings",
    "SpotlightOptions",
    "load",
    "start_line",
]
