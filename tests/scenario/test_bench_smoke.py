"""The benchmark compares what was really delivered, and says so when an arm is missing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.delivered import Body, Delivered
from bench.workload import (
    ATTRIBUTES_PER_TRACE,
    FAILURE_FRAMES,
    SPANS_PER_TRACE,
    SpanSpec,
    assess_proposal,
    never_ending_position,
)

REPOSITORY = Path(__file__).parents[2]


def _bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("bench") / "outcome.json"
    # A setting of the shell must not reach the arms: it would silence three of them.
    finished = _bench("--json", str(file), OTEL_SDK_DISABLED="true")
    assert finished.returncode == 0, finished.stderr
    outcome = json.loads(file.read_bytes())
    assert isinstance(outcome, dict)
    return outcome


def _deliveries(outcome: dict[str, Any], experiment: str) -> dict[str, dict[str, Any]]:
    return {
        entry["arm"]: entry for entry in outcome["deliveries"] if entry["experiment"] == experiment
    }


def _spans(root: SpanSpec) -> list[SpanSpec]:
    return [root, *(span for child in root.children for span in _spans(child))]


def test_the_workload_is_eight_spans_with_sixty_attributes() -> None:
    spans = _spans(assess_proposal(1))

    assert [span.position for span in spans] == list(range(SPANS_PER_TRACE))
    assert sum(len(s.attributes) + len(s.late) for s in spans) == ATTRIBUTES_PER_TRACE


def test_one_span_in_a_hundred_never_ends_at_every_position_alike() -> None:
    positions = [never_ending_position(number) for number in range(1000)]

    for position in range(SPANS_PER_TRACE):
        assert positions.count(position) * 100 * SPANS_PER_TRACE == 1000 * SPANS_PER_TRACE


def test_every_arm_could_be_started(outcome: dict[str, Any]) -> None:
    assert outcome["unavailable"] == {}


@pytest.mark.parametrize(
    "arm", ["otlp", "sentry", "spanbridge", "spanbridge_spans", "spanbridge_otlp"]
)
def test_every_span_of_the_cost_rounds_arrived_with_its_attributes(
    outcome: dict[str, Any], arm: str
) -> None:
    entry = _deliveries(outcome, "cost")[arm]

    assert entry["offered"] == 2 * 64 * SPANS_PER_TRACE
    assert entry["dropped"] == 0
    traces = entry["received"]["spans"] / SPANS_PER_TRACE
    assert entry["received"]["attributes"] >= traces * ATTRIBUTES_PER_TRACE


@pytest.mark.parametrize("arm", ["sentry", "spanbridge"])
def test_every_error_arrived_with_the_same_frames_source_and_locals(
    outcome: dict[str, Any], arm: str
) -> None:
    entry = _deliveries(outcome, "errors")[arm]
    received = entry["received"]

    assert entry["offered"] == entry["delivered"] == 2 * 64
    for count in ("frames", "frames_with_source", "frames_with_locals"):
        assert received[count] == entry["offered"] * FAILURE_FRAMES
    assert received["spans"] == 0


def test_ratios_are_taken_within_a_round_so_the_baseline_is_one(outcome: dict[str, Any]) -> None:
    for measure in outcome["measures"]:
        if measure["baseline"]:
            assert measure["arms"][measure["baseline"]]["ratio"] == 1
            assert measure["arms"]["sentry"]["ratio"] > 0


def test_a_goal_that_was_not_measured_fails_only_under_assert(
    outcome: dict[str, Any],
) -> None:
    assert outcome["measures"], "the run without it ended with 0"

    assert _bench("--arms", "bare", "--only", "cost", "--assert").returncode == 1


def test_items_are_counted_in_every_encoding_and_with_an_implicit_length() -> None:
    transaction = {"contexts": {"trace": {"data": {"a": 1}}}, "spans": [{"data": {"b": 1}}, {}]}
    report = {"discarded_events": [{"reason": "r", "category": "span", "quantity": 7}]}
    first = json.dumps(transaction).encode()
    envelope = b"\n".join(
        [
            b"{}",
            json.dumps({"type": "transaction", "length": len(first)}).encode(),
            first,
            b'{"type":"client_report"}',
            json.dumps(report).encode(),
        ]
    )

    delivered = Delivered()
    delivered.add(Body(is_otlp=False, encoding="identity", data=envelope + b"\n"))
    delivered.add(Body(is_otlp=False, encoding="gzip", data=gzip.compress(envelope)))

    assert (delivered.transactions, delivered.spans, delivered.attributes) == (2, 6, 4)
    assert delivered.discarded == {"r/span": 14}
