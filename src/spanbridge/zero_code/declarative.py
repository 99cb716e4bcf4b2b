"""OpenTelemetry's configuration file (``OTEL_CONFIG_FILE``), with our settings in it.

They stand below ``distribution: spanbridge:``, and below exporters named ``sentry``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spanbridge.errors import ConfigurationError
from spanbridge.settings.elsewhere import Elsewhere
from spanbridge.settings.sources import Table
from spanbridge.telemetry import TELEMETRY
from spanbridge.zero_code.concern import CONFIG_FILE
from spanbridge.zero_code.start import begin

if TYPE_CHECKING:
    from opentelemetry.configuration import OpenTelemetryConfiguration

_OURS: Final = "spanbridge"


def set_up_by_file() -> None:
    """Set up the SDK as the file says, and start.

    Raises:
        ConfigurationError: The file cannot be used, so it is unknown what may leave.
    """
    with _or_nothing_leaves():
        content = _read()
        elsewhere = _elsewhere(content)
    if content.disabled:
        begin(elsewhere)
        return
    from opentelemetry.configuration import configure_sdk

    TELEMETRY.elsewhere = elsewhere  # a resource detector of ours may ask
    try:
        configure_sdk(content)
    except Exception as error:
        raise _unusable(str(error), "Correct it there.") from error
    begin(replace(elsewhere, declared=()))


def beside_configuration_file() -> Elsewhere:
    """What the file says to us, where somebody else has set up the SDK by it.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    with _or_nothing_leaves():
        return _elsewhere(_read())


@contextmanager
def _or_nothing_leaves() -> Iterator[None]:
    """If the file cannot be used, let no later ``configure()`` of the program send either."""
    try:
        yield
    except ConfigurationError:
        TELEMETRY.elsewhere = Elsewhere(declared=(_switched_off(),))
        raise


def _switched_off() -> Table:
    return Table({"disabled": True}, origin=os.environ[CONFIG_FILE])


def _elsewhere(content: OpenTelemetryConfiguration) -> Elsewhere:
    # Beside the file OpenTelemetry's variables say nothing: what leaves by whom is written out.
    declared = tuple(_declared(content))
    return Elsewhere(exporters="", metrics_exporters="", sends_otlp=True, declared=declared)


def _declared(content: OpenTelemetryConfiguration) -> Iterator[Table]:
    if content.disabled:
        yield _switched_off()
    ours = (content.distribution or {}).get(_OURS)
    if ours is None:
        return
    if not isinstance(ours, Mapping):
        raise _unusable("distribution.spanbridge is not a table", "Write key: value lines.")
    yield Table(ours, origin=f"distribution.{_OURS} of {os.environ[CONFIG_FILE]}")


def _read() -> OpenTelemetryConfiguration:
    try:
        from opentelemetry.configuration import load_config_file
    except ImportError:
        raise _unusable(
            "reading it needs a package that is not installed",
            "Run: pip install 'opentelemetry-sdk[file-configuration]'",
        ) from None
    try:
        return load_config_file(os.environ[CONFIG_FILE])
    except Exception as error:
        raise _unusable(str(error), "Correct it there.") from error


def _unusable(problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(CONFIG_FILE, os.environ.get(CONFIG_FILE), problem, fix)
