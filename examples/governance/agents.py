"""Three agents, each with an opinion of its own.

In Sentry: one ``invoke_agent`` span per agent, side by side because they work at the same time. The
legal agent shows a recovered failure (a failed child span, no issue), the operational agent a
timeout, the ethics agent a call of a language model.
"""

import asyncio
from typing import Final, NamedTuple, Protocol

from opentelemetry import trace

from examples.governance.llm import LanguageModel
from examples.governance.proposal import Proposal
from spanbridge.instrument import agent_task

OPERATIONAL_TIME_LIMIT_S: Final = 0.5
_LOOKUP_S: Final = 0.002
"""What one look into the service catalogue takes."""

_CURRENT_STATUTES: Final = {"data-act-7": 0.9, "work-act-2": 0.4, "trade-act-4": 0.0}
"""How strongly each law supports what rests on it."""
_ARCHIVED_STATUTES: Final = {"data-act-5": 0.8}
_FREE_CAPACITY: Final = {"billing": 0.9, "search": 0.8, "identity": 0.3, "ledger": 0.2}

_tracer = trace.get_tracer(__name__)


class Opinion(NamedTuple):
    """What an agent thinks of a proposal."""

    agent: str
    approval: float | None
    """From 0 (against) to 1 (in favour); None is an abstention."""


class StatuteNotFoundError(LookupError):
    """No index knows the law that a proposal rests on."""


class Agent(Protocol):
    """A member of the council."""

    name: str
    weight: float
    """Its share of the vote."""

    async def assess(self, proposal: Proposal) -> Opinion:
        """Form an opinion."""


class EthicsAgent:
    """Asks a language model."""

    name = "ethics"
    weight = 0.4

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @agent_task("ethics", agent_type="assessor", task_type="assess_proposal")
    async def assess(self, proposal: Proposal) -> Opinion:
        """The model's score of the text."""
        return Opinion(self.name, await self._model.score(proposal.text))


class LegalAgent:
    """Looks the statute up: in the current index, and once more in the archive."""

    name = "legal"
    weight = 0.35

    @agent_task("legal", agent_type="assessor", task_type="assess_proposal")
    async def assess(self, proposal: Proposal) -> Opinion:
        """The support the statute gives; an abstention if the proposal names none.

        Raises:
            StatuteNotFoundError: Neither index knows the statute.
        """
        if proposal.statute is None:
            return Opinion(self.name, None)
        try:
            support = _look_up(proposal.statute, "current", _CURRENT_STATUTES)
        except StatuteNotFoundError:
            support = _look_up(proposal.statute, "archive", _ARCHIVED_STATUTES)
        return Opinion(self.name, support)


class OperationalAgent:
    """Looks at every service that is touched, as long as its time lasts."""

    name = "operational"
    weight = 0.25

    @agent_task(
        "operational",
        agent_type="assessor",
        task_type="assess_proposal",
        timeout_s=OPERATIONAL_TIME_LIMIT_S,
    )
    async def assess(self, proposal: Proposal) -> Opinion:
        """The free capacity of the busiest service.

        Raises:
            TimeoutError: There were too many services to look at.
        """
        free = 1.0
        async with asyncio.timeout(OPERATIONAL_TIME_LIMIT_S):
            for service in proposal.services:
                await asyncio.sleep(_LOOKUP_S)
                free = min(free, _FREE_CAPACITY.get(service, 0.5))
        return Opinion(self.name, free)


def _look_up(statute: str, index: str, statutes: dict[str, float]) -> float:
    with _tracer.start_as_current_span(
        "execute_tool statute_index",
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "statute_index",
            "gen_ai.tool.type": "datastore",
            "statute_index.name": index,
        },
    ):
        try:
            return statutes[statute]
        except KeyError:
            raise StatuteNotFoundError(f"{statute} is not in the {index} index") from None
