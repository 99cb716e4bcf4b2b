"""Entry point ``opentelemetry_resource_detector``.

Imported in the middle of the import of ``opentelemetry.sdk._logs``: neither logs nor exporters may
be imported here.
"""

from __future__ import annotations

import logging
import os

from opentelemetry.sdk.resources import Resource, ResourceDetector

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import GUARD

logger = logging.getLogger("spanbridge")


class SettingsDetector(ResourceDetector):
    """Service, release and environment as spanbridge's settings resolve them.

    Args:
        **options: Ignored. OpenTelemetry's configuration file may hold some.
    """

    def __init__(self, **options: object) -> None:
        super().__init__()

    def detect(self) -> Resource:
        """Called once, when a provider is made."""
        try:
            from spanbridge.settings.loading import load
            from spanbridge.settings.resource import identity
            from spanbridge.telemetry import TELEMETRY

            elsewhere = TELEMETRY.elsewhere
            settings = load({}, elsewhere.environ(os.environ), elsewhere.declared)
            return Resource(identity(settings))
        except ConfigurationError as problem:
            logger.error("spanbridge: service, release and environment are not known: %s", problem)
        except Exception as error:
            GUARD.caught("zero_code.resource_detector", error)
        return Resource.get_empty()
