"""How an issue presents itself: its level and its grouping, from documented attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from spanbridge.conventions import (
    GOVERNANCE_PRINCIPLE,
    GOVERNANCE_VIOLATION_SEVERITY,
    GOVERNANCE_VIOLATION_TYPE,
)
from spanbridge.model.failure import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanbridge.decide.failure import DecidedFailure
    from spanbridge.model.span import AttributeValue

LEVELS_BY_SEVERITY: Final[dict[str, Level]] = {
    "low": "info",
    "medium": "warning",
    "high": "error",
    "critical": "fatal",
}
_LEVELS: Final[tuple[Level, ...]] = get_args(Level)


def level_of(decided: DecidedFailure) -> Level:
    """The issue's level.

    The user's ``sentry.level`` wins; a violation's severity is mapped (low is info, critical is
    fatal); anything else is an error.
    """
    attributes = _attributes_of(decided)
    named = attributes.get("sentry.level")
    for level in _LEVELS:
        if named == level:
            return level
    return LEVELS_BY_SEVERITY.get(str(attributes.get(GOVERNANCE_VIOLATION_SEVERITY)), "error")


def fingerprint_of(decided: DecidedFailure) -> tuple[str, ...]:
    """What groups the issue with others; empty for Sentry's own grouping.

    The user's ``sentry.fingerprint`` (one text or several) wins. Violations are grouped by type
    and principle, since the same principle is broken in many places of the code.
    """
    attributes = _attributes_of(decided)
    wanted = attributes.get("sentry.fingerprint")
    if isinstance(wanted, str):
        return (wanted,)
    if isinstance(wanted, tuple | list):
        return tuple(map(str, wanted))
    if GOVERNANCE_VIOLATION_TYPE in attributes:
        violation = str(attributes[GOVERNANCE_VIOLATION_TYPE])
        return ("governance.violation", violation, str(attributes.get(GOVERNANCE_PRINCIPLE, "")))
    return ()


def _attributes_of(decided: DecidedFailure) -> Mapping[str, AttributeValue]:
    """The span's attributes under those of the event that recorded the exception."""
    event = decided.event.attributes if decided.event else {}
    return {**decided.span.attributes, **event}
