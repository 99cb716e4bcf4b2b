"""Entry points ``opentelemetry_pre_instrument`` and ``opentelemetry_post_instrument``.

OpenTelemetry calls them whatever distro and configurator there are.
"""

from __future__ import annotations

from spanbridge.zero_code.concern import concerns_us


def pre_instrument() -> None:
    """Start telemetry, unless our configurator did: the providers are set by now, if ever."""
    if concerns_us():
        from spanbridge.zero_code.start import start

        start()


def post_instrument() -> None:
    """See to applications that will be made: their instrumentors are active by now."""
    if concerns_us():
        from spanbridge.zero_code.applications import see_to_applications

        see_to_applications()
