"""A storm of one failure costs a bounded number of issues, and none of it is uncounted."""

from __future__ import annotations

from pathlib import Path

from tests.support.told import telling


def test_beyond_the_budget_failures_are_counted_and_one_issue_stands_for_them(
    tmp_path: Path,
) -> None:
    with telling(tmp_path / "told.jsonl", issue_budget=5) as told:
        for number in range(40):
            try:
                with told.tracer.start_as_current_span("task"):
                    raise TimeoutError(f"attempt {number}")
            except TimeoutError:
                pass
        for _ in range(2):
            try:
                with told.tracer.start_as_current_span("task"):
                    raise KeyError("another place, another kind")
            except KeyError:
                pass

        issues = told.issues
        values = [issue["exceptions"][0]["value"] for issue in issues]
        assert values[:5] == [f"attempt {number}" for number in range(5)]
        [summary] = [issue for issue in issues if "burst" in issue["contexts"]]
        assert summary["contexts"]["burst"] == {"suppressed": 35, "window_s": 60.0}
        assert summary["exceptions"][0]["value"] == "attempt 39"
        assert sum(value.startswith("'another") for value in values) == 2
        errors = told.errors
    assert errors["delivered"] == len(issues) == 8
    assert errors == {"delivered": 8, "filtered": 34}
