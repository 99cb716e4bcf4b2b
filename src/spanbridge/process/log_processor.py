"""An OpenTelemetry log record processor that reports errors and hands log records over."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LogRecordProcessor

from spanbridge.conventions.upstream import (
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
    SENTRY_EVENT_ID,
)
from spanbridge.model.log import SEVERITY_ERROR
from spanbridge.process.bounded_text import body_of
from spanbridge.process.in_flight import is_recorded_by
from spanbridge.process.log_mechanisms import mechanism_attributes
from spanbridge.process.provider_end import FollowsProvider
from spanbridge.runtime.bound import bound_in
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from spanbridge.process.recent_records import RecentRecords
    from spanbridge.process.reporter import Reporter


class BridgeLogProcessor(FollowsProvider, LogRecordProcessor):
    """Gives every log record of a provider to the reporter, on the application's thread.

    It is added to a provider once and never removed, so ``reporter`` decides whether it does
    anything. A record whose exception may become an issue gets the attribute ``sentry.event_id``,
    which processors and exporters behind this one carry on.

    Args:
        reporter: Takes the records.
        recent: What was read from the standard library's logging already.
    """

    def __init__(self, reporter: Reporter, recent: RecentRecords) -> None:
        super().__init__()
        self._reporter = reporter
        self._recent = recent

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a log record, with the exception it carries."""
        if self._reporter.intake is None:
            return
        try:
            scope = log_record.instrumentation_scope
            record = log_record.log_record
            if (bound := bound_in(record.context or None)) is not None:
                for name, value in bound.missing_in(record.attributes or {}).items():
                    _put(record.attributes, name, value)
            event_id = self._event_id(scope.name if scope is not None else "", record)
            if event_id:
                _put(record.attributes, SENTRY_EVENT_ID, event_id)
        except Exception as error:
            GUARD.caught("process.on_emit", error)

    def _event_id(self, logger: str, record: LogRecord) -> str:
        time_ns = record.timestamp
        if time_ns is not None:
            event_id = self._recent.event_id_of(logger, time_ns)
            if event_id is not None:  # of a handler for the standard library's logging
                return event_id
        attributes = record.attributes or {}
        error = record.exception or _in_flight(attributes)
        severity = record.severity_number.value if record.severity_number is not None else 0
        body = body_of(record.body)
        if error is not None or EXCEPTION_TYPE in attributes:
            severity = severity or SEVERITY_ERROR
            attributes = {**mechanism_attributes(logger, body), **attributes}
        sighting = self._reporter.log(
            logger=logger,
            severity=severity,
            body=body,
            time_ns=time_ns or record.observed_timestamp,
            attributes=attributes,
            event_name=record.event_name or "",
            error=error,
            context=record.context or None,
        )
        return sighting.event_id if sighting is not None else ""

    def enabled(
        self,
        *,
        context: Context | None = None,
        instrumentation_scope: InstrumentationScope | None = None,
        severity_number: SeverityNumber | None = None,
        event_name: str | None = None,
    ) -> bool:
        """Whether a record of this scope would be taken."""
        reporter = self._reporter
        return reporter.intake is not None and not (
            instrumentation_scope is not None and reporter.ignores(instrumentation_scope.name)
        )


def _in_flight(attributes: Mapping[str, Any]) -> BaseException | None:
    """The exception being handled, if the record tells of it in text only."""
    if EXCEPTION_STACKTRACE not in attributes:
        return None
    error = sys.exc_info()[1]
    return error if error is not None and is_recorded_by(error, attributes) else None


def _put(attributes: object, name: str, value: object) -> None:
    if not isinstance(attributes, MutableMapping):
        return
    most = getattr(attributes, "maxlen", None)
    # A full one would drop one of the application's.
    if most is None or len(attributes) < most or name in attributes:
        attributes[name] = value
