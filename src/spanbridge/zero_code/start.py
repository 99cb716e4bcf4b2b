"""Configures the process's telemetry from the environment, once, and never raises."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Final, ParamSpec

from opentelemetry import trace

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import GUARD
from spanbridge.settings.elsewhere import Elsewhere
from spanbridge.settings.options import destination_options
from spanbridge.settings.privacy_functions import importing_later
from spanbridge.settings.sources import Table
from spanbridge.telemetry import TELEMETRY, configure
from spanbridge.zero_code.concern import CONFIG_FILE, concerns_us
from spanbridge.zero_code.exporter_names import ExporterNames
from spanbridge.zero_code.last_resort import show_warnings

P = ParamSpec("P")

logger = logging.getLogger("spanbridge")

SENTRY: Final = "sentry"
_LOADER: Final = "opentelemetry.instrumentation.auto_instrumentation"


def harmless(function: Callable[P, None]) -> Callable[P, None]:
    """Let nothing that ``function`` raises reach OpenTelemetry's loader, which would give up.

    What ``on_config_error`` is does not matter here: nobody could see it raised. Nor is anything of
    the application's imported: not all that is to see that happen is there yet.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with importing_later():
                function(*args, **kwargs)
        except ConfigurationError as problem:
            logger.error("spanbridge: not started: %s", problem)
        except Exception as error:
            GUARD.caught(f"zero_code.{function.__name__}", error)

    return run


def is_set_up() -> bool:
    """Whether somebody has set OpenTelemetry's tracer provider."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


_is_claimed = False


def claim() -> bool:
    """Whether starting is up to the caller: true once, so that what is wrong is said once."""
    global _is_claimed
    is_first, _is_claimed = not _is_claimed, True
    return is_first


@harmless
def start() -> None:
    """Start telemetry, unless somebody did, beside whatever has set up OpenTelemetry's SDK."""
    # What was installed once and has been shut down stays so.
    if TELEMETRY.is_configured or TELEMETRY.is_installed or not concerns_us() or not claim():
        return
    begin(beside_another() if _is_decided_elsewhere() else _by_variables())


def _is_decided_elsewhere() -> bool:
    # A configuration file counts where it sets no tracer provider too, or where nobody acts on it:
    # it may say that nothing is to be sent, or what must not leave.
    return is_set_up() or bool(os.environ.get(CONFIG_FILE))


def _by_variables() -> Elsewhere:
    return Elsewhere(exporters=ExporterNames.of(os.environ).ours)


def beside_another() -> Elsewhere:
    """What matters for us if somebody else sets up the SDK.

    Raises:
        ConfigurationError: OpenTelemetry's configuration file cannot be used.
    """
    if os.environ.get(CONFIG_FILE):
        from spanbridge.zero_code.declarative import beside_configuration_file

        return beside_configuration_file()
    names = ExporterNames.beside_another_set_up(os.environ)
    return Elsewhere(
        exporters=names.ours, metrics_exporters=names.our_metrics, sends_otlp=names.sends_otlp
    )


def while_set_up() -> Elsewhere:
    """What matters for us, asked while the SDK is being set up.

    Raises:
        ConfigurationError: OpenTelemetry's configuration file cannot be used.
    """
    is_launched = _LOADER in sys.modules
    return beside_another() if is_launched and not _is_claimed else TELEMETRY.elsewhere


def begin(elsewhere: Elsewhere) -> None:
    """Configure, reckoning with what others do, now and at every later ``configure()``.

    Raises:
        ConfigurationError: As ``configure()``.
    """
    show_warnings()
    said = TELEMETRY.elsewhere.declared
    TELEMETRY.elsewhere = replace(elsewhere, declared=(*said, *elsewhere.declared))
    configure()


@harmless
def declare_exporter(options: Mapping[str, object]) -> None:
    """Take what an exporter named ``sentry`` was given as arguments of ``configure()``.

    Its options stand for those of the destination; where it stands in OpenTelemetry's file, that
    destination is wanted.
    """
    where = os.environ.get(CONFIG_FILE)
    if not options and not where:
        return
    origin = f"exporter {SENTRY} of {where}" if where else f"arguments of the exporter {SENTRY}"
    own = {
        key: options[key]
        for key, option in destination_options(SENTRY).items()
        if key in options and not option.is_shorthand
    }
    content: dict[str, object] = {key: options[key] for key in options if key not in own}
    content["destinations"] = {SENTRY: {"enabled": True, **own}}
    table = Table(content, origin=origin)
    elsewhere = TELEMETRY.elsewhere
    if table in elsewhere.declared:
        return
    TELEMETRY.elsewhere = replace(elsewhere, declared=(table, *elsewhere.declared))
    if TELEMETRY.is_configured:
        configure()
