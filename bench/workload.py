"""What every arm does: one trace of 8 spans and 60 attributes, and one failing call.

The strings are of the kind and length a multi-agent web service writes. No value is a prompt,
an answer or a credential, so that no privacy policy shortens one arm's payload.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

SpanKind: TypeAlias = Literal["server", "client", "internal"]

SPANS_PER_TRACE = 8
ATTRIBUTES_PER_TRACE = 60
FAILURE_FRAMES = 13
"""From the function that opened the span to the line that raises."""

_VARIANTS = 64
_NEVER_ENDING_POSITION = {0: 0, 12: 1, 25: 2, 37: 3, 50: 4, 62: 5, 75: 6, 87: 7}
"""Trace (modulo 100) to the position of its span that never ends: 1 % of all spans."""


@dataclass(frozen=True, slots=True, repr=False)
class SpanSpec:
    """One span to be made, with its children."""

    position: int
    """Number in the order of start; the root is 0."""
    name: str
    op: str
    """Sentry's operation; only the native arms set it by hand."""
    kind: SpanKind
    attributes: dict[str, Any]
    """Known when the span starts. ``Any``: each SDK has its own, invariant type for this."""
    late: tuple[tuple[str, str | int | float | bool], ...] = ()
    """Set one by one before the span ends."""
    children: tuple[SpanSpec, ...] = ()

    def __repr__(self) -> str:
        return f"<SpanSpec {self.position} {self.name!r}>"


class QuorumLost(Exception):
    """What the failing call raises."""


def traces() -> Iterator[SpanSpec]:
    """Endless traces out of a fixed pool, so that making strings costs no arm anything."""
    return itertools.cycle([assess_proposal(number) for number in range(_VARIANTS)])


def never_ending_position(trace_number: int) -> int | None:
    """The span of this trace that never ends, if one does; evenly spread over the positions."""
    return _NEVER_ENDING_POSITION.get(trace_number % 100)


def fail(proposal: SpanSpec, rounds: int = 4) -> None:
    """Raise three frames deeper for each round, each frame with locals of the usual kinds.

    Raises:
        QuorumLost: Always.
    """
    proposal_id = str(proposal.attributes["url.path"]).split("/")[2]
    weights = {"ethics": 0.4, "legal": 0.35, "operational": 0.25}
    _collect_votes(proposal, proposal_id, weights, rounds)


def _collect_votes(
    proposal: SpanSpec, proposal_id: str, weights: dict[str, float], rounds: int
) -> None:
    votes = [
        (agent, weight > 0.3, f"{agent} assessed {proposal_id}")
        for agent, weight in weights.items()
    ]
    _count_votes(proposal, votes, threshold=0.8, rounds=rounds)


def _count_votes(
    proposal: SpanSpec, votes: list[tuple[str, bool, str]], threshold: float, rounds: int
) -> None:
    agreed = [agent for agent, is_in_favour, _ in votes if is_in_favour]
    agreement = len(agreed) / len(votes)
    if rounds > 1:
        fail(proposal, rounds - 1)
    raise QuorumLost(f"{agreement:.0%} agreed, {threshold:.0%} needed: {', '.join(agreed)}")


def assess_proposal(number: int) -> SpanSpec:
    """The trace of one request: two agents, a model call, two database calls, a vote."""
    proposal_id = f"prop_{number * 2654435761 % 2**32:08x}"
    session_id = f"sess_{number * 40503 % 2**32:08x}{number:04d}"
    chat = SpanSpec(
        3,
        "chat claude-sonnet-4-5",
        "gen_ai.chat",
        "client",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.conversation.id": session_id,
            "server.address": "model-gateway.internal.example",
            "server.port": 8443,
        },
        (
            ("gen_ai.response.model", "claude-sonnet-4-5-20250929"),
            ("gen_ai.response.id", f"msg_01{number:022d}"),
            ("gen_ai.usage.input_tokens", 1800 + number),
            ("gen_ai.usage.output_tokens", 240 + number),
        ),
    )
    ethics = SpanSpec(
        2,
        "invoke_agent ethics",
        "gen_ai.invoke_agent",
        "internal",
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "ethics",
            "gen_ai.agent.id": "agent-ethics-eu-west-1",
            "multi_agent.agent.type": "reviewer",
            "multi_agent.task.type": "assess_proposal",
            "multi_agent.task.timeout_s": 30.0,
        },
        (("multi_agent.task.outcome", "ok"), ("governance.compliance.score", 0.87)),
        (chat,),
    )
    precedents = SpanSpec(
        5,
        "SELECT precedents",
        "db",
        "client",
        {
            "db.system.name": "postgresql",
            "db.namespace": "governance",
            "db.collection.name": "precedents",
            "db.operation.name": "SELECT",
            "db.query.text": (
                "SELECT id, title, ruling, decided_at FROM precedents "
                "WHERE jurisdiction = $1 AND topic = ANY($2) ORDER BY decided_at DESC LIMIT 20"
            ),
            "server.address": "db-primary.internal.example",
        },
        (("db.response.returned_rows", 20),),
    )
    legal = SpanSpec(
        4,
        "invoke_agent legal",
        "gen_ai.invoke_agent",
        "internal",
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "legal",
            "gen_ai.agent.id": "agent-legal-eu-west-1",
            "multi_agent.agent.type": "reviewer",
            "multi_agent.task.type": "assess_proposal",
        },
        (("multi_agent.task.outcome", "ok"),),
        (precedents,),
    )
    consensus = SpanSpec(
        6,
        "consensus weighted_vote",
        "consensus",
        "internal",
        {
            "multi_agent.consensus.session.id": f"vote-{proposal_id}",
            "multi_agent.consensus.algorithm": "weighted_vote",
            "multi_agent.consensus.participant.count": 3,
            "multi_agent.consensus.quorum": 0.66,
        },
        (
            ("multi_agent.consensus.achieved", True),
            ("multi_agent.consensus.agreement", 0.81),
            ("multi_agent.consensus.iterations", 2),
        ),
    )
    insert = SpanSpec(
        7,
        "INSERT assessments",
        "db",
        "client",
        {
            "db.system.name": "postgresql",
            "db.namespace": "governance",
            "db.collection.name": "assessments",
            "db.operation.name": "INSERT",
            "db.query.text": (
                "INSERT INTO assessments (proposal_id, verdict, score) VALUES ($1, $2, $3)"
            ),
        },
    )
    workflow = SpanSpec(
        1,
        "invoke_workflow assess_proposal",
        "gen_ai.invoke_workflow",
        "internal",
        {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": "assess_proposal",
            "governance.constitution.hash": "9f2c4b7d1e5a8036",
            "governance.validation.type": "full",
        },
        (("governance.verdict", "allow"),),
        (ethics, legal, consensus, insert),
    )
    return SpanSpec(
        0,
        "POST /proposals/{proposal_id}/assess",
        "http.server",
        "server",
        {
            "http.request.method": "POST",
            "http.route": "/proposals/{proposal_id}/assess",
            "url.scheme": "https",
            "url.path": f"/proposals/{proposal_id}/assess",
            "server.address": "governance.example.com",
            "server.port": 443,
            "network.protocol.version": "1.1",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
            "session.id": session_id,
        },
        (("http.response.status_code", 200),),
        (workflow,),
    )
