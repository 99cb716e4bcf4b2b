"""What a process is, as OpenTelemetry's resource says it."""

from __future__ import annotations

from spanbridge.settings.tree import Settings


def identity(settings: Settings) -> dict[str, str]:
    """Service, release and environment, so that every destination gets the same of them.

    Source: OpenTelemetry semantic conventions, "Service" and "Deployment".
    """
    attributes = {"deployment.environment.name": settings.environment}
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    if settings.release:
        attributes["service.version"] = settings.release
    return attributes
