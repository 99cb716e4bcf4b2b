"""Exceptions that no span can record any more, reported as OpenTelemetry log records."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Final

from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger
from opentelemetry.trace import Span, set_span_in_context

from spanbridge.conventions import SCHEMA_URL
from spanbridge.conventions.upstream import SENTRY_MECHANISM_HANDLED, SENTRY_MECHANISM_TYPE
from spanbridge.runtime.guard import GUARD

_VERSION: Final = version("spanbridge")


class ExceptionLog:
    """Writes a log record of severity ERROR for an exception.

    Args:
        logger: The name of the logger: whose part it is that failed, a framework's.
        mechanism: How its exceptions are seen, as Sentry's mechanism type.
        logger_provider: Instead of the global one.
    """

    def __init__(
        self, logger: str, mechanism: str, logger_provider: LoggerProvider | None = None
    ) -> None:
        self._mechanism = mechanism
        self._logger = get_logger(logger, _VERSION, logger_provider, SCHEMA_URL)

    def report(
        self, error: BaseException, text: str, *, is_handled: bool, span: Span | None = None
    ) -> None:
        """Report an exception once.

        Args:
            error: The exception, best while its traceback is complete.
            text: What happened, as the body of the record.
            is_handled: Whether the application went on.
            span: What it belongs to, ended or not; the current span by default.
        """
        try:
            self._logger.emit(
                timestamp=time.time_ns(),
                context=set_span_in_context(span) if span is not None else None,
                severity_number=SeverityNumber.ERROR,
                severity_text="ERROR",
                body=text,
                attributes={
                    SENTRY_MECHANISM_TYPE: self._mechanism,
                    SENTRY_MECHANISM_HANDLED: is_handled,
                },
                exception=error,
            )
        except Exception as failure:  # somebody's log processor
            GUARD.caught("instrument.exception_log", failure)

    def record(self, error: BaseException, text: str, *, is_handled: bool, span: Span) -> None:
        """Record an exception on a span; report it if the span records nothing any more.

        Args:
            error: The exception.
            text: What happened, for the report.
            is_handled: Whether the application went on.
            span: What it belongs to.
        """
        if not span.is_recording():
            self.report(error, text, is_handled=is_handled, span=span)
            return
        try:
            span.record_exception(
                error,
                {
                    SENTRY_MECHANISM_TYPE: self._mechanism,
                    SENTRY_MECHANISM_HANDLED: is_handled,
                },
            )
        except Exception as failure:  # an exception whose text cannot be made
            GUARD.caught("instrument.record_exception", failure)
