"""How users call spanbridge. Type-checked with the project, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import spanbridge
from spanbridge.instrument import (
    ConstitutionalViolation,
    agent_task,
    bind,
    bound,
    consensus,
    continued_from,
    continued_from_environment,
    environment_for_child,
    record_validation,
    stream,
    validation,
    violation,
)


def start() -> None:
    telemetry = spanbridge.configure(
        dsn="https://key@host/1",
        environment="staging",
        destinations={"sentry": {"sample_rate": 0.5}, "otlp": {}},
        sample_rate=0.3,
    )
    assert_type(telemetry, spanbridge.Telemetry)
    assert_type(spanbridge.flush(timeout_s=2), bool)
    assert_type(spanbridge.status().destinations["sentry"].ledger.is_closed, bool)


async def stop() -> None:
    assert_type(await spanbridge.aflush(), bool)
    assert_type(await spanbridge.ashutdown(3.0), bool)


@agent_task("ethics", task_type="assess", timeout_s=5)
def assess(proposal: str) -> float:
    return float(len(proposal))


@agent_task("legal")
async def assess_later(proposal: str) -> float:
    return float(len(proposal))


@agent_task("stream")
def tokens(count: int) -> Iterator[str]:
    yield from map(str, range(count))


@agent_task("stream")
async def tokens_later(count: int) -> AsyncIterator[str]:
    for number in range(count):
        yield str(number)


@bound(tenant_id="acme", user_id=7)
def work(count: int) -> float:
    with bound({"region": "eu", "plan": None}, session_id="s", override=True):
        bind(conversation_id="c")
    return float(count)


@continued_from_environment()
def main() -> int:
    assert_type(environment_for_child(), dict[str, str])
    with continued_from({"traceparent": ""}):
        return 0


async def request() -> None:
    async with bound({"region": "eu"}, in_baggage=True):
        assert_type(work(3), float)


@stream("llm.stream")
def answer(question: str) -> Iterator[str]:
    yield question


async def iterators_keep_their_items(later: AsyncIterator[bytes]) -> None:
    assert_type(answer("x"), Iterator[str])
    assert_type(stream("rows").over([1, 2]), Iterator[int])
    assert_type(stream("rows").over(later), AsyncIterator[bytes])


def decorated_functions_keep_their_types() -> None:
    assert_type(assess("x"), float)
    assert_type(tokens(3), Iterator[str])


def vote() -> None:
    with consensus("weighted_vote", participants=["a", "b"], quorum=0.7) as session:
        with session.round() as ballot:
            ballot.vote("a", "approve", weight=0.6)
        session.decide(True, agreement=0.8, iterations=1)


def validate() -> None:
    with validation("principle", principle="privacy") as run:
        run.decide("compliant", 1.0)
    record_validation("principle", duration_s=0.0025, compliance_score=0.9)
    with violation("privacy", severity="high"):
        raise ConstitutionalViolation("no", violation_type="privacy", severity="critical")
