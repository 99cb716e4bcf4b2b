"""A fixed mix of real HTTP requests, and what each of them owes to every destination.

Run it by hand with ``python -m examples.governance.traffic http://127.0.0.1:8000``.
"""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import httpx

from examples.governance.constitution import HASH_HEADER
from examples.governance.proposal import Proposal

_AT_ONCE: Final = 4
"""Requests in flight, so that traces overlap as in real traffic."""

_REASON = "Shorter waits for every customer, audited and reversible at any time."


class ExpectedIssue(NamedTuple):
    """What a request shows in Sentry besides its transaction."""

    type: str
    """The exception's type, or what is noticed, as the issue's title begins."""
    is_handled: bool


@dataclass(frozen=True)
class Scenario:
    """One kind of request, sent ``times`` times."""

    kind: str
    times: int
    status: int
    """The HTTP status it must be answered with."""
    proposal: Proposal | None = None
    """Sent to ``POST /proposals``; without one, ``path`` is fetched."""
    path: str = "/proposals"
    headers: dict[str, str] = field(default_factory=dict)
    issue: ExpectedIssue | None = None
    violations_noticed: int = 0
    """``governance.violation`` events on its spans."""


class Answer(NamedTuple):
    """A request as it went."""

    scenario: Scenario
    status: int


@dataclass(frozen=True)
class TrafficReport:
    """What was sent and answered.

    Every request is one transaction at each destination that samples everything.
    """

    answers: tuple[Answer, ...]

    @property
    def sent(self) -> Counter[str]:
        """Requests by kind; their sum is the number of transactions owed."""
        return Counter(answer.scenario.kind for answer in self.answers)

    @property
    def issues(self) -> Counter[ExpectedIssue]:
        """Issue events owed."""
        return Counter(
            answer.scenario.issue for answer in self.answers if answer.scenario.issue is not None
        )

    @property
    def violations_noticed(self) -> int:
        """``governance.violation`` events owed."""
        return sum(answer.scenario.violations_noticed for answer in self.answers)

    @property
    def surprises(self) -> tuple[Answer, ...]:
        """Requests answered with another status than they should have been."""
        return tuple(answer for answer in self.answers if answer.status != answer.scenario.status)


def _proposal(
    title: str,
    text: str = _REASON,
    *,
    statute: str | None = "data-act-7",
    services: tuple[str, ...] = ("billing", "search"),
    budget: int = 4_000,
) -> Proposal:
    return Proposal(title=title, text=text, statute=statute, services=list(services), budget=budget)


_TOO_MANY_SERVICES = tuple(f"shop-{number}" for number in range(600))

SCENARIOS: Final = (
    Scenario("approved", 5, 200, _proposal("Faster checkout")),
    Scenario(
        "approved_after_rounds",
        2,
        200,
        _proposal("Night shifts by request", statute="work-act-2"),
    ),
    Scenario(
        "rejected",
        3,
        200,
        _proposal(
            "Rank the staff",
            "Automated profiling of the staff by what they write and say all day.",
            statute="trade-act-4",
            services=("identity",),
        ),
    ),
    Scenario(
        "escalated",
        2,
        200,
        _proposal("Sell spare capacity", statute="trade-act-4"),
        issue=ExpectedIssue("No consensus", is_handled=True),
    ),
    Scenario(
        "violation_raised",
        2,
        500,
        _proposal("Watch the lobby", "Collect covert recordings of all who enter the lobby."),
        issue=ExpectedIssue("ConstitutionalViolation", is_handled=False),
    ),
    Scenario(
        "violation_noticed",
        2,
        200,
        _proposal("New logo", "Audited, it looks better."),
        issue=ExpectedIssue("A proposal breaks the principle of transparency", is_handled=True),
        violations_noticed=1,
    ),
    Scenario("agent_recovered", 3, 200, _proposal("Keep backups longer", statute="data-act-5")),
    Scenario(
        "agent_escaped",
        2,
        500,
        _proposal("Trade by moonlight", statute="moon-act-1"),
        issue=ExpectedIssue("StatuteNotFoundError", is_handled=False),
    ),
    Scenario(
        "agent_timed_out",
        2,
        200,
        _proposal("One price for all shops", services=_TOO_MANY_SERVICES),
    ),
    Scenario(
        "quorum_lost",
        2,
        503,
        _proposal("A motto for all shops", statute=None),
        issue=ExpectedIssue("QuorumLostError", is_handled=True),
    ),
    Scenario("not_found", 2, 404, path="/decisions/999999"),
    Scenario("health", 2, 200, path="/health"),
    Scenario("health_other_constitution", 1, 200, path="/health", headers={HASH_HEADER: "0" * 16}),
)


async def send_traffic(base_url: str) -> TrafficReport:
    """Send every scenario to the service at ``base_url``.

    Raises:
        httpx.TransportError: The service cannot be reached.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    # uvicorn closes a connection on which the application raised; do not meet it in the pool.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=base_url, timeout=30.0, limits=limits) as http:

        async def send(scenario: Scenario) -> Answer:
            async with gate:
                return Answer(scenario, await _status_of(http, scenario))

        queue = [scenario for scenario in SCENARIOS for _ in range(scenario.times)]
        answers = await asyncio.gather(*(send(scenario) for scenario in queue))
    return TrafficReport(tuple(answers))


async def _status_of(http: httpx.AsyncClient, scenario: Scenario) -> int:
    if scenario.proposal is None:
        response = await http.get(scenario.path, headers=scenario.headers)
    else:
        response = await http.post(scenario.path, json=scenario.proposal.model_dump())
    return response.status_code


def main() -> None:
    """Send the traffic to the address on the command line and print what was sent."""
    report = asyncio.run(send_traffic(sys.argv[1]))
    json.dump(
        {
            "sent": report.sent,
            "issues": {issue.type: count for issue, count in report.issues.items()},
            "violations_noticed": report.violations_noticed,
            "surprises": [f"{a.scenario.kind}: {a.status}" for a in report.surprises],
        },
        sys.stdout,
        indent=2,
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
