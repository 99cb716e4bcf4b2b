"""A violation that users raise, and what a span says about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from spanbridge.conventions import (
    GOVERNANCE_DECISION_ID,
    GOVERNANCE_PRINCIPLE,
    GOVERNANCE_VIOLATION_AFFECTED_SERVICES,
    GOVERNANCE_VIOLATION_SEVERITY,
    GOVERNANCE_VIOLATION_TYPE,
    GovernanceViolationSeverity,
)
from spanbridge.conventions.upstream import SESSION_ID
from spanbridge.instrument.given import members_of, named_attributes
from spanbridge.instrument.values import AttributeValue, attribute_values

_CONTEXT: Final[Mapping[str, str]] = {
    "principle": GOVERNANCE_PRINCIPLE,
    "decision_id": GOVERNANCE_DECISION_ID,
    "session_id": SESSION_ID,
}
"""Attribute by the keyword under which it is given."""


class ConstitutionalViolation(Exception):
    """A constitutional rule was broken and the work cannot go on.

    Raised through any helper of this package it leaves its attributes on the exception event and
    on the span: ``governance.violation.type``, ``.severity`` and ``.affected_services``,
    ``governance.principle``, ``governance.decision.id``, ``session.id``. The values are readable
    under the names of the arguments. It can be pickled, so it may come from another process.

    Args:
        message: What happened, for people.
        violation_type: What kind of rule was broken; few values.
        severity: How bad it is.
        affected_services: Names of the services it touches.
        principle: The principle that was broken.
        decision_id: The decision it arose in.
        session_id: The session it arose in.
    """

    def __init__(
        self,
        message: str,
        *,
        violation_type: str,
        severity: GovernanceViolationSeverity,
        affected_services: Iterable[str] = (),
        principle: str | None = None,
        decision_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violation_type = violation_type
        self.severity = severity
        self.affected_services = members_of(affected_services)
        self.principle = principle
        self.decision_id = decision_id
        self.session_id = session_id

    @property
    def telemetry_attributes(self) -> dict[str, AttributeValue]:
        """What stands for it on spans, events and issues, also where no helper saw it."""
        return violation_attributes(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[ConstitutionalViolation], args: tuple[object, ...], state: dict[str, object]
) -> ConstitutionalViolation:
    # Not through __init__: a subclass may have other parameters.
    violation = kind.__new__(kind, *args)
    violation.args = args
    violation.__dict__.update(state)
    return violation


def violation_attributes(error: BaseException) -> dict[str, AttributeValue]:
    """What a span says about a violation, or about the first one in a group; else nothing."""
    violation = _first_violation(error)
    if violation is None:
        return {}
    # A subclass need not have called ours: then its name is the type, and the rest is left out.
    return describe_violation(
        violation_type=getattr(violation, "violation_type", type(violation).__name__),
        severity=getattr(violation, "severity", None),
        affected_services=getattr(violation, "affected_services", ()),
        **{keyword: getattr(violation, keyword, None) for keyword in _CONTEXT},
    )


def _first_violation(error: BaseException) -> ConstitutionalViolation | None:
    if isinstance(error, ConstitutionalViolation):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = map(_first_violation, error.exceptions)
        return next((violation for violation in found if violation is not None), None)
    return None


def describe_violation(
    *,
    violation_type: str,
    severity: GovernanceViolationSeverity | None,
    affected_services: Iterable[str] = (),
    **context: object,
) -> dict[str, AttributeValue]:
    """The attributes that stand for a violation on spans, events and exception events."""
    return attribute_values(
        {
            GOVERNANCE_VIOLATION_TYPE: violation_type,
            GOVERNANCE_VIOLATION_SEVERITY: severity,
            GOVERNANCE_VIOLATION_AFFECTED_SERVICES: members_of(affected_services) or None,
            **named_attributes(_CONTEXT, context, "a violation"),
        }
    )
