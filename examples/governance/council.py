"""The council: opinions in parallel, then a weighted vote over several rounds.

In Sentry: a ``consensus`` span with agreement and number of rounds; below it the agents side by
side and one ``consensus.round`` span per round, which carries the votes.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias
from uuid import uuid4

from examples.governance.agents import Agent, Opinion
from examples.governance.proposal import Proposal
from spanbridge.instrument import ConsensusRun, consensus

QUORUM: Final = 0.7
"""Share of the whole council's weight that must agree; who abstains does not agree."""
MAX_ROUNDS: Final = 3

Choice: TypeAlias = Literal["approve", "reject"]
Outcome: TypeAlias = Literal["allow", "block", "escalate"]


class QuorumLostError(Exception):
    """So many agents abstain that the others cannot reach the quorum."""


class Verdict(NamedTuple):
    """What the council came to. Without agreement it escalates to people."""

    outcome: Outcome
    agreement: float
    rounds: int


class Voter(NamedTuple):
    """An agent that has an opinion."""

    name: str
    weight: float
    approval: float

    @property
    def choice(self) -> Choice:
        """Its vote as things stand."""
        return "approve" if self.approval >= 0.5 else "reject"


class Ballot(NamedTuple):
    """The heavier side of one round."""

    choice: Choice
    agreement: float
    dissenters: list[str]


async def decide(agents: Sequence[Agent], proposal: Proposal) -> Verdict:
    """Let ``agents`` come to a verdict on ``proposal``.

    Raises:
        QuorumLostError: The agents with an opinion weigh less than the quorum.
        Exception: Whatever stopped an agent; a timeout only makes it abstain.
    """
    with consensus(
        "weighted_vote",
        session_id=uuid4().hex,
        participants=[agent.name for agent in agents],
        quorum=QUORUM,
    ) as attempt:
        voters = _voters(agents, await _ask_all(agents, proposal))
        weight = _weight(voters)
        if weight < QUORUM:
            attempt.decide(False)
            raise QuorumLostError(f"{weight:.0%} of the weight can agree, {QUORUM:.0%} must")
        return _vote(attempt, voters)


async def _ask_all(agents: Sequence[Agent], proposal: Proposal) -> list[Opinion]:
    # With return_exceptions every agent finishes its work, and its spans, before a failure goes on.
    answers = await asyncio.gather(
        *(_ask(agent, proposal) for agent in agents), return_exceptions=True
    )
    opinions = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        opinions.append(answer)
    return opinions


async def _ask(agent: Agent, proposal: Proposal) -> Opinion:
    try:
        return await agent.assess(proposal)
    except TimeoutError:
        return Opinion(agent.name, None)


def _voters(agents: Sequence[Agent], opinions: Sequence[Opinion]) -> list[Voter]:
    return [
        Voter(agent.name, agent.weight, opinion.approval)
        for agent, opinion in zip(agents, opinions, strict=True)
        if opinion.approval is not None
    ]


def _vote(attempt: ConsensusRun, voters: list[Voter]) -> Verdict:
    for number in range(1, MAX_ROUNDS + 1):
        ballot = _cast(attempt, voters)
        if ballot.agreement >= QUORUM:
            attempt.decide(True, agreement=ballot.agreement, dissenters=ballot.dissenters)
            outcome: Outcome = "allow" if ballot.choice == "approve" else "block"
            return Verdict(outcome, ballot.agreement, number)
        voters = _deliberate(voters)
    attempt.decide(False, agreement=ballot.agreement, dissenters=ballot.dissenters)
    return Verdict("escalate", ballot.agreement, MAX_ROUNDS)


def _cast(attempt: ConsensusRun, voters: Sequence[Voter]) -> Ballot:
    with attempt.round() as voting:
        for voter in voters:
            voting.vote(voter.name, voter.choice, weight=voter.weight)
        ballot = _count(voters)
        voting.set(agreement=ballot.agreement, dissenters=ballot.dissenters)
        return ballot


def _count(voters: Sequence[Voter]) -> Ballot:
    in_favour = [voter for voter in voters if voter.choice == "approve"]
    against = [voter for voter in voters if voter.choice == "reject"]
    if _weight(in_favour) > _weight(against):
        return Ballot("approve", _weight(in_favour), [voter.name for voter in against])
    return Ballot("reject", _weight(against), [voter.name for voter in in_favour])


def _weight(voters: Sequence[Voter]) -> float:
    return sum(voter.weight for voter in voters)


def _deliberate(voters: Sequence[Voter]) -> list[Voter]:
    """Everybody moves half way to the weighted mean (DeGroot's model of opinion pooling)."""
    mean = sum(voter.weight * voter.approval for voter in voters) / _weight(voters)
    return [voter._replace(approval=(voter.approval + mean) / 2) for voter in voters]
