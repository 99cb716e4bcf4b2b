"""What an issue has to do with, by subject: the agent, the consensus, the check, the monitor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from spanbridge.conventions import (
    GOVERNANCE_COMPLIANCE_SCORE,
    GOVERNANCE_CONSTITUTION_HASH,
    GOVERNANCE_PRINCIPLE,
    GOVERNANCE_VALIDATION_TYPE,
    GOVERNANCE_VERDICT,
    MULTI_AGENT_TASK_TIMEOUT_S,
    MULTI_AGENT_TASK_TYPE,
)
from spanbridge.conventions.upstream import GEN_AI_CONVERSATION_ID, SESSION_ID

if TYPE_CHECKING:
    from spanbridge.model.rule import Circumstances
    from spanbridge.model.span import Attributes

SUBJECT_BY_ATTRIBUTE: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        GEN_AI_CONVERSATION_ID: ("agent", "conversation_id"),
        SESSION_ID: ("session", "id"),
        MULTI_AGENT_TASK_TYPE: ("agent", "task_type"),
        MULTI_AGENT_TASK_TIMEOUT_S: ("agent", "timeout_s"),
        GOVERNANCE_PRINCIPLE: ("validation", "principle"),
        GOVERNANCE_VALIDATION_TYPE: ("validation", "type"),
        GOVERNANCE_COMPLIANCE_SCORE: ("validation", "compliance_score"),
        GOVERNANCE_VERDICT: ("validation", "verdict"),
        GOVERNANCE_CONSTITUTION_HASH: ("validation", "constitution_hash"),
    }
)
"""Context and key of single attributes."""

SUBJECT_BY_PREFIX: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gen_ai.agent.": "agent",
        "multi_agent.agent.": "agent",
        "multi_agent.consensus.": "consensus",
        "multi_agent.conflict.": "conflict",
        "governance.violation.": "violation",
        "governance.decision.": "decision",
        "governance.security_event.": "security_event",
        "governance.target.": "target",
        "monitor.": "monitor",
    }
)
"""Context of all attributes with a prefix; the rest of the name is the key."""


def subjects_of(around: Circumstances) -> dict[str, Attributes]:
    """What ``around`` tells of each subject.

    A subject is described by the nearest span that knows of it, so that two agents are never
    mixed; what the event and the log record say about it comes on top.
    """
    contexts: dict[str, Attributes] = {}
    for span in around.spans:
        for subject, description in _described_by(span.attributes).items():
            contexts.setdefault(subject, description)
    for attributes in reversed(around.told):
        for subject, description in _described_by(attributes).items():
            contexts[subject] = {**contexts.get(subject, {}), **description}
    return contexts


def _described_by(attributes: Attributes) -> dict[str, Attributes]:
    subjects: dict[str, Attributes] = {}
    for name, value in attributes.items():
        place = _place_of(name)
        if place is not None and value is not None:
            subject, key = place
            subjects.setdefault(subject, {})[key] = value
    return subjects


@lru_cache(maxsize=1024)
def _place_of(name: str) -> tuple[str, str] | None:
    """The context and the key of an attribute."""
    single = SUBJECT_BY_ATTRIBUTE.get(name)
    if single is not None:
        return single
    for prefix, subject in SUBJECT_BY_PREFIX.items():
        if name.startswith(prefix):
            return subject, name.removeprefix(prefix)
    return None
