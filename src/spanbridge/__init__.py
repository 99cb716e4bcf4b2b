"""OpenTelemetry in, Sentry out, and any other backend beside it by configuration.

    import spanbridge

    spanbridge.configure()

Application code goes on using OpenTelemetry alone; see :mod:`spanbridge.instrument` for optional
helpers.
"""

from spanbridge.errors import ConfigurationError, SpanbridgeError
from spanbridge.runtime.status import DestinationStatus, Status
from spanbridge.telemetry import (
    Telemetry,
    aflush,
    ashutdown,
    configure,
    flush,
    shutdown,
    status,
)

__all__ = [
    "ConfigurationError",
    "DestinationStatus",
    "SpanbridgeError",
    "Status",
    "Telemetry",
    "aflush",
    "ashutdown",
    "configure",
    "flush",
    "shutdown",
    "status",
]
