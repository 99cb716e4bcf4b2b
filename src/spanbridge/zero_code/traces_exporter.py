"""Entry point ``opentelemetry_traces_exporter``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class SentrySpanExporter(SpanExporter):
    """Makes sure that the bridge is there, which sees more of a span than an exporter does.

    It exports nothing itself: what it is given has passed the bridge's processor already. Only
    spans that ended before that was on their provider are handed over.

    Args:
        **options: Settings, as keyword arguments of ``spanbridge.configure()`` or options of the
            destination ``sentry``.
    """

    def __init__(self, **options: object) -> None:
        from spanbridge.zero_code.start import declare_exporter

        self._is_first = True
        declare_exporter(options)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Start the bridge if nobody did yet, which loses no span that is exported."""
        if self._is_first:
            self._is_first = False
            try:
                self._make_sure(spans)
            except Exception as error:
                GUARD.caught("zero_code.traces_exporter", error)
        return SpanExportResult.SUCCESS

    def _make_sure(self, spans: Sequence[ReadableSpan]) -> None:
        from spanbridge.telemetry import TELEMETRY
        from spanbridge.zero_code.start import start

        if TELEMETRY.is_installed:
            return
        start()
        TELEMETRY.hand_over(spans)
