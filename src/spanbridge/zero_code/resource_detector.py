"""Entry point ``opentelemetry_resource_detector``.

Imported in the middle of the import of ``opentelemetry.sdk._logs``: neither logs nor exporters may
be imported here.
"""

from __future__ import annotations

import os

from opentelemetry.sdk.resources import Resource, ResourceDetector

from spanbridge.runtime.guard import GUARD


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
            from spanbridge.settings.privacy_functions import importing_later
            from spanbridge.settings.resource import identity
            from spanbridge.zero_code.start import while_set_up

            elsewhere = while_set_up()
            # What is wrong elsewhere, in a destination for example, is told when we start.
            usable = {"on_config_error": "warn"}
            with importing_later():
                settings = load(usable, elsewhere.environ(os.environ), declared=elsewhere.declared)
            return Resource(identity(settings))
        except Exception as error:
            GUARD.caught("zero_code.resource_detector", error)
        return Resource.get_empty()
