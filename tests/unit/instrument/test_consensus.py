from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from spanbridge.instrument import consensus, current_consensus, record_consensus
from tests.unit.instrument.conftest import Recorder


def test_an_attempt_has_rounds_below_it_and_votes_on_them(recorder: Recorder) -> None:
    with consensus(
        "weighted_vote",
        session_id="p-42",
        participants=["ethics", "legal"],
        quorum=0.6,
        tracer_provider=recorder.provider,
    ) as attempt:
        for choice in ("reject", "approve"):
            with attempt.round() as voting:
                voting.vote("ethics", "approve", weight=2.0, confidence=0.9)
                voting.vote("legal", choice)
                voting.set(agreement=0.5)
        attempt.decide(True, agreement=1.0, confidence=0.8, dissenters=[])

    first, second, whole = recorder.spans
    assert whole.name == "consensus weighted_vote"
    assert dict(whole.attributes or {}) == {
        "multi_agent.operation.name": "consensus",
        "multi_agent.consensus.algorithm": "weighted_vote",
        "multi_agent.consensus.session.id": "p-42",
        "multi_agent.consensus.participants": ("ethics", "legal"),
        "multi_agent.consensus.participant.count": 2,
        "multi_agent.consensus.quorum": 0.6,
        "multi_agent.consensus.achieved": True,
        "multi_agent.consensus.agreement": 1.0,
        "multi_agent.consensus.confidence": 0.8,
        "multi_agent.consensus.dissenters": (),
        "multi_agent.consensus.iterations": 2,
        "multi_agent.task.outcome": "ok",
    }
    for number, span in enumerate((first, second), 1):
        assert span.name == "consensus round"
        assert span.parent == whole.context
        assert dict(span.attributes or {}) == {
            "multi_agent.operation.name": "consensus_round",
            "multi_agent.consensus.round.number": number,
            "multi_agent.consensus.agreement": 0.5,
            "multi_agent.task.outcome": "ok",
        }
    assert [event.name for event in first.events] == ["multi_agent.consensus.vote"] * 2
    assert dict(first.events[0].attributes or {}) == {
        "multi_agent.consensus.vote.voter": "ethics",
        "multi_agent.consensus.vote.choice": "approve",
        "multi_agent.consensus.vote.weight": 2.0,
        "multi_agent.consensus.vote.confidence": 0.9,
        "multi_agent.consensus.round.number": 1,
    }


def test_votes_without_rounds_lie_on_the_attempt(recorder: Recorder) -> None:
    @consensus("majority", tracer_provider=recorder.provider)
    def decide() -> None:
        current_consensus().vote("ethics", "approve")
        current_consensus().decide(True, iterations=1)

    decide()

    span = recorder.only()
    [vote] = span.events
    assert "multi_agent.consensus.round.number" not in (vote.attributes or {})
    assert (span.attributes or {})["multi_agent.consensus.iterations"] == 1


def test_no_agreement_is_a_result_and_not_an_error(recorder: Recorder) -> None:
    with consensus("majority", tracer_provider=recorder.provider) as attempt:
        attempt.decide(False, agreement=0.4, dissenters={"legal", "ethics"})

    span = recorder.only()
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert span.status.status_code is StatusCode.UNSET
    assert attributes["multi_agent.consensus.achieved"] is False
    assert attributes["multi_agent.consensus.dissenters"] == ("ethics", "legal")
    assert "multi_agent.consensus.iterations" not in attributes


def test_a_round_may_be_a_decorated_function_with_a_number_for_each_call(
    recorder: Recorder,
) -> None:
    with consensus("majority", tracer_provider=recorder.provider) as attempt:

        @attempt.round()
        def vote() -> None: ...

        vote()
        vote()

    numbers = [(span.attributes or {}).get("multi_agent.consensus.round.number")
               for span in recorder.spans]  # fmt: skip
    assert numbers == [1, 2, None]


def test_a_round_in_another_thread_stays_below_its_attempt(recorder: Recorder) -> None:
    with (
        consensus("majority", tracer_provider=recorder.provider) as attempt,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):

        def vote() -> None:
            with attempt.round():
                pass

        pool.submit(vote).result(5)

    voting, whole = recorder.spans
    assert voting.parent == whole.context


def test_a_failing_round_marks_itself_and_the_attempt_it_escapes_from(recorder: Recorder) -> None:
    with (
        pytest.raises(TimeoutError),
        consensus("majority", tracer_provider=recorder.provider) as attempt,
        attempt.round(),
    ):
        raise TimeoutError

    outcomes = [(span.attributes or {})["multi_agent.task.outcome"] for span in recorder.spans]
    assert outcomes == ["timeout", "timeout"]


def test_a_finished_attempt_is_recorded_from_known_values(recorder: Recorder) -> None:
    record_consensus(
        "majority",
        duration_s=0.25,
        participants=("a", "b", "c"),
        achieved=True,
        confidence=0.9,
        iterations=3,
        tracer_provider=recorder.provider,
    )

    span = recorder.only()
    assert (span.end_time or 0) - (span.start_time or 0) == 250_000_000
    attributes = dict(span.attributes or {})
    assert attributes["multi_agent.consensus.participant.count"] == 3
    assert attributes["multi_agent.consensus.iterations"] == 3
    assert attributes["multi_agent.consensus.achieved"] is True


def test_without_a_provider_an_attempt_costs_no_span() -> None:
    with consensus("majority", participants=["a"]) as attempt, attempt.round() as voting:
        voting.vote("a", "approve")
        attempt.decide(True)

    assert not attempt.span.is_recording()
