"""``validation`` and ``violation``: checks against principles, and what they find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypedDict, Unpack

from opentelemetry.context import create_key
from opentelemetry.trace import Span, TracerProvider, get_current_span

from spanbridge.conventions import (
    EVENT_GOVERNANCE_VIOLATION,
    GOVERNANCE_COMPLIANCE_SCORE,
    GOVERNANCE_CONSTITUTION_HASH,
    GOVERNANCE_OPERATION_NAME,
    GOVERNANCE_PRINCIPLE,
    GOVERNANCE_VALIDATION_TYPE,
    GOVERNANCE_VERDICT,
    GOVERNANCE_VIOLATION_MESSAGE,
    GovernanceOperationName,
    GovernanceVerdict,
    GovernanceViolationSeverity,
    MultiAgentTaskOutcome,
)
from spanbridge.instrument.given import mapping_of, named_attributes, text_of
from spanbridge.instrument.operation import Operation, record
from spanbridge.instrument.run import Run, current_run
from spanbridge.instrument.values import AttributeValue
from spanbridge.instrument.violations import describe_violation, violation_attributes

_VALIDATE: GovernanceOperationName = "validate"
_NON_COMPLIANT: GovernanceVerdict = "non_compliant"


class ValidationValues(TypedDict, total=False):
    """What can be said about a check, at its start, during it or afterwards."""

    principle: str
    constitution_hash: str
    verdict: GovernanceVerdict
    compliance_score: float
    """From 0 to 1."""


class ViolationContext(TypedDict, total=False):
    """Where a violation arose."""

    principle: str | None
    decision_id: str | None
    session_id: str | None


class ValidationRun(Run):
    """A check in progress."""

    context_key: ClassVar[str] = create_key("spanbridge.instrument.validation")
    names: ClassVar[Mapping[str, str]] = {
        "principle": GOVERNANCE_PRINCIPLE,
        "constitution_hash": GOVERNANCE_CONSTITUTION_HASH,
        "verdict": GOVERNANCE_VERDICT,
        "compliance_score": GOVERNANCE_COMPLIANCE_SCORE,
    }

    def set(self, **values: Unpack[ValidationValues]) -> None:
        """Say more about the check."""
        self.set_attributes(named_attributes(ValidationRun.names, values, "ValidationRun"))

    def decide(self, verdict: GovernanceVerdict, compliance_score: float | None = None) -> None:
        """State the result.

        Args:
            verdict: What the check found.
            compliance_score: How well the subject complies, from 0 to 1.
        """
        self.set_attributes(
            {GOVERNANCE_VERDICT: verdict, GOVERNANCE_COMPLIANCE_SCORE: compliance_score}
        )

    def _closing_attributes(self, *, is_violation: bool) -> dict[str, AttributeValue]:
        return {GOVERNANCE_VERDICT: _NON_COMPLIANT} if is_violation else {}


class ViolationRun(ValidationRun):
    """Work that is guarded by a rule."""

    context_key: ClassVar[str] = create_key("spanbridge.instrument.violation")

    def __init__(
        self,
        span: Span,
        description: Mapping[str, AttributeValue],
        exceptions: type[Exception] | tuple[type[Exception], ...],
    ) -> None:
        super().__init__(span)
        self._description = description
        self._exceptions = exceptions

    def notice(self, message: str, attributes: Mapping[str, object] | None = None) -> None:
        """Record that the rule was broken although nothing is raised.

        Args:
            message: What happened, for people.
            attributes: More about it, of any type.
        """
        self.add_event(
            EVENT_GOVERNANCE_VIOLATION,
            {**self._description, GOVERNANCE_VIOLATION_MESSAGE: message, **mapping_of(attributes)},
        )
        self.decide(_NON_COMPLIANT)

    def _violation_attributes(self, error: BaseException) -> dict[str, AttributeValue]:
        own = violation_attributes(error)
        if own or not isinstance(error, self._exceptions):
            return own
        return dict(self._description)


def validation(
    validation_type: str,
    *,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **values: Unpack[ValidationValues],
) -> Operation[ValidationRun]:
    """A span ``validate {validation_type}`` around a function or a block.

    A :class:`ConstitutionalViolation` that escapes makes the verdict ``non_compliant``.

    Args:
        validation_type: What kind of check it is; few values.
        attributes: Further attributes, of any type.
        tracer_provider: Instead of the global one; costs a look-up.
        **values: See :class:`ValidationValues`.

    Example:
        >>> with validation("principle", principle="transparency") as check:
        ...     check.decide("compliant", compliance_score=0.98)
    """
    return Operation(
        ValidationRun,
        f"validate {text_of(validation_type)}",
        {
            GOVERNANCE_OPERATION_NAME: _VALIDATE,
            GOVERNANCE_VALIDATION_TYPE: validation_type,
            **named_attributes(ValidationRun.names, values, "ValidationRun"),
            **mapping_of(attributes),
        },
        tracer_provider,
    )


def record_validation(
    validation_type: str,
    *,
    duration_s: float,
    end_time_ns: int | None = None,
    outcome: MultiAgentTaskOutcome | None = None,
    error: BaseException | None = None,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **values: Unpack[ValidationValues],
) -> None:
    """Record a check that is finished.

    Args:
        validation_type: What kind of check it was; few values.
        duration_s: How long it took, in seconds: 0.0025 for 2.5 ms.
        end_time_ns: When it ended, as Unix time in nanoseconds; now by default.
        outcome: How it ended; ``ok`` by default, whatever the verdict.
        error: What it failed with; decides the outcome.
        attributes: Further attributes, of any type.
        tracer_provider: Instead of the global one.
        **values: See :class:`ValidationValues`.
    """
    operation = validation(
        validation_type, attributes=attributes, tracer_provider=tracer_provider, **values
    )
    record(operation, duration_s, end_time_ns, outcome, error)


def violation(
    violation_type: str,
    *,
    severity: GovernanceViolationSeverity,
    affected_services: Iterable[str] = (),
    exceptions: type[Exception] | tuple[type[Exception], ...] = Exception,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **context: Unpack[ViolationContext],
) -> Operation[ViolationRun]:
    """Guard a function or a block by a rule: if it fails, the rule was broken.

    Opens a span ``validate {violation_type}``. An exception that escapes carries the violation's
    attributes, on its event and on the span; a :class:`ConstitutionalViolation` brings its own.
    What is noticed but not raised goes to :meth:`ViolationRun.notice`, or, without a guard, to
    :func:`record_violation`.

    Args:
        violation_type: What kind of rule it is; few values.
        severity: How bad it is to break it.
        affected_services: Names of the services it touches.
        exceptions: Which exceptions mean that it was broken.
        attributes: Further attributes of the span, of any type.
        tracer_provider: Instead of the global one; costs a look-up.
        **context: See :class:`ViolationContext`.
    """
    description = describe_violation(
        violation_type=violation_type,
        severity=severity,
        affected_services=affected_services,
        **context,
    )
    return Operation(
        lambda span: ViolationRun(span, description, exceptions),
        f"validate {text_of(violation_type)}",
        {
            GOVERNANCE_OPERATION_NAME: _VALIDATE,
            GOVERNANCE_VALIDATION_TYPE: violation_type,
            GOVERNANCE_PRINCIPLE: context.get("principle"),
            **mapping_of(attributes),
        },
        tracer_provider,
    )


def record_violation(
    message: str,
    *,
    violation_type: str,
    severity: GovernanceViolationSeverity,
    affected_services: Iterable[str] = (),
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **context: Unpack[ViolationContext],
) -> None:
    """Record a violation that was noticed but is not raised.

    It becomes an event ``governance.violation`` on the current span. Where none is being
    recorded it gets a span of its own, so it is not lost.

    Args:
        message: What happened, for people.
        violation_type: What kind of rule was broken; few values.
        severity: How bad it is.
        affected_services: Names of the services it touches.
        attributes: Further attributes of the event, of any type.
        tracer_provider: Of the span of its own, instead of the global one.
        **context: See :class:`ViolationContext`.
    """
    event = {
        **describe_violation(
            violation_type=violation_type,
            severity=severity,
            affected_services=affected_services,
            **context,
        ),
        GOVERNANCE_VIOLATION_MESSAGE: message,
        **mapping_of(attributes),
    }
    current = get_current_span()
    if current.is_recording():
        Run(current).add_event(EVENT_GOVERNANCE_VIOLATION, event)
        return
    with validation(violation_type, tracer_provider=tracer_provider) as check:
        check.add_event(EVENT_GOVERNANCE_VIOLATION, event)
        check.decide(_NON_COMPLIANT)


def current_validation() -> ValidationRun:
    """The check around the caller, for code inside a decorated function.

    Returns:
        A run that records nothing if there is none.
    """
    return current_run(ValidationRun)
