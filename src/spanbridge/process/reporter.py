"""What was logged, or reported otherwise than by a span that ends, on its way to the worker.

Runs on the application's thread: it looks up the current span and takes the exception as it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from time import time_ns as now_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import get_current_span

from spanbridge.conventions.upstream import (
    EXCEPTION_MESSAGE,
    EXCEPTION_TYPE,
    SENTRY_MECHANISM_HANDLED,
    SENTRY_MECHANISM_TYPE,
    THREAD_ID,
)
from spanbridge.model.failure import CapturedException
from spanbridge.model.log import SEVERITY_ERROR, LogRecord
from spanbridge.process.bounded_text import body_of
from spanbridge.process.in_flight import InFlight, qualified_name
from spanbridge.process.intake import Logged
from spanbridge.process.local_trace import LocalTrace
from spanbridge.process.self_description import telemetry_attributes
from spanbridge.process.sighting import ELSEWHERE_S, OUTSIDE_S, Sighting, chain_marks, mark
from spanbridge.process.snapshot import module_of, take, text_of
from spanbridge.runtime.bound import bound_in
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from spanbridge.model.failure import Annotations
    from spanbridge.process.intake import Intake
    from spanbridge.process.local_trace import LocalTraces

IGNORED_LOGGERS: Final = ("opentelemetry", "spanbridge", "sentry_sdk")
"""Loggers of telemetry itself, with all below them: what they say never becomes an issue."""
OWN_THREADS: Final = "spanbridge-"
"""How the names of our own threads begin."""


class Reporter:
    """Gives the worker what loggers, hooks and glue have to tell.

    Like the span processor it is put in place once and for good; ``intake`` is ``None`` while
    nothing is configured.
    """

    def __init__(self, traces: LocalTraces) -> None:
        self._traces = traces
        self.intake: Intake | None = None
        self.includes_locals = False
        self.own_modules: tuple[str, ...] = ()
        self.ignores: Callable[[str], bool] = is_ignored
        """Whether a logger's records are left alone."""
        self._outside = _local_trace_of_process()
        after_fork_in_child(self._after_fork)

    def _after_fork(self) -> None:
        self._outside = _local_trace_of_process()

    def log(
        self,
        *,
        logger: str,
        severity: int,
        body: str,
        time_ns: int | None = None,
        attributes: Mapping[str, Any] | None = None,
        event_name: str = "",
        error: BaseException | None = None,
        context: Context | None = None,
        annotations: Annotations | None = None,
    ) -> Sighting | None:
        """Take a log record.

        Args:
            logger: Name of the logger.
            severity: OpenTelemetry's severity number.
            body: What it says.
            time_ns: When, Unix time in nanoseconds; default: now.
            attributes: Its attributes; copied.
            event_name: Its name if it is an event.
            error: The exception it carries.
            context: Where its span is looked up; default: the current context.
            annotations: What the application attached to ``error``.

        Returns:
            The sighting of ``error`` if it was taken along and there is place for it.
        """
        if self.ignores(logger):
            return None
        return self._put(
            logger, severity, body, time_ns, attributes, event_name, error, context, annotations
        )

    def _put(
        self,
        logger: str,
        severity: int,
        body: str,
        time_ns: int | None,
        attributes: Mapping[str, Any] | None,
        event_name: str,
        error: BaseException | None,
        context: Context | None,
        annotations: Annotations | None,
    ) -> Sighting | None:
        intake = self.intake
        is_error = severity >= SEVERITY_ERROR
        if intake is None or _is_suppressed(is_error):
            return None
        span = get_current_span(context)
        span_context = span.get_span_context()
        trace_id, span_id = span_context.trace_id, span_context.span_id
        local: LocalTrace | None = None
        if not span_context.is_valid:
            local = self._outside
            trace_id, span_id = local.trace_id, local.root_id
        elif not span_context.is_remote:
            local = self._traces.find(span_context)
        if local is None:  # of another provider, or dropped by its sampler
            local = LocalTrace(trace_id, span_id)
        copied = _with_exception(attributes, error, is_error)
        if (bound := bound_in(context)) is not None:
            bound.put_into(copied)
        if local is self._outside:  # nothing else tells what belongs together there
            copied.setdefault(THREAD_ID, threading.get_ident())
        record = LogRecord(
            time_ns or now_ns(),
            severity,
            body,
            logger,
            copied,
            event_name,
            f"{trace_id:032x}",
            f"{span_id:016x}",
        )
        exception: InFlight | None = None
        if error is not None and is_error:
            exception = self._take(error, record, annotations)
        live = span if isinstance(span, ReadableSpan) else None
        is_taken = intake.put(Logged(record, local, exception, live), is_error)
        return exception.sighting if exception is not None and is_taken else None

    def report(
        self,
        error: BaseException,
        *,
        mechanism: str,
        is_handled: bool,
        message: str = "",
        logger: str = "",
        severity: int = SEVERITY_ERROR,
        attributes: Mapping[str, Any] | None = None,
        annotations: Annotations | None = None,
    ) -> Sighting | None:
        """Take an exception that perhaps no span has seen, as if it were logged.

        What is ignored of loggers does not count here.

        Args:
            error: The exception, with its traceback.
            mechanism: How it was seen, as Sentry's mechanism type, e.g. ``auto.excepthook``.
            is_handled: Whether the application went on.
            message: What was said about it.
            logger: Who said so.
            severity: OpenTelemetry's severity number, at least that of an error.
            attributes: What else there is to say.
            annotations: What the application attached to it.

        Returns:
            The sighting, or ``None`` if nothing is configured.
        """
        said = {
            **(attributes or {}),
            SENTRY_MECHANISM_TYPE: mechanism,
            SENTRY_MECHANISM_HANDLED: is_handled,
        }
        return self._put(logger, severity, message, None, said, "", error, None, annotations)

    def _take(
        self, error: BaseException, record: LogRecord, annotations: Annotations | None
    ) -> InFlight:
        try:
            return self._snapshot(error, record, annotations)
        except Exception as failure:
            # Its class has properties where Python looks for causes and members, and they fail.
            GUARD.report("an exception cannot be read", type(failure).__name__)
        sighting = Sighting(record.trace_id, record.span_id)
        sighting.annotations = annotations
        return InFlight((_by_class(error),), sighting, is_leaving=False)

    def _snapshot(
        self, error: BaseException, record: LogRecord, annotations: Annotations | None
    ) -> InFlight:
        is_outside = record.trace_id == f"{self._outside.trace_id:032x}"
        after_s = OUTSIDE_S if is_outside else ELSEWHERE_S
        sighting = mark(error, record.trace_id, record.span_id, after_s=after_s)
        if annotations is not None:
            sighting.annotations = annotations.beside(sighting.annotations)
        known = sighting.known_locals(record.span_id, record.span_id)
        return InFlight(
            take(error, self.includes_locals, known, self.own_modules) or (_by_class(error),),
            sighting,
            chain_marks(error),
            is_leaving=False,
            attributes=telemetry_attributes(error),
        )


def _is_suppressed(is_error: bool) -> bool:
    """Whether the caller works for telemetry.

    An application may suppress instrumentation around work of its own, to be spared spans; its
    errors are errors all the same. Those of our own threads are not its.
    """
    return bool(get_value(_SUPPRESS_INSTRUMENTATION_KEY)) and (
        not is_error or threading.current_thread().name.startswith(OWN_THREADS)
    )


def _by_class(error: BaseException) -> CapturedException:
    cls = type(error)
    return CapturedException(cls.__qualname__, module_of(cls), text_of(error), ())


def _with_exception(
    attributes: Mapping[str, Any] | None, error: BaseException | None, is_error: bool
) -> dict[str, Any]:
    """A copy of the attributes that names the exception, as a breadcrumb is to tell of it.

    Its own ``__str__`` is called only where it may become an issue.
    """
    copied = dict(attributes) if attributes else {}
    if error is not None and EXCEPTION_TYPE not in copied:
        copied[EXCEPTION_TYPE] = qualified_name(type(error))
        copied[EXCEPTION_MESSAGE] = text_of(error) if is_error else body_of(error)
    return copied


def is_ignored(logger: str) -> bool:
    """Whether a logger is of telemetry itself."""
    return logger.startswith(IGNORED_LOGGERS) and logger.partition(".")[0] in IGNORED_LOGGERS


def ignoring(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a logger is ignored, of telemetry itself or by the application's wish.

    Args:
        patterns: Names of loggers, each with all below it; ``*`` stands for any name. A logger
            without one is never meant.
    """

    @lru_cache(maxsize=1024)
    def ignores(logger: str) -> bool:
        if not logger:
            return False
        return is_ignored(logger) or any(
            logger == pattern or logger.startswith(f"{pattern}.") or fnmatchcase(logger, pattern)
            for pattern in patterns
        )

    return ignores


def _local_trace_of_process() -> LocalTrace:
    """What happens outside of all spans belongs together, under ids of its own."""
    ids = RandomIdGenerator()
    return LocalTrace(ids.generate_trace_id(), ids.generate_span_id())
