"""What fails on the worker costs itself and nothing beside it, and is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from spanbridge.destinations.file import FileDestination
from spanbridge.issue_contents import Contents
from spanbridge.lane import Lane
from spanbridge.model.failure import Issue
from spanbridge.model.outcome import Signal
from spanbridge.process.local_trace import LocalTrace
from tests.support.files import Files, files

SCOPE = "tests"


@pytest.fixture(autouse=True)
def _as_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanbridge.runtime.guard.GUARD._reraise", False)


def failing_once(original: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    failures = [error]

    def call(*args: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop()
        return original(*args, **named)

    return call


def fail(of: Files, name: str) -> None:
    with pytest.raises(ValueError, match=name), of.span(SCOPE, name):
        raise ValueError(name)


def messages(of: Files, name: str) -> list[str]:
    return [issue["exceptions"][0]["value"] for issue in of.lines(name, "issue")]


class LeavesTheProgram(str):
    """Text of an application whose class does what it must not."""

    def __str__(self) -> str:
        raise SystemExit(3)


def test_a_span_that_ends_the_program_when_it_is_read_costs_itself(tmp_path: Path) -> None:
    with files(tmp_path, {"all": {}}, issues="none") as of:
        for number in range(3):
            with of.span(SCOPE, f"work {number}") as span:
                if number == 1:
                    said = {"exception.type": LeavesTheProgram("E"), "exception.message": "no"}
                    span.add_event("exception", said)
                    span.set_status(Status(StatusCode.ERROR))
        of.under_test.flush()

        assert [line["name"] for line in of.lines("all")] == ["work 0", "work 2"]
        assert of.outcomes("all") == {"delivered": 2, "failed": 1}


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(3)])
def test_a_destination_that_cannot_take_an_issue_costs_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    take = FileDestination.accept_issue

    def accept(of: FileDestination, issue: Issue, local: LocalTrace) -> None:
        if of.name == "one" and issue.exceptions[0].value == "first":
            of.ledger.accept(Signal.ERROR)  # as each does before all else
            raise error
        take(of, issue, local)

    monkeypatch.setattr(FileDestination, "accept_issue", accept)
    with files(tmp_path, {"one": {}, "other": {}}) as of:
        fail(of, "first")
        fail(of, "second")
        of.under_test.flush()

        assert messages(of, "other") == ["first", "second"]
        assert messages(of, "one") == ["second"]
        assert of.outcomes("one", "error") == {"delivered": 1, "failed": 1}
        assert of.outcomes("other", "error") == {"delivered": 2}


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(3)])
def test_an_issue_that_cannot_be_made_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(Contents, "issue", failing_once(Contents.issue, error))
    with files(tmp_path, {"all": {}}) as of:
        fail(of, "first")
        fail(of, "second")
        of.under_test.flush()

        assert messages(of, "all") == ["second"]
        assert of.outcomes("all", "error") == {"delivered": 1, "failed": 1}


def test_a_destination_whose_rules_fail_leaves_the_others_what_is_under_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []

    def may_hold(lane: Lane, *_: object) -> bool:
        if lane.name == "one":
            raise RuntimeError("broken")
        return True

    def hold(of: FileDestination, *_: object) -> None:
        held.append(of.name)

    monkeypatch.setattr("spanbridge.decide.issue_policy.HOLD_AFTER_S", 0.0)
    monkeypatch.setattr(Lane, "may_hold", may_hold)
    monkeypatch.setattr(FileDestination, "hold_issue", hold)
    with files(tmp_path, {"one": {}, "other": {}}) as of:
        with of.span(SCOPE, "agent"):
            with pytest.raises(ValueError, match="no"), of.span(SCOPE, "tool"):
                raise ValueError("no")
            of.under_test.flush()
    assert held == ["other"]


def test_spans_left_out_beyond_what_is_remembered_are_counted_and_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.lane.MAX_GONE", 3)
    rules = [{"on": "span", "match": {"span": "step*"}, "drop": True}]
    with files(tmp_path, {"lean": {}}, rules=rules) as of:
        with of.span(SCOPE, "work"):
            for number in range(10):
                with of.span(SCOPE, f"step {number}"):
                    pass
        of.under_test.flush()

        assert of.tree("lean") == {"work": None}
        assert of.outcomes("lean") == {"delivered": 1, "filtered": 10}
