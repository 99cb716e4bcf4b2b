"""Names of spanbridge's own conventions. Generated from ``registry/``; do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

__all__ = [
    "EVENT_GOVERNANCE_DECISION",
    "EVENT_GOVERNANCE_SECURITY_EVENT",
    "EVENT_GOVERNANCE_TARGET_MISSED",
    "EVENT_GOVERNANCE_VIOLATION",
    "EVENT_MULTI_AGENT_CONSENSUS_VOTE",
    "GOVERNANCE_COMPLIANCE_SCORE",
    "GOVERNANCE_CONSTITUTION_HASH",
    "GOVERNANCE_DECISION_ID",
    "GOVERNANCE_DECISION_OUTCOME",
    "GOVERNANCE_DECISION_REF",
    "GOVERNANCE_DECISION_RULE",
    "GOVERNANCE_OPERATION_NAME",
    "GOVERNANCE_PRINCIPLE",
    "GOVERNANCE_SECURITY_EVENT_KIND",
    "GOVERNANCE_SECURITY_EVENT_OUTCOME",
    "GOVERNANCE_SECURITY_EVENT_SEVERITY",
    "GOVERNANCE_TARGET_ACTUAL",
    "GOVERNANCE_TARGET_DIRECTION",
    "GOVERNANCE_TARGET_NAME",
    "GOVERNANCE_TARGET_UNIT",
    "GOVERNANCE_TARGET_VALUE",
    "GOVERNANCE_VALIDATION_TYPE",
    "GOVERNANCE_VERDICT",
    "GOVERNANCE_VIOLATION_AFFECTED_SERVICES",
    "GOVERNANCE_VIOLATION_MESSAGE",
    "GOVERNANCE_VIOLATION_SEVERITY",
    "GOVERNANCE_VIOLATION_TYPE",
    "MEASUREMENTS",
    "MONITOR_COMPANY",
    "MONITOR_ID",
    "MONITOR_INDUSTRY",
    "MONITOR_SLUG",
    "MULTI_AGENT_AGENT_DATA_SOURCES",
    "MULTI_AGENT_AGENT_TYPE",
    "MULTI_AGENT_CONFLICT_AGENTS",
    "MULTI_AGENT_CONFLICT_ESCALATED_TO_HUMAN",
    "MULTI_AGENT_CONFLICT_RESOLUTION_METHOD",
    "MULTI_AGENT_CONFLICT_RESOLVED",
    "MULTI_AGENT_CONFLICT_SESSION_ID",
    "MULTI_AGENT_CONFLICT_TYPE",
    "MULTI_AGENT_CONSENSUS_ACHIEVED",
    "MULTI_AGENT_CONSENSUS_AGREEMENT",
    "MULTI_AGENT_CONSENSUS_ALGORITHM",
    "MULTI_AGENT_CONSENSUS_CONFIDENCE",
    "MULTI_AGENT_CONSENSUS_DISSENTERS",
    "MULTI_AGENT_CONSENSUS_ITERATIONS",
    "MULTI_AGENT_CONSENSUS_PARTICIPANTS",
    "MULTI_AGENT_CONSENSUS_PARTICIPANT_COUNT",
    "MULTI_AGENT_CONSENSUS_QUORUM",
    "MULTI_AGENT_CONSENSUS_ROUND_NUMBER",
    "MULTI_AGENT_CONSENSUS_SESSION_ID",
    "MULTI_AGENT_CONSENSUS_VOTE_CHOICE",
    "MULTI_AGENT_CONSENSUS_VOTE_CONFIDENCE",
    "MULTI_AGENT_CONSENSUS_VOTE_VOTER",
    "MULTI_AGENT_CONSENSUS_VOTE_WEIGHT",
    "MULTI_AGENT_OPERATION_NAME",
    "MULTI_AGENT_TASK_OUTCOME",
    "MULTI_AGENT_TASK_TIMEOUT_S",
    "MULTI_AGENT_TASK_TYPE",
    "MULTI_AGENT_USAGE_INPUT",
    "MULTI_AGENT_USAGE_INPUT_CACHE_CREATION",
    "MULTI_AGENT_USAGE_INPUT_CACHE_READ",
    "MULTI_AGENT_USAGE_OUTPUT",
    "MULTI_AGENT_USAGE_OUTPUT_REASONING",
    "MULTI_AGENT_USAGE_TOTAL",
    "SCHEMA_URL",
    "SPANBRIDGE_OUTCOME",
    "SPANBRIDGE_STREAM_CHUNK_COUNT",
    "SPANBRIDGE_STREAM_TIME_TO_FIRST_CHUNK",
    "SPANBRIDGE_STREAM_TIME_TO_LAST_CHUNK",
    "SPANBRIDGE_WEBSOCKET_CLOSE_CODE",
    "SPANBRIDGE_WEBSOCKET_MESSAGES_RECEIVED",
    "SPANBRIDGE_WEBSOCKET_MESSAGES_SENT",
    "SPAN_OPS",
    "TAG_ATTRIBUTES",
    "GovernanceDecisionOutcome",
    "GovernanceOperationName",
    "GovernanceSecurityEventSeverity",
    "GovernanceTargetDirection",
    "GovernanceVerdict",
    "GovernanceViolationSeverity",
    "MultiAgentOperationName",
    "MultiAgentTaskOutcome",
    "SpanbridgeOutcome",
]

SCHEMA_URL: Final = "https://spanbridge.example/schemas/spanbridge-dev/0.1.0-dev"
"""Schema URL of the instrumentation scopes that use these names."""

GOVERNANCE_COMPLIANCE_SCORE: Final = "governance.compliance.score"
"""How well the subject complies, from 0 to 1."""

GOVERNANCE_CONSTITUTION_HASH: Final = "governance.constitution.hash"
"""Identifies the version of the constitution that applied."""

GOVERNANCE_DECISION_ID: Final = "governance.decision.id"
"""Identifies the decision."""

GOVERNANCE_DECISION_OUTCOME: Final = "governance.decision.outcome"
"""What was done, apart from what the check found."""

GOVERNANCE_DECISION_REF: Final = "governance.decision.ref"
"""Where the full record of the decision is kept."""

GOVERNANCE_DECISION_RULE: Final = "governance.decision.rule"
"""The rule that led to the decision."""

GOVERNANCE_OPERATION_NAME: Final = "governance.operation.name"
"""The governance operation a span stands for."""

GOVERNANCE_PRINCIPLE: Final = "governance.principle"
"""The principle that was applied."""

GOVERNANCE_SECURITY_EVENT_KIND: Final = "governance.security_event.kind"
"""What kind of security event it is."""

GOVERNANCE_SECURITY_EVENT_OUTCOME: Final = "governance.security_event.outcome"
"""How it ended."""

GOVERNANCE_SECURITY_EVENT_SEVERITY: Final = "governance.security_event.severity"
"""How bad the security event is."""

GOVERNANCE_TARGET_ACTUAL: Final = "governance.target.actual"
"""The value that was reached, in governance.target.unit."""

GOVERNANCE_TARGET_DIRECTION: Final = "governance.target.direction"
"""On which side of the target the value should lie."""

GOVERNANCE_TARGET_NAME: Final = "governance.target.name"
"""The name of a target for performance or quality."""

GOVERNANCE_TARGET_UNIT: Final = "governance.target.unit"
"""The unit of both values, as UCUM text."""

GOVERNANCE_TARGET_VALUE: Final = "governance.target.value"
"""The value that should be reached, in governance.target.unit."""

GOVERNANCE_VALIDATION_TYPE: Final = "governance.validation.type"
"""What kind of check was made."""

GOVERNANCE_VERDICT: Final = "governance.verdict"
"""What the check found, apart from what was done about it."""

GOVERNANCE_VIOLATION_AFFECTED_SERVICES: Final = "governance.violation.affected_services"
"""Names of the services the violation touches."""

GOVERNANCE_VIOLATION_MESSAGE: Final = "governance.violation.message"
"""What happened, for people."""

GOVERNANCE_VIOLATION_SEVERITY: Final = "governance.violation.severity"
"""How bad the violation is."""

GOVERNANCE_VIOLATION_TYPE: Final = "governance.violation.type"
"""What kind of rule was broken."""

MONITOR_COMPANY: Final = "monitor.company"
"""The company it watches."""

MONITOR_ID: Final = "monitor.id"
"""Identifies the monitor where it is kept."""

MONITOR_INDUSTRY: Final = "monitor.industry"
"""The industry it watches."""

MONITOR_SLUG: Final = "monitor.slug"
"""The name of a monitor, the same for each of its checks."""

MULTI_AGENT_AGENT_DATA_SOURCES: Final = "multi_agent.agent.data_sources"
"""Names of the sources the agent draws on."""

MULTI_AGENT_AGENT_TYPE: Final = "multi_agent.agent.type"
"""The role of the agent among its peers."""

MULTI_AGENT_CONFLICT_AGENTS: Final = "multi_agent.conflict.agents"
"""Names of the agents in conflict."""

MULTI_AGENT_CONFLICT_ESCALATED_TO_HUMAN: Final = "multi_agent.conflict.escalated_to_human"
"""Whether a person was asked to decide."""

MULTI_AGENT_CONFLICT_RESOLUTION_METHOD: Final = "multi_agent.conflict.resolution.method"
"""How it was settled."""

MULTI_AGENT_CONFLICT_RESOLVED: Final = "multi_agent.conflict.resolved"
"""Whether it was settled."""

MULTI_AGENT_CONFLICT_SESSION_ID: Final = "multi_agent.conflict.session.id"
"""Identifies the conflict across services and traces."""

MULTI_AGENT_CONFLICT_TYPE: Final = "multi_agent.conflict.type"
"""What the agents disagree about."""

MULTI_AGENT_CONSENSUS_ACHIEVED: Final = "multi_agent.consensus.achieved"
"""Whether the agents agreed."""

MULTI_AGENT_CONSENSUS_AGREEMENT: Final = "multi_agent.consensus.agreement"
"""The share of agreement that was reached, from 0 to 1."""

MULTI_AGENT_CONSENSUS_ALGORITHM: Final = "multi_agent.consensus.algorithm"
"""The rule by which agreement is reached."""

MULTI_AGENT_CONSENSUS_CONFIDENCE: Final = "multi_agent.consensus.confidence"
"""How sure the result is, from 0 to 1."""

MULTI_AGENT_CONSENSUS_DISSENTERS: Final = "multi_agent.consensus.dissenters"
"""Names of the agents that did not agree."""

MULTI_AGENT_CONSENSUS_ITERATIONS: Final = "multi_agent.consensus.iterations"
"""The number of rounds it took."""

MULTI_AGENT_CONSENSUS_PARTICIPANT_COUNT: Final = "multi_agent.consensus.participant.count"
"""The number of agents that take part."""

MULTI_AGENT_CONSENSUS_PARTICIPANTS: Final = "multi_agent.consensus.participants"
"""Names of the agents that take part."""

MULTI_AGENT_CONSENSUS_QUORUM: Final = "multi_agent.consensus.quorum"
"""The share of agreement that is needed, from 0 to 1."""

MULTI_AGENT_CONSENSUS_ROUND_NUMBER: Final = "multi_agent.consensus.round.number"
"""The position of the round, starting at 1."""

MULTI_AGENT_CONSENSUS_SESSION_ID: Final = "multi_agent.consensus.session.id"
"""Identifies the attempt across services and traces."""

MULTI_AGENT_CONSENSUS_VOTE_CHOICE: Final = "multi_agent.consensus.vote.choice"
"""What it votes for."""

MULTI_AGENT_CONSENSUS_VOTE_CONFIDENCE: Final = "multi_agent.consensus.vote.confidence"
"""How sure the voter is, from 0 to 1."""

MULTI_AGENT_CONSENSUS_VOTE_VOTER: Final = "multi_agent.consensus.vote.voter"
"""The agent that votes."""

MULTI_AGENT_CONSENSUS_VOTE_WEIGHT: Final = "multi_agent.consensus.vote.weight"
"""How much the vote counts."""

MULTI_AGENT_OPERATION_NAME: Final = "multi_agent.operation.name"
"""The coordination operation a span stands for."""

MULTI_AGENT_TASK_OUTCOME: Final = "multi_agent.task.outcome"
"""How the work of a span ended."""

MULTI_AGENT_TASK_TIMEOUT_S: Final = "multi_agent.task.timeout_s"
"""The time the work may take, in seconds."""

MULTI_AGENT_TASK_TYPE: Final = "multi_agent.task.type"
"""What kind of work the agent was given."""

MULTI_AGENT_USAGE_INPUT: Final = "multi_agent.usage.input"
"""Reported by other spans as well: tokens that went into models, cached ones included."""

MULTI_AGENT_USAGE_INPUT_CACHE_CREATION: Final = "multi_agent.usage.input.cache_creation"
"""Reported by other spans as well: the part of the input that was written to a cache."""

MULTI_AGENT_USAGE_INPUT_CACHE_READ: Final = "multi_agent.usage.input.cache_read"
"""Reported by other spans as well: the part of the input that was read from a cache."""

MULTI_AGENT_USAGE_OUTPUT: Final = "multi_agent.usage.output"
"""Reported by other spans as well: tokens that models produced, reasoning included."""

MULTI_AGENT_USAGE_OUTPUT_REASONING: Final = "multi_agent.usage.output.reasoning"
"""Reported by other spans as well: the part of the output that was reasoning."""

MULTI_AGENT_USAGE_TOTAL: Final = "multi_agent.usage.total"
"""Reported by other spans as well: tokens in both directions."""

SPANBRIDGE_OUTCOME: Final = "spanbridge.outcome"
"""How a span ended that was left by an exception that is not an error of the code."""

SPANBRIDGE_STREAM_CHUNK_COUNT: Final = "spanbridge.stream.chunk.count"
"""How many chunks were handed over; empty ones do not count."""

SPANBRIDGE_STREAM_TIME_TO_FIRST_CHUNK: Final = "spanbridge.stream.time_to_first_chunk"
"""From the begin of the span to its first chunk, in seconds."""

SPANBRIDGE_STREAM_TIME_TO_LAST_CHUNK: Final = "spanbridge.stream.time_to_last_chunk"
"""From the begin of the span to its last chunk, in seconds."""

SPANBRIDGE_WEBSOCKET_CLOSE_CODE: Final = "spanbridge.websocket.close.code"
"""The code a websocket was closed with, by whichever side came first."""

SPANBRIDGE_WEBSOCKET_MESSAGES_RECEIVED: Final = "spanbridge.websocket.messages.received"
"""How many messages came from the client of a websocket."""

SPANBRIDGE_WEBSOCKET_MESSAGES_SENT: Final = "spanbridge.websocket.messages.sent"
"""How many messages went to the client of a websocket."""

EVENT_GOVERNANCE_DECISION: Final = "governance.decision"
"""Something was decided about a proposal or an action."""

EVENT_GOVERNANCE_SECURITY_EVENT: Final = "governance.security_event"
"""Something happened that matters for security."""

EVENT_GOVERNANCE_TARGET_MISSED: Final = "governance.target.missed"
"""A target for performance or quality was missed."""

EVENT_GOVERNANCE_VIOLATION: Final = "governance.violation"
"""A violation was noticed but not raised as an exception."""

EVENT_MULTI_AGENT_CONSENSUS_VOTE: Final = "multi_agent.consensus.vote"
"""One agent cast its vote."""

GovernanceDecisionOutcome: TypeAlias = Literal["allow", "block", "review", "escalate", "defer"]

GovernanceOperationName: TypeAlias = Literal["validate"]

GovernanceSecurityEventSeverity: TypeAlias = Literal["low", "medium", "high", "critical"]

GovernanceTargetDirection: TypeAlias = Literal["at_most", "at_least"]

GovernanceVerdict: TypeAlias = Literal["compliant", "non_compliant", "inconclusive"]

GovernanceViolationSeverity: TypeAlias = Literal["low", "medium", "high", "critical"]

MultiAgentOperationName: TypeAlias = Literal["consensus", "consensus_round", "resolve_conflict"]

MultiAgentTaskOutcome: TypeAlias = Literal["ok", "error", "timeout", "cancelled"]

SpanbridgeOutcome: TypeAlias = Literal["cancelled", "disconnected", "timeout", "interrupted"]

TAG_ATTRIBUTES: Final = frozenset(
    {
        GOVERNANCE_CONSTITUTION_HASH,
        GOVERNANCE_DECISION_OUTCOME,
        GOVERNANCE_DECISION_RULE,
        GOVERNANCE_PRINCIPLE,
        GOVERNANCE_SECURITY_EVENT_KIND,
        GOVERNANCE_SECURITY_EVENT_OUTCOME,
        GOVERNANCE_SECURITY_EVENT_SEVERITY,
        GOVERNANCE_TARGET_NAME,
        GOVERNANCE_VALIDATION_TYPE,
        GOVERNANCE_VERDICT,
        GOVERNANCE_VIOLATION_SEVERITY,
        GOVERNANCE_VIOLATION_TYPE,
        MONITOR_INDUSTRY,
        MONITOR_SLUG,
        MULTI_AGENT_AGENT_TYPE,
        MULTI_AGENT_CONFLICT_ESCALATED_TO_HUMAN,
        MULTI_AGENT_CONFLICT_RESOLUTION_METHOD,
        MULTI_AGENT_CONFLICT_RESOLVED,
        MULTI_AGENT_CONFLICT_TYPE,
        MULTI_AGENT_CONSENSUS_ACHIEVED,
        MULTI_AGENT_CONSENSUS_ALGORITHM,
        MULTI_AGENT_TASK_OUTCOME,
        MULTI_AGENT_TASK_TYPE,
        SPANBRIDGE_OUTCOME,
        SPANBRIDGE_WEBSOCKET_CLOSE_CODE,
    }
)
"""Attributes with few values; they become searchable tags in Sentry."""

MEASUREMENTS: Final[Mapping[str, str]] = {
    GOVERNANCE_COMPLIANCE_SCORE: "ratio",
    MULTI_AGENT_CONSENSUS_AGREEMENT: "ratio",
    MULTI_AGENT_CONSENSUS_CONFIDENCE: "ratio",
    MULTI_AGENT_CONSENSUS_ITERATIONS: "none",
    MULTI_AGENT_CONSENSUS_PARTICIPANT_COUNT: "none",
    MULTI_AGENT_CONSENSUS_QUORUM: "ratio",
    MULTI_AGENT_TASK_TIMEOUT_S: "second",
    SPANBRIDGE_STREAM_CHUNK_COUNT: "none",
    SPANBRIDGE_STREAM_TIME_TO_FIRST_CHUNK: "second",
    SPANBRIDGE_STREAM_TIME_TO_LAST_CHUNK: "second",
    SPANBRIDGE_WEBSOCKET_MESSAGES_RECEIVED: "none",
    SPANBRIDGE_WEBSOCKET_MESSAGES_SENT: "none",
}
"""Numeric attributes and their unit as Sentry names it; they become measurements."""

SPAN_OPS: Final[Mapping[str, Mapping[str, str]]] = {
    GOVERNANCE_OPERATION_NAME: {
        "validate": "governance.validate",
    },
    MULTI_AGENT_OPERATION_NAME: {
        "consensus": "consensus",
        "consensus_round": "consensus.round",
        "resolve_conflict": "conflict.resolve",
    },
}
"""Which Sentry span op a span has: by operation attribute, then by its value."""
