"""The standard library's log records, read as they are made, whatever handlers there are.

Chained to ``logging.setLogRecordFactory``. A handler on the root logger would be lost by
``dictConfig`` and ``basicConfig(force=True)``, would make ``basicConfig()`` and the handler of last
resort do nothing, and would never see loggers that do not propagate, such as uvicorn's.

Runs on the application's thread, keeps nothing of a record but texts, and takes no lock.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spanbridge.conventions.upstream import (
    CODE_FILE_PATH,
    CODE_FUNCTION_NAME,
    CODE_LINE_NUMBER,
    OTEL_EVENT_NAME,
    SENTRY_MESSAGE_TEMPLATE,
)
from spanbridge.process.bounded_text import MAX_ATTRIBUTES, Plain, attribute_of, body_of
from spanbridge.process.log_mechanisms import mechanism_attributes
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

_OWN_THREADS: Final = "spanbridge-"
_MAKE_RECORD: Final = logging.Logger.makeRecord.__code__
_MAX_FACTORIES: Final = 8
"""How many factories chained around ours are looked past."""
_TRACEBACK: Final = "Traceback (most recent call last)"
_TOLD: Final = (_TRACEBACK, "exc_type")
"""What the text of a formatted exception holds: Python's own, and structlog's as a structure."""
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
            or (record.threadName or "").startswith(_OWN_THREADS)
        ):
            return
        event_id = ""
        try:
            # What an argument logs while we ask for its text is said again when the application
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
        message: object = record.msg
        error = _error_of(record.exc_info)
        attributes: dict[str, Plain] = {
            CODE_FILE_PATH: record.pathname,
            CODE_LINE_NUMBER: record.lineno,
        }
        if record.funcName:
            attributes[CODE_FUNCTION_NAME] = record.funcName
        if isinstance(message, Mapping) and _STRUCTLOG_EVENT in message:
            # structlog hands its event over as it is, to be rendered by the handler's formatter.
            if error is None:
                error = _error_of(message.get(_STRUCTLOG_ERROR))
            text = body_of(message[_STRUCTLOG_EVENT])
            _add(attributes, message)
        else:
            if record.args and isinstance(message, str):
                attributes[SENTRY_MESSAGE_TEMPLATE] = attribute_of(message)
            text = _message_of(record)
        if (extra := _extra_of_call(record)) is not None:
            _add(attributes, extra)
        if error is None and record.levelno >= logging.ERROR:
            error = _told_in_text(message if isinstance(message, Mapping) else text)
        if error is not None:
            text = _before_traceback(text)
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


def _told_in_text(message: object) -> BaseException | None:
    """The exception being handled, if the message is known to hold it as text.

    So it is where a formatter ran before the logging call, as structlog's do, and with
    ``logger.error(traceback.format_exc())``.
    """
    error = sys.exc_info()[1]
    if error is None:
        return None
    text = message if isinstance(message, str) else body_of(message)
    is_told = type(error).__name__ in text and any(part in text for part in _TOLD)
    return error if is_told else None


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # the arguments do not fit, or one of them fails to become text
        return body_of(record.msg)


def _before_traceback(text: str) -> str:
    """The text without the exception that some loggers append to it."""
    return text.partition(_TRACEBACK)[0].rstrip() or text


def _extra_of_call(record: logging.LogRecord) -> Mapping[str, object] | None:
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
            return extra if is_of_record and isinstance(extra, Mapping) else None
        frame = frame.f_back
    return None


def _add(attributes: dict[str, Plain], values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if len(attributes) >= MAX_ATTRIBUTES:
            return
        if not isinstance(name, str) or name.startswith("_"):  # structlog's own
            continue
        if name == _LOGURU_EXTRA and isinstance(value, Mapping):
            _add(attributes, value)
        elif name not in (_STRUCTLOG_EVENT, _STRUCTLOG_ERROR):
            attributes.setdefault(name, attribute_of(value))
