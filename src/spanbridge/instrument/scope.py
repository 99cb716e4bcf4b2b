"""The instrumentation scope of the helpers."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from opentelemetry.trace import Tracer, TracerProvider, get_tracer

from spanbridge.conventions import SCHEMA_URL

SCOPE_NAME: Final = "spanbridge.instrument"
_VERSION: Final = version("spanbridge")

# Taken once: get_tracer costs more than a span. It binds to the provider when one is set.
_GLOBAL_TRACER: Final = get_tracer(SCOPE_NAME, _VERSION, schema_url=SCHEMA_URL)


def tracer_of(provider: TracerProvider | None) -> Tracer:
    """The tracer of a provider; of the global one by default."""
    if provider is None:
        return _GLOBAL_TRACER
    return get_tracer(SCOPE_NAME, _VERSION, provider, SCHEMA_URL)
