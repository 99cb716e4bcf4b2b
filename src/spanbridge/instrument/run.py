"""One use of a helper: its span, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

from opentelemetry.context import create_key, get_value
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode

from spanbridge.conventions import (
    MULTI_AGENT_TASK_OUTCOME,
    SPANBRIDGE_OUTCOME,
    MultiAgentTaskOutcome,
)
from spanbridge.conventions.upstream import ERROR_TYPE, EXCEPTION_TYPE
from spanbridge.instrument.given import exception_of, mapping_of, moment_of, text_of
from spanbridge.instrument.outcome import description_of, ending_of, error_type_of, outcome_of
from spanbridge.instrument.stream_times import StreamTimes
from spanbridge.instrument.values import AttributeValue, attribute_values
from spanbridge.instrument.violations import violation_attributes
from spanbridge.runtime.guard import GUARD

RunT = TypeVar("RunT", bound="Run")

_FAILURES = frozenset({"error", "timeout"})


def _guarded(action: Callable[[], object]) -> None:
    """Do something to a span; a failure of somebody's span processor must not reach the caller."""
    try:
        action()
    except Exception as failure:
        GUARD.caught("instrument.span", failure)


class Run:
    """A span in progress, with setters that take any value and never raise.

    Attributes:
        span: The OpenTelemetry span, for everything that has no setter here.
    """

    context_key: ClassVar[str] = create_key("spanbridge.instrument.run")
    names: ClassVar[Mapping[str, str]] = {}
    """Attribute by the keyword under which it is given."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.has_ended = False
        self.stream: StreamTimes | None = None
        """When its items came, if it is the run of a generator."""
        self._outcome: str | None = None
        self._error_type: str | None = None

    def set_attribute(self, name: str, value: object) -> None:
        """Set one attribute; see :func:`attribute_value` for what becomes of ``value``."""
        self.set_attributes({text_of(name): value})

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        """Set several attributes; ``None`` leaves one as it is."""
        if self.span.is_recording():
            given = attribute_values(mapping_of(attributes))
            _guarded(lambda: self.span.set_attributes(given))

    def add_event(self, name: str, attributes: Mapping[str, object] | None = None) -> None:
        """Add an event that happens now."""
        if self.span.is_recording():
            given = attribute_values(mapping_of(attributes))
            _guarded(lambda: self.span.add_event(text_of(name), given))

    def set_outcome(
        self, outcome: MultiAgentTaskOutcome | None, error_type: str | None = None
    ) -> None:
        """State how the work ended where no exception tells it.

        An exception that escapes afterwards overrules this.

        Args:
            outcome: ``error`` and ``timeout`` also give the span the status ERROR.
            error_type: A class of failures with few values.
        """
        self._outcome = None if outcome is None else text_of(outcome)
        self._error_type = None if error_type is None else text_of(error_type)

    def finish(self, error: BaseException | None = None, end_time_ns: int | None = None) -> None:
        """End the span, once. The helpers call this; call it while ``error`` is being handled."""
        if self.has_ended:
            return
        self.has_ended = True
        end_ns = moment_of(end_time_ns)
        failure = exception_of(error)
        if failure is not error and self._outcome not in _FAILURES:
            self._outcome = "error"  # that much was meant
        if self.span.is_recording():
            _guarded(lambda: self._conclude(failure, end_ns))
        _guarded(lambda: self.span.end(end_ns))

    def _conclude(self, error: BaseException | None, end_time_ns: int | None) -> None:
        # Never the truth of an exception: one with a ``__len__`` of 0 is a failure all the same.
        outcome = (self._outcome or "ok") if error is None else outcome_of(error)
        violation = {} if error is None else self._read_violation(error)
        attributes: dict[str, AttributeValue] = {
            **self._stream_attributes(),
            **self._outcome_attributes(outcome),
            **violation,
            **self._closing_attributes(is_violation=bool(violation)),
        }
        if error is not None and (word := ending_of(error)) is not None:
            # Not always in flight: a generator may be left to the garbage collector.
            attributes[SPANBRIDGE_OUTCOME] = word
        if outcome not in _FAILURES:
            self.span.set_attributes(attributes)
            return
        attributes[ERROR_TYPE] = (
            (self._error_type or "_OTHER") if error is None else error_type_of(error)
        )
        self.span.set_attributes(attributes)
        if error is not None:
            self._record(error, violation, end_time_ns)
        description = None if error is None else description_of(error)
        self.span.set_status(Status(StatusCode.ERROR, description))

    def _record(
        self, error: BaseException, violation: Mapping[str, AttributeValue], end_time_ns: int | None
    ) -> None:
        # The SDK formats the traceback and the text, and asks for the truth of what caused it: all
        # that may fail with an exception of the application's, and the failure must stay.
        try:
            self.span.record_exception(error, violation, end_time_ns)
        except Exception as failure:
            GUARD.report("instrument: an exception cannot be recorded", type(failure).__name__)
            said = {**violation, EXCEPTION_TYPE: error_type_of(error)}
            _guarded(lambda: self.span.add_event("exception", said, end_time_ns))

    def _stream_attributes(self) -> Mapping[str, AttributeValue]:
        return self.stream.attributes() if self.stream is not None else {}

    def _outcome_attributes(self, outcome: str) -> Mapping[str, AttributeValue]:
        return {MULTI_AGENT_TASK_OUTCOME: outcome}

    def _read_violation(self, error: BaseException) -> dict[str, AttributeValue]:
        try:
            return self._violation_attributes(error)
        except Exception as failure:  # the application's class may be anything; it still failed
            GUARD.report("instrument: a violation cannot be described", type(failure).__name__)
            return {}

    def _violation_attributes(self, error: BaseException) -> dict[str, AttributeValue]:
        """Attributes of the violation that ``error`` is, if it is one."""
        return violation_attributes(error)

    def _closing_attributes(self, *, is_violation: bool) -> dict[str, AttributeValue]:
        """What is only known when the work has ended."""
        return {}


def current_run(run_type: type[RunT]) -> RunT:
    """The innermost run of a type around the caller; without one, a run that records nothing."""
    run = get_value(run_type.context_key)
    return run if isinstance(run, run_type) else run_type(INVALID_SPAN)
