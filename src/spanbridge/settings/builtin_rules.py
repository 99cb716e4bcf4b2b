"""The rules that ship with spanbridge, in the syntax of everybody's rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from spanbridge.conventions import (
    EVENT_GOVERNANCE_SECURITY_EVENT,
    EVENT_GOVERNANCE_TARGET_MISSED,
    EVENT_GOVERNANCE_VIOLATION,
    GOVERNANCE_SECURITY_EVENT_KIND,
    GOVERNANCE_SECURITY_EVENT_SEVERITY,
    GOVERNANCE_TARGET_NAME,
    GOVERNANCE_VIOLATION_MESSAGE,
    MONITOR_SLUG,
    MULTI_AGENT_CONSENSUS_ACHIEVED,
    MULTI_AGENT_CONSENSUS_ALGORITHM,
    MULTI_AGENT_OPERATION_NAME,
)
from spanbridge.model.rule import Rule
from spanbridge.settings.rules import rule_of

BuiltinRule: TypeAlias = Literal[
    "violation", "lost_quorum", "failed_monitor", "security_event", "missed_target"
]

DEFAULT_BUILTIN_RULES: Final[tuple[BuiltinRule, ...]] = (
    "violation",
    "lost_quorum",
    "failed_monitor",
    "security_event",
)

# Grouping and level of what carries a severity come from its attributes, as for exceptions.
BUILTIN_TABLES: Final[Mapping[BuiltinRule, Mapping[str, object]]] = MappingProxyType(
    {
        "violation": {
            "on": "event",
            "match": {"event": EVENT_GOVERNANCE_VIOLATION},
            "issue": True,
            "title": f"{{{GOVERNANCE_VIOLATION_MESSAGE}}}",
        },
        "lost_quorum": {
            "on": "span",
            "match": {
                "span": "consensus *",
                MULTI_AGENT_OPERATION_NAME: "consensus",
                MULTI_AGENT_CONSENSUS_ACHIEVED: False,
            },
            "issue": True,
            "title": f"No consensus: {{{MULTI_AGENT_CONSENSUS_ALGORITHM}}}",
        },
        "failed_monitor": {
            "on": "span",
            "match": {"span": "check *", "status": "error", MONITOR_SLUG: "*"},
            "issue": True,
            "title": f"Monitor failed: {{{MONITOR_SLUG}}}",
        },
        "security_event": {
            "on": "event",
            "match": {
                "event": EVENT_GOVERNANCE_SECURITY_EVENT,
                GOVERNANCE_SECURITY_EVENT_SEVERITY: ["high", "critical"],
            },
            "issue": True,
            "title": f"Security event: {{{GOVERNANCE_SECURITY_EVENT_KIND}}}",
        },
        "missed_target": {
            "on": "event",
            "match": {"event": EVENT_GOVERNANCE_TARGET_MISSED},
            "issue": True,
            "level": "warning",
            "title": f"Target missed: {{{GOVERNANCE_TARGET_NAME}}}",
        },
    }
)

BUILTIN_RULES: Final[Mapping[BuiltinRule, Rule]] = MappingProxyType(
    {name: rule_of({"name": name, **BUILTIN_TABLES[name]}) for name in get_args(BuiltinRule)}
)
