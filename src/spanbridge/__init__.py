"""OpenTelemetry in, Sentry out, and any other backend beside it by configuration.

    import spanbridge

    spanbridge.configure()

Application code goes on using OpenTelemetry alone; see :mod:`spanbridge.instrument` for optional
helpers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_OUTSIDE_TELEMETRY = {
    "ConfigurationError": "spanbridge.errors",
    "SpanbridgeError": "spanbridge.errors",
    "DestinationStatus": "spanbridge.runtime.status",
    "Status": "spanbridge.runtime.status",
}


# Under opentelemetry-instrument every Python process imports from this package, most of them to
# find that nothing is configured; reading settings alone takes longer than Python's own start.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_OUTSIDE_TELEMETRY.get(name, "spanbridge.telemetry"))
    value = globals()[name] = getattr(module, name)
    return value
