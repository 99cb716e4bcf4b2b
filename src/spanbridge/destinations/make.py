"""Options in, destination out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spanbridge.errors import ConfigurationError
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.settings import ConsoleOptions, FileOptions, OtlpOptions, PrometheusOptions
from spanbridge.settings.privacy import rules_for

if TYPE_CHECKING:
    from spanbridge.destinations.shape import Destination
    from spanbridge.settings import DestinationOptions, Settings


def make_destination(options: DestinationOptions, settings: Settings) -> Destination:
    """The destination that ``options`` describe.

    Each kind is imported when it is first used, so that a program pays only for what it sends to.
    """
    policy = PrivacyPolicy(
        keeps_content=options.capture_content,
        keeps_locals=settings.include_locals,
        rules=rules_for(settings, options),
    )
    if isinstance(options, OtlpOptions):
        from spanbridge.destinations.otlp import OtlpDestination

        return OtlpDestination(options, policy)
    if isinstance(options, ConsoleOptions):
        from spanbridge.destinations.console import ConsoleDestination

        return ConsoleDestination(options, policy, settings.max_hold_s)
    if isinstance(options, FileOptions):
        from spanbridge.destinations.file import FileDestination

        return FileDestination(options, policy)
    if isinstance(options, PrometheusOptions):
        from spanbridge.destinations.prometheus import PrometheusDestination

        return PrometheusDestination(options, policy)
    from spanbridge.destinations.sentry import SentryDestination

    return SentryDestination(options, settings, policy)


class Made(NamedTuple):
    """A destination, and the settings it was made by."""

    destination: Destination
    options: DestinationOptions


def make_destinations(
    settings: Settings,
) -> tuple[list[Made], tuple[ConfigurationError, ...]]:
    """The destinations, and what is wrong with those that are left out.

    Some mistakes show only now: a certificate that cannot be read, a proxy that makes no sense.
    """
    made: list[Made] = []
    problems: list[ConfigurationError] = []
    for options in settings.destinations:
        try:
            made.append(Made(make_destination(options, settings), options))
        except ConfigurationError as problem:
            if settings.on_config_error == "raise":
                raise
            problems.append(problem)
    return made, tuple(problems)
