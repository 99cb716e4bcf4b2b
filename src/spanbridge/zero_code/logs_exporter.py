"""Entry point ``opentelemetry_logs_exporter``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry._logs import get_logger_provider
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord


class SentryLogExporter(LogRecordExporter):
    """Makes sure that the bridge is there, whose processor sees log records where they are made.

    Args:
        **options: As for the exporter of traces.
    """

    def __init__(self, **options: object) -> None:
        from spanbridge.zero_code.start import declare_exporter, is_set_up

        declare_exporter(options)
        self._is_first = True
        if is_set_up() and not isinstance(get_logger_provider(), ProxyLoggerProvider):
            self._make_sure()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Start the bridge if nobody did yet."""
        if self._is_first:
            self._make_sure()
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Nothing waits here; the bridge's processor is flushed by its provider."""
        return True

    def shutdown(self) -> None:
        """Nothing to do: the bridge ends with its provider."""

    def _make_sure(self) -> None:
        self._is_first = False
        try:
            from spanbridge.zero_code.start import start

            start()
        except Exception as error:
            GUARD.caught("zero_code.logs_exporter", error)
