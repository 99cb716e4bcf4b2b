"""What is put into OpenTelemetry's process-wide state, once."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from spanbridge.bridge import Bridge
    from spanbridge.settings import Settings


def install(bridge: Bridge, settings: Settings) -> None:
    """Make the process's spans and headers pass the bridge.

    A provider that somebody set before stays, with its sampler and resource; so do the
    propagators that are set, and ours comes last.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider(sampler=bridge.sampler, resource=_resource(settings))
        provider.add_span_processor(bridge.processor)
        trace.set_tracer_provider(provider)
    elif isinstance(provider, TracerProvider):
        provider.add_span_processor(bridge.processor)
    else:
        GUARD.report(
            "tracer provider without processors",
            f"{type(provider).__name__} was set before spanbridge.configure() and takes no span "
            "processors, so no span is seen; call configure() first",
        )
    existing = propagate.get_global_textmap()
    bridge.propagator.carries_baggage = "baggage" in existing.fields
    propagate.set_global_textmap(CompositePropagator([existing, bridge.propagator]))


def _resource(settings: Settings) -> Resource:
    attributes: dict[str, str] = {
        "deployment.environment.name": settings.environment,
        "telemetry.distro.name": "spanbridge",
        "telemetry.distro.version": version("spanbridge"),
    }
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    if settings.release:
        attributes["service.version"] = settings.release
    return Resource.create(attributes)
