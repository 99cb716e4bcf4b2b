"""Entry point ``opentelemetry_propagator``.

Imported in the middle of the import of ``opentelemetry.propagate``, where an exception ends the
process: nothing but OpenTelemetry's interface may be imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanbridge.sentry.propagator import BridgePropagator


class SentryPropagator(TextMapPropagator):
    """``spanbridge`` in ``OTEL_PROPAGATORS``: reads and passes on Sentry's headers.

    Once the bridge is there, its propagator stands around all others and does the same with what
    it knows of the trace; this one then does nothing.

    Args:
        **options: Ignored. OpenTelemetry's configuration file may hold some.
    """

    def __init__(self, **options: object) -> None:
        self._alone: BridgePropagator | None = None

    @property
    def fields(self) -> set[str]:
        """The header names it writes."""
        return {"sentry-trace", "baggage"}

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with what the caller said."""
        propagator = self._needed()
        if propagator is None:
            return context if context is not None else get_current()
        return propagator.extract(carrier, context, getter)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the headers for the span of ``context``."""
        if (propagator := self._needed()) is not None:
            propagator.inject(carrier, context, setter)

    def _needed(self) -> BridgePropagator | None:
        from spanbridge.telemetry import TELEMETRY

        if TELEMETRY.is_installed:
            return None
        if self._alone is None:
            from spanbridge.sentry.propagator import BridgePropagator

            self._alone = BridgePropagator()
        return self._alone
