"""The constitution: four principles, each checked on every proposal.

In Sentry: a ``governance.validate`` span per principle, with its verdict and compliance score. A
grave violation is raised: it fails the request and is an issue. A slight one is only noticed: it is
a ``governance.violation`` event on the span, and the council goes on.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from examples.governance.constitution import constitution_hash
from examples.governance.proposal import Proposal
from spanbridge.conventions import GovernanceViolationSeverity
from spanbridge.instrument import ConstitutionalViolation, record_violation, validation

COMPLIANT_FROM: Final = 0.8
_WORDS_OF_A_REASON: Final = 8
_MONTHLY_EUROS_PER_SERVICE: Final = 10_000


class Principle(NamedTuple):
    """A rule of the constitution."""

    name: str
    severity: GovernanceViolationSeverity
    is_inviolable: bool
    """Whether breaking it ends the deliberation."""
    score: Callable[[Proposal], float]
    """Compliance, from 0 (broken) to 1 (kept)."""


def _privacy(proposal: Proposal) -> float:
    words = proposal.text.lower().split()
    return 0.0 if "covert" in words else 1.0


def _safety(proposal: Proposal) -> float:
    words = proposal.text.lower().split()
    return 0.5 if "irreversible" in words and "audited" not in words else 1.0


def _transparency(proposal: Proposal) -> float:
    return min(1.0, len(proposal.text.split()) / _WORDS_OF_A_REASON)


def _proportionality(proposal: Proposal) -> float:
    fair_budget = _MONTHLY_EUROS_PER_SERVICE * len(proposal.services)
    return 1.0 if proposal.budget <= fair_budget else fair_budget / proposal.budget


CONSTITUTION: Final = (
    Principle("privacy", "critical", True, _privacy),
    Principle("safety", "high", True, _safety),
    Principle("transparency", "medium", False, _transparency),
    Principle("proportionality", "low", False, _proportionality),
)


def uphold(proposal: Proposal) -> None:
    """Check ``proposal`` against every principle.

    Raises:
        ConstitutionalViolation: An inviolable principle is broken.
    """
    for principle in CONSTITUTION:
        _check(principle, proposal)


def _check(principle: Principle, proposal: Proposal) -> None:
    with validation(
        "principle", principle=principle.name, constitution_hash=constitution_hash()
    ) as check:
        score = principle.score(proposal)
        if score >= COMPLIANT_FROM:
            check.decide("compliant", score)
            return
        check.decide("non_compliant", score)
        broken = ConstitutionalViolation(
            f"A proposal breaks the principle of {principle.name}",
            violation_type=principle.name,
            severity=principle.severity,
            affected_services=proposal.services,
            principle=principle.name,
        )
        if principle.is_inviolable:
            raise broken
        record_violation(
            broken.message,
            violation_type=broken.violation_type,
            severity=principle.severity,
            affected_services=broken.affected_services,
            principle=broken.principle,
        )
