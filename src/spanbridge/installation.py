"""What is put into OpenTelemetry's process-wide state, once."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from opentelemetry import _logs, metrics, propagate, trace
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.runtime.guard import GUARD
from spanbridge.settings.resource import identity

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.trace import SpanProcessor

    from spanbridge.bridge import Bridge
    from spanbridge.settings import Settings


def install(bridge: Bridge, settings: Settings) -> None:
    """Make the process's spans, log records and headers pass the bridge.

    A provider that somebody set before stays, with its sampler and resource, also one that only
    wraps the SDK's; so do the propagators that are set, and ours adds to what they write.
    """
    resource = _resource(settings)
    # Providers shut down in reverse order; spans may end until the last moment.
    _install_logs(bridge, settings, resource)
    _install_traces(bridge, resource)
    bridge.propagator.beside = propagate.get_global_textmap()
    propagate.set_global_textmap(bridge.propagator)


def chain(bridge: Bridge, settings: Settings) -> None:
    """See metrics, log records and uncaught exceptions too, as far as the settings ask for it.

    May be called at every change of the settings: what is chained already stays so.
    """
    if bridge.metrics.needs_provider:
        _install_metrics(bridge, settings)
    if settings.log_level != "off":
        bridge.stdlib_logging.chain()
    if settings.excepthooks:
        bridge.hooks.chain()


def _install_traces(bridge: Bridge, resource: Resource) -> None:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider(sampler=bridge.sampler, resource=resource)
        provider.add_span_processor(bridge.processor)
        trace.set_tracer_provider(provider)
    elif _takes(provider, "add_span_processor", bridge.processor):
        sampler = getattr(provider, "sampler", None)
        bridge.decides_alone = getattr(sampler, "leads_to", sampler) is bridge.sampler
    else:
        GUARD.report(
            "tracer provider without processors",
            f"{type(provider).__name__} was set before spanbridge.configure() and takes no span "
            "processors, so no span is seen; call configure() first",
        )


def _install_logs(bridge: Bridge, settings: Settings, resource: Resource) -> None:
    provider = _logs.get_logger_provider()
    if isinstance(provider, ProxyLoggerProvider):
        if settings.logger_provider == "attach":
            return
        provider = LoggerProvider(resource=_resource_of_traces() or resource)
        provider.add_log_record_processor(bridge.log_processor)
        _logs.set_logger_provider(provider)
    elif not _takes(provider, "add_log_record_processor", bridge.log_processor):
        GUARD.report(
            "logger provider without processors",
            f"{type(provider).__name__} was set before spanbridge.configure() and takes no log "
            "record processors, so no log record of OpenTelemetry's own is seen",
        )


def _install_metrics(bridge: Bridge, settings: Settings) -> None:
    provider = metrics.get_meter_provider()
    if isinstance(provider, _ProxyMeterProvider):
        provider = MeterProvider(
            bridge.metrics.readers(),
            resource=_resource_of_traces() or _resource(settings),
            # The end of the traces is the end of everything, and delivers what there is.
            shutdown_on_exit=False,
        )
        metrics.set_meter_provider(provider)
        bridge.metrics.attach(provider, is_own=True)
    elif callable(getattr(provider, "add_metric_reader", None)):
        bridge.metrics.attach(cast("MeterProvider", provider), is_own=False)
    else:
        GUARD.report(
            "meter provider without readers",
            f"{type(provider).__name__} was set before spanbridge.configure() and takes no metric "
            "readers, so no metric is seen; call configure() first",
        )


def _resource_of_traces() -> Resource | None:
    """The resource of a tracer provider that somebody set: one process is one resource."""
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    return resource if isinstance(resource, Resource) else None


def _takes(provider: object, method: str, processor: SpanProcessor | LogRecordProcessor) -> bool:
    # OpenTelemetry's interface of a provider has no such method; the SDK's and its wrappers have.
    add_processor = getattr(provider, method, None)
    if not callable(add_processor):
        return False
    try:
        add_processor(processor)
    except Exception as error:
        GUARD.caught("installation", error)
        return False
    return True


def _resource(settings: Settings) -> Resource:
    return Resource.create(resource_attributes(settings))


def resource_attributes(settings: Settings) -> dict[str, str]:
    """What a provider that is made for us says of the process."""
    return {
        **identity(settings),
        "telemetry.distro.name": "spanbridge",
        "telemetry.distro.version": version("spanbridge"),
    }
