"""The standard library's log records, read as they are made, whatever handlers there are.

Chained to ``logging.setLogRecordFactory``. A handler on the root logger would be lost by
``dictConfig`` and ``basicConfig(force=True)``, would make ``basicConfig()`` and the handler of last
resort do nothing, and would never see loggers that do not propagate, such as uvicorn's.

Runs on the application's thread, keeps nothing of a record but texts, and takes no lock: neither
one of ours nor, through a ``__str__``, one of the application's.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spanbridge.conventions.upstream import (
    CODE_FILE_PATH,
    CODE_FUNCTION_NAME,
    CODE_LINE_NUMBER,
    OTEL_EVENT_NAME,
    SENTRY_MESSAGE_TEMPLATE,
    THREAD_ID,
    THREAD_NAME,
)
from spanbridge.process.bounded_text import MAX_ATTRIBUTES, Plain, attribute_of, body_of
from spanbridge.process.log_mechanisms import mechanism_attributes
from spanbridge.process.log_message import before_traceback, message_of, told_in_text
from spanbridge.process.reporter import OWN_THREADS
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from types import FrameType

    from spanbridge.process.recent_records import RecentRecords
    from spanbridge.process.reporter import Reporter

RecordFactory: TypeAlias = Callable[..., logging.LogRecord]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": sys.maxsize,
}
"""The ``log_level`` setting as the standard library's number."""

_MAKE_RECORD: Final = logging.Logger.makeRecord.__code__
_MAX_FACTORIES: Final = 8
"""How many factories chained around ours are looked past."""
_STRUCTLOG_EVENT: Final = "event"
_STRUCTLOG_ERROR: Final = "exc_info"
_LOGURU_EXTRA: Final = "extra"


class _OnThread(threading.local):
    is_reading = False
    was_probed = False


class StdlibLogging:
    """Reads the records of the standard library's logging and gives them to the reporter.

    Args:
        reporter: Takes the records.
        recent: Is told of each, because another handler may bring it to OpenTelemetry too.
    """

    def __init__(self, reporter: Reporter, recent: RecentRecords) -> None:
        self._reporter = reporter
        self._recent = recent
        self._thread = _OnThread()
        self._is_chained = False
        self.least_level = LEVELS["off"]
        """Records below this level are not read."""

    def chain(self) -> None:
        """See every record from now on; nothing to do if that is so already.

        A factory that somebody set later without calling the one before it cut us off. That is
        said once, and the chain is made anew around it.
        """
        if self._is_chained:
            if self.is_reached():
                return
            GUARD.report(
                "log record factory replaced",
                "somebody called logging.setLogRecordFactory() without calling the factory that "
                "was set before; log records since then were not read",
            )
        self._is_chained = True
        logging.setLogRecordFactory(self._factory_around(logging.getLogRecordFactory()))

    def is_reached(self) -> bool:
        """Whether records still come through here, found out by making one that nobody logs."""
        self._thread.was_probed = False
        try:
            logging.makeLogRecord({})
        except Exception:
            return True  # the factory cannot make an empty record, which tells nothing
        return self._thread.was_probed

    def _factory_around(self, former: RecordFactory) -> RecordFactory:
        thread = self._thread

        def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = former(*args, **kwargs)
            try:
                level = getattr(record, "levelno", None)
                if level is None:
                    # Of ``makeLogRecord``: it was logged elsewhere, and read there.
                    thread.was_probed = True
                elif level >= self.least_level:
                    self._read(record)
            except Exception as error:
                GUARD.caught("process.log_record", error)
            return record

        return make_record

    def _read(self, record: logging.LogRecord) -> None:
        reporter, thread = self._reporter, self._thread
        if (
            reporter.intake is None
            or reporter.ignores(record.name)
            or (record.threadName or "").startswith(OWN_THREADS)
        ):
            return
        event_id = ""
        try:
            # What an exception logs while we ask for its text is said again when the application
            # asks.
            if not thread.is_reading:
                thread.is_reading = True
                try:
                    event_id = self._report(record)
                finally:
                    thread.is_reading = False
        finally:
            self._recent.add(record.name, _time_ns(record), event_id)

    def _report(self, record: logging.LogRecord) -> str:
        message: Any = record.msg
        error = _error_of(record.exc_info)
        attributes: dict[str, Plain] = {
            CODE_FILE_PATH: record.pathname,
            CODE_LINE_NUMBER: record.lineno,
            THREAD_ID: record.thread or 0,
            THREAD_NAME: record.threadName or "",
        }
        if record.funcName:
            attributes[CODE_FUNCTION_NAME] = record.funcName
        is_structured = issubclass(type(message), dict)
        if is_structured and dict.__contains__(message, _STRUCTLOG_EVENT):
            # structlog hands its event over as it is, to be rendered by the handler's formatter.
            if error is None:
                error = _error_of(dict.get(message, _STRUCTLOG_ERROR))
            text = body_of(dict.get(message, _STRUCTLOG_EVENT))
            _add(attributes, message)
        else:
            if record.args and isinstance(message, str):
                attributes[SENTRY_MESSAGE_TEMPLATE] = attribute_of(message)
            text = message_of(record)
        if (extra := _extra_of_call(record)) is not None:
            _add(attributes, extra)
        if error is None and record.levelno >= logging.ERROR:
            error = told_in_text(message if is_structured else text)
        if error is not None:
            text = before_traceback(text)
            attributes.update(mechanism_attributes(record.name, text, record.funcName or ""))
        sighting = self._reporter.log(
            logger=record.name,
            severity=severity_of(record.levelno),
            body=body_of(text),
            time_ns=_time_ns(record),
            event_name=str(attributes.pop(OTEL_EVENT_NAME, "")),
            attributes=attributes,
            error=error,
        )
        return sighting.event_id if sighting is not None else ""


def severity_of(level: int) -> int:
    """OpenTelemetry's severity number of a level of the standard library.

    Source: OpenTelemetry logs data model, "Severity Fields"; ten levels there are four numbers
    here, so 25 is ``INFO4`` and everything from 53 up is ``FATAL4``.
    """
    tens = max(0, min(level // 10, 5))
    return 4 * tens + 1 + max(0, min(level - 10 * tens, 3))


def _time_ns(record: logging.LogRecord) -> int:
    return int(record.created * 1e9)


def _error_of(exc_info: object) -> BaseException | None:
    """The exception in whatever form ``exc_info`` has; the logger has made a tuple of most."""
    if exc_info is True:
        return sys.exc_info()[1]
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        exc_info = exc_info[1]
    return exc_info if isinstance(exc_info, BaseException) else None


def _extra_of_call(record: logging.LogRecord) -> dict[str, object] | None:
    """The ``extra`` of the logging call, which is put on the record only after it was made.

    It is an argument of ``Logger.makeRecord``, which called the factory.
    """
    frame: FrameType | None = sys._getframe(3)
    for _ in range(_MAX_FACTORIES):
        if frame is None:
            return None
        if frame.f_code is _MAKE_RECORD:
            variables = frame.f_locals
            extra = variables.get("extra")
            is_of_record = variables.get("msg") is record.msg
            return extra if is_of_record and issubclass(type(extra), dict) else None
        frame = frame.f_back
    return None


def _add(attributes: dict[str, Plain], values: dict[str, object]) -> None:
    for name, value in dict.items(values):
        if len(attributes) >= MAX_ATTRIBUTES:
            return
        if not isinstance(name, str) or name.startswith("_"):  # structlog's own
            continue
        if name == _LOGURU_EXTRA and issubclass(type(value), dict):
            _add(attributes, value)  # type: ignore[arg-type]
        elif name not in (_STRUCTLOG_EVENT, _STRUCTLOG_ERROR):
            attributes.setdefault(name, attribute_of(value))
