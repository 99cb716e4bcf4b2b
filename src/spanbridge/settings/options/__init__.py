"""The destinations' options: one class per kind, one field per setting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from spanbridge.settings.declaration import Option, options_of
from spanbridge.settings.options.common import CommonOptions, Incomplete
from spanbridge.settings.options.local import ConsoleOptions, FileOptions
from spanbridge.settings.options.otlp import OtlpOptions
from spanbridge.settings.options.prometheus import PrometheusOptions
from spanbridge.settings.options.sentry import SentryOptions, SpotlightOptions
from spanbridge.settings.reading import BOOLEAN, one_of

__all__ = [
    "ENABLED",
    "KIND",
    "KINDS",
    "CommonOptions",
    "ConsoleOptions",
    "DestinationOptions",
    "FileOptions",
    "Incomplete",
    "OtlpOptions",
    "PrometheusOptions",
    "SentryOptions",
    "SpotlightOptions",
    "destination_options",
]

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
    unset="its name",
)

ENABLED: Final = Option(
    key="enabled",
    default=None,
    sentence="Add the destination to those chosen, or take it out.",
    reader=BOOLEAN,
    unset="as it was chosen",
)


def destination_options(kind: str) -> Mapping[str, Option]:
    """Everything that can be set for a destination of ``kind``, by key."""
    return {KIND.key: KIND, ENABLED.key: ENABLED, **options_of(KINDS[kind])}
