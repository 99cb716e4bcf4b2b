"""Whether a process has anything to do with us, found out without importing anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

CONFIG_FILE: Final = "OTEL_CONFIG_FILE"
_OWN: Final = "SPANBRIDGE_"
_NAMING_DESTINATIONS: Final = (
    CONFIG_FILE,
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_LOGS_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_TRACES_EXPORTER",
    "SENTRY_DSN",
    "SENTRY_DSN_FILE",
    "SENTRY_SPOTLIGHT",
)
_HELPERS: Final = ("from multiprocessing.resource_tracker import ",)
"""How Python starts programs for its own use."""


def concerns_us(
    environ: Mapping[str, str] = os.environ, command: Sequence[str] | None = None
) -> bool:
    """Whether telemetry may be wanted in this process.

    Args:
        environ: The environment variables.
        command: How the interpreter was started; by default the process's own command.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    said = (
        value.strip()
        for name, value in environ.items()
        if name in _NAMING_DESTINATIONS or name.startswith(_OWN)
    )
    return any(said) and not is_helper(sys.orig_argv if command is None else command)


def is_helper(command: Sequence[str]) -> bool:
    """Whether Python started a program for its own use, such as its resource tracker."""
    return any(argument.startswith(_HELPERS) for argument in command)
