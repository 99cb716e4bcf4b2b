"""What is put into OpenTelemetry's process-wide state, once."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from spanbridge.bridge import Bridge
    from spanbridge.settings import Settings


def install(bridge: Bridge, settings: Settings) -> None:
    """Make the process's spans and headers pass the bridge.

    A provider that somebody set before stays, with its sampler and resource, also one that only
    wraps the SDK's; so do the propagators that are set, and ours adds to what they write.
    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider(sampler=bridge.sampler, resource=_resource(settings))
        provider.add_span_processor(bridge.processor)
        trace.set_tracer_provider(provider)
    elif _takes(provider, bridge.processor):
        bridge.decides_alone = False
    else:
        GUARD.report(
            "tracer provider without processors",
            f"{type(provider).__name__} was set before spanbridge.configure() and takes no span "
            "processors, so no span is seen; call configure() first",
        )
    bridge.propagator.beside = propagate.get_global_textmap()
    propagate.set_global_textmap(bridge.propagator)


def _takes(provider: trace.TracerProvider, processor: SpanProcessor) -> bool:
    # OpenTelemetry's interface of a provider has no such method; the SDK's and its wrappers have.
    add_span_processor = getattr(provider, "add_span_processor", None)
    if not callable(add_span_processor):
        return False
    try:
        add_span_processor(processor)
    except Exception as error:
        GUARD.caught("installation", error)
        return False
    return True


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
