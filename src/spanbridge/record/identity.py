"""Who the program is: the same on every item of every destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.model.span import Resource
from spanbridge.record.span import read_resource

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource as OtelResource

    from spanbridge.model.span import SpanRecord
    from spanbridge.settings import Settings

SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
ENVIRONMENT: Final = "deployment.environment.name"
OLD_ENVIRONMENT: Final = "deployment.environment"

_MAX_KEPT: Final = 64


class Identity:
    """Service, version and environment as the settings have them, put on the resource of each item.

    The resource of a tracer provider is fixed once and for all, and may be somebody else's; Sentry
    is told release and environment apart from it. What the settings do not know stays as it is.

    Args:
        settings: The resolved settings.
    """

    def __init__(self, settings: Settings) -> None:
        known = {
            SERVICE_NAME: settings.service_name,
            SERVICE_VERSION: settings.release,
            ENVIRONMENT: settings.environment,
        }
        self._attributes = {name: value for name, value in known.items() if value}
        # By identity: a process has a handful of resources, and hashing one costs more.
        self._read: dict[int, tuple[OtelResource, Resource]] = {}
        self._resources: dict[int, tuple[Resource, Resource]] = {}

    def of(self, resource: OtelResource) -> Resource:
        """What a resource of the SDK is to say, with who the program is."""
        known = self._read.get(id(resource))
        if known is None:
            if len(self._read) >= _MAX_KEPT:
                self._read.clear()
            known = self._read[id(resource)] = (resource, self.on(read_resource(resource)))
        return known[1]

    def put_on(self, span: SpanRecord) -> SpanRecord:
        """The span with a resource that says so; the span itself if its resource does already."""
        resource = self.on(span.resource)
        if resource is span.resource:
            return span
        return msgspec.structs.replace(span, resource=resource)

    def on(self, resource: Resource) -> Resource:
        """The resource that says so; ``resource`` itself if it does already."""
        known = self._resources.get(id(resource))
        if known is None:
            if len(self._resources) >= _MAX_KEPT:
                self._resources.clear()
            known = self._resources[id(resource)] = (resource, self._identified(resource))
        return known[1]

    def _identified(self, resource: Resource) -> Resource:
        attributes = {**resource.attributes, **self._attributes}
        if OLD_ENVIRONMENT in attributes:
            attributes[OLD_ENVIRONMENT] = attributes[ENVIRONMENT]
        if attributes == resource.attributes:
            return resource
        return msgspec.structs.replace(resource, attributes=attributes)
