"""Sets up OpenTelemetry's SDK with our parts in it, and with exporters of others where asked for.

Without any of those it is what ``spanbridge.configure()`` does. With them OpenTelemetry's own
configurator makes the providers, as its variables say, and we join as with any provider.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spanbridge.settings.elsewhere import METRICS_EXPORTER, TRACES_EXPORTER, Elsewhere
from spanbridge.settings.loading import look_ahead
from spanbridge.settings.otel_sampler import is_known, is_rate, sampler_named
from spanbridge.telemetry import TELEMETRY
from spanbridge.zero_code.concern import CONFIG_FILE
from spanbridge.zero_code.exporter_names import LOGS_EXPORTER, ExporterNames
from spanbridge.zero_code.start import begin, claim, harmless

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

logger = logging.getLogger("spanbridge")


@harmless
def set_up(auto_instrumentation_version: str | None) -> None:
    """Set up the SDK, and start."""
    claim()
    if os.environ.get(CONFIG_FILE):
        from spanbridge.zero_code.declarative import set_up_by_file

        set_up_by_file()
        return
    names = ExporterNames.of(os.environ)
    TELEMETRY.elsewhere = elsewhere = Elsewhere(exporters=names.ours)
    if names.asks_for_metrics:
        from spanbridge.zero_code.metrics_exporter import tell_no_metrics

        tell_no_metrics()
    if names.has_others:
        _set_up_others(names, elsewhere, auto_instrumentation_version)
    begin(elsewhere)


def tell_failed(whose: str, error: Exception) -> None:
    """Say that OpenTelemetry's SDK was not set up by somebody else; we go on without."""
    logger.error(
        "spanbridge: the configurator %s failed, so OpenTelemetry's own exporters are missing: %s",
        whose,
        error,
    )


def _set_up_others(names: ExporterNames, elsewhere: Elsewhere, version: str | None) -> None:
    ours = look_ahead({}, elsewhere.environ(os.environ))
    names = names.without(ours.chosen)
    if not names.has_others:
        return
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator

    from spanbridge.installation import resource_attributes

    arguments: dict[str, Any] = {}
    # Told of when we start. What would have been ours is sent by nobody else then, unscrubbed.
    if ours.stopped_by is None:
        arguments["resource_attributes"] = resource_attributes(ours.settings)
        if ours.settings.destinations:
            arguments["sampler"] = _sampler(names)
    variables = {
        TRACES_EXPORTER: names.traces,
        LOGS_EXPORTER: names.logs,
        METRICS_EXPORTER: names.metrics,
    }
    try:
        with _with_variables(variables):
            configurator = _OTelSDKConfigurator()  # type: ignore[no-untyped-call]
            configurator.configure(auto_instrumentation_version=version, **arguments)  # type: ignore[no-untyped-call]
    except Exception as error:
        tell_failed("of OpenTelemetry's SDK", error)


def _sampler(names: ExporterNames) -> Sampler | None:
    """Ours, unless exporters or sampler are somebody else's; ``None``: as the variables say."""
    asked_for = sampler_named(os.environ)
    is_nobodys = not is_known(asked_for)
    if names.traces:
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON

        return DEFAULT_ON if is_nobodys else None  # or else OpenTelemetry would tell of it, too
    return TELEMETRY.prepare().sampler if is_nobodys or is_rate(asked_for) else None


@contextmanager
def _with_variables(variables: dict[str, str]) -> Iterator[None]:
    """Other values for a moment; nothing else takes the names of exporters but variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
