"""``consensus``: several agents try to agree, in rounds of votes."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import ClassVar, TypedDict, Unpack

from opentelemetry.context import create_key
from opentelemetry.trace import INVALID_SPAN, Span, TracerProvider

from spanbridge.conventions import (
    EVENT_MULTI_AGENT_CONSENSUS_VOTE,
    MULTI_AGENT_CONSENSUS_ACHIEVED,
    MULTI_AGENT_CONSENSUS_AGREEMENT,
    MULTI_AGENT_CONSENSUS_ALGORITHM,
    MULTI_AGENT_CONSENSUS_CONFIDENCE,
    MULTI_AGENT_CONSENSUS_DISSENTERS,
    MULTI_AGENT_CONSENSUS_ITERATIONS,
    MULTI_AGENT_CONSENSUS_PARTICIPANT_COUNT,
    MULTI_AGENT_CONSENSUS_PARTICIPANTS,
    MULTI_AGENT_CONSENSUS_QUORUM,
    MULTI_AGENT_CONSENSUS_ROUND_NUMBER,
    MULTI_AGENT_CONSENSUS_SESSION_ID,
    MULTI_AGENT_CONSENSUS_VOTE_CHOICE,
    MULTI_AGENT_CONSENSUS_VOTE_CONFIDENCE,
    MULTI_AGENT_CONSENSUS_VOTE_VOTER,
    MULTI_AGENT_CONSENSUS_VOTE_WEIGHT,
    MULTI_AGENT_OPERATION_NAME,
    MultiAgentOperationName,
    MultiAgentTaskOutcome,
)
from spanbridge.instrument.given import count_of, mapping_of, named_attributes, text_of
from spanbridge.instrument.operation import Operation, record
from spanbridge.instrument.run import Run, current_run
from spanbridge.instrument.values import AttributeValue

_CONSENSUS: MultiAgentOperationName = "consensus"
_ROUND: MultiAgentOperationName = "consensus_round"


class DecisionValues(TypedDict, total=False):
    """What a round or an attempt came to. Ratios lie between 0 and 1."""

    achieved: bool
    agreement: float
    confidence: float
    dissenters: Collection[str]


class ConsensusValues(DecisionValues, total=False):
    """What can be said about an attempt, at its start, during it or afterwards."""

    session_id: str
    participants: Collection[str]
    """Names of the agents that take part; they are counted, too."""
    quorum: float
    """The share of agreement that is needed, from 0 to 1."""
    iterations: int
    """The number of rounds; counted from :meth:`ConsensusRun.round` if not given."""


_DECISION_NAMES: Mapping[str, str] = {
    "achieved": MULTI_AGENT_CONSENSUS_ACHIEVED,
    "agreement": MULTI_AGENT_CONSENSUS_AGREEMENT,
    "confidence": MULTI_AGENT_CONSENSUS_CONFIDENCE,
    "dissenters": MULTI_AGENT_CONSENSUS_DISSENTERS,
}


class _VotingRun(Run):
    """What a round and the whole attempt have in common."""

    _number: int | None = None

    def vote(
        self,
        voter: str,
        choice: object,
        *,
        weight: float | None = None,
        confidence: float | None = None,
    ) -> None:
        """Record the vote of one agent.

        Args:
            voter: The agent's name.
            choice: What it votes for; text, or anything that has one.
            weight: How much the vote counts.
            confidence: How sure the voter is, from 0 to 1.
        """
        self.add_event(
            EVENT_MULTI_AGENT_CONSENSUS_VOTE,
            {
                MULTI_AGENT_CONSENSUS_VOTE_VOTER: voter,
                MULTI_AGENT_CONSENSUS_VOTE_CHOICE: choice,
                MULTI_AGENT_CONSENSUS_VOTE_WEIGHT: weight,
                MULTI_AGENT_CONSENSUS_VOTE_CONFIDENCE: confidence,
                MULTI_AGENT_CONSENSUS_ROUND_NUMBER: self._number,
            },
        )


class RoundRun(_VotingRun):
    """A round in progress."""

    context_key: ClassVar[str] = create_key("spanbridge.instrument.consensus_round")
    names: ClassVar[Mapping[str, str]] = _DECISION_NAMES

    def __init__(self, span: Span, number: int) -> None:
        super().__init__(span)
        self._number = number
        self.set_attribute(MULTI_AGENT_CONSENSUS_ROUND_NUMBER, number)

    def set(self, **values: Unpack[DecisionValues]) -> None:
        """Say what the round came to."""
        self.set_attributes(named_attributes(RoundRun.names, values, "RoundRun"))


class ConsensusRun(_VotingRun):
    """An attempt in progress."""

    context_key: ClassVar[str] = create_key("spanbridge.instrument.consensus")
    names: ClassVar[Mapping[str, str]] = {
        **_DECISION_NAMES,
        "session_id": MULTI_AGENT_CONSENSUS_SESSION_ID,
        "participants": MULTI_AGENT_CONSENSUS_PARTICIPANTS,
        "quorum": MULTI_AGENT_CONSENSUS_QUORUM,
        "iterations": MULTI_AGENT_CONSENSUS_ITERATIONS,
    }

    def __init__(self, span: Span, tracer_provider: TracerProvider | None = None) -> None:
        super().__init__(span)
        self._tracer_provider = tracer_provider
        self._round_numbers = itertools.count(1)
        self._iterations_are_given = False

    def set(self, **values: Unpack[ConsensusValues]) -> None:
        """Say more about the attempt."""
        self._iterations_are_given |= "iterations" in values
        self.set_attributes(_consensus_attributes(values))

    def decide(
        self,
        achieved: bool,
        *,
        agreement: float | None = None,
        confidence: float | None = None,
        iterations: int | None = None,
        dissenters: Collection[str] | None = None,
    ) -> None:
        """State the result.

        Args:
            achieved: Whether the agents agreed.
            agreement: The share of agreement that was reached, from 0 to 1.
            confidence: How sure the result is, from 0 to 1.
            iterations: The number of rounds, if they were not made with :meth:`round`.
            dissenters: Names of the agents that did not agree.
        """
        self._iterations_are_given |= iterations is not None
        self.set_attributes(
            {
                MULTI_AGENT_CONSENSUS_ACHIEVED: achieved,
                MULTI_AGENT_CONSENSUS_AGREEMENT: agreement,
                MULTI_AGENT_CONSENSUS_CONFIDENCE: confidence,
                MULTI_AGENT_CONSENSUS_ITERATIONS: iterations,
                MULTI_AGENT_CONSENSUS_DISSENTERS: dissenters,
            }
        )

    def round(self, attributes: Mapping[str, object] | None = None) -> Operation[RoundRun]:
        """A span ``consensus round`` below this one; numbered from 1 at each use."""
        return Operation(
            lambda span: RoundRun(span, next(self._round_numbers)),
            "consensus round",
            {MULTI_AGENT_OPERATION_NAME: _ROUND, **mapping_of(attributes)},
            self._tracer_provider,
            parent=None if self.span is INVALID_SPAN else self.span,
        )

    def _closing_attributes(self, *, is_violation: bool) -> dict[str, AttributeValue]:
        rounds = next(self._round_numbers) - 1
        if not rounds or self._iterations_are_given:
            return {}
        return {MULTI_AGENT_CONSENSUS_ITERATIONS: rounds}


def _consensus_attributes(values: Mapping[str, object]) -> dict[str, object]:
    attributes = named_attributes(ConsensusRun.names, values, "ConsensusRun")
    attributes[MULTI_AGENT_CONSENSUS_PARTICIPANT_COUNT] = count_of(values.get("participants"))
    return attributes


def consensus(
    algorithm: str,
    *,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **values: Unpack[ConsensusValues],
) -> Operation[ConsensusRun]:
    """A span ``consensus {algorithm}`` around a function or a block.

    Agents that do not agree are no failure: the span ends well with ``achieved`` false.

    Args:
        algorithm: The rule by which agreement is reached; few values.
        attributes: Further attributes, of any type.
        tracer_provider: Instead of the global one; costs a look-up.
        **values: See :class:`ConsensusValues`.

    Example:
        >>> with consensus("weighted_vote", participants=["ethics", "legal"]) as attempt:
        ...     with attempt.round() as voting:
        ...         voting.vote("ethics", "approve", weight=2.0)
        ...         voting.vote("legal", "reject")
        ...     attempt.decide(True, agreement=0.67, dissenters=["legal"])
    """
    return Operation(
        lambda span: ConsensusRun(span, tracer_provider),
        f"consensus {text_of(algorithm)}",
        {
            MULTI_AGENT_OPERATION_NAME: _CONSENSUS,
            MULTI_AGENT_CONSENSUS_ALGORITHM: algorithm,
            **_consensus_attributes(values),
            **mapping_of(attributes),
        },
        tracer_provider,
    )


def record_consensus(
    algorithm: str,
    *,
    duration_s: float,
    end_time_ns: int | None = None,
    outcome: MultiAgentTaskOutcome | None = None,
    error: BaseException | None = None,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **values: Unpack[ConsensusValues],
) -> None:
    """Record an attempt that is finished.

    Args:
        algorithm: The rule by which agreement is reached; few values.
        duration_s: How long it took, in seconds.
        end_time_ns: When it ended, as Unix time in nanoseconds; now by default.
        outcome: How it ended; ``ok`` by default, also if no agreement was reached.
        error: What it failed with; decides the outcome.
        attributes: Further attributes, of any type.
        tracer_provider: Instead of the global one.
        **values: See :class:`ConsensusValues`.
    """
    operation = consensus(
        algorithm, attributes=attributes, tracer_provider=tracer_provider, **values
    )
    record(operation, duration_s, end_time_ns, outcome, error)


def current_consensus() -> ConsensusRun:
    """The attempt around the caller, for code inside a decorated function.

    Returns:
        A run that records nothing if there is none.
    """
    return current_run(ConsensusRun)
