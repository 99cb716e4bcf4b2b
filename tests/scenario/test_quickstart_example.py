"""The quick start of the README: short, and it shows a span and an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
APP = REPOSITORY / "examples" / "quickstart" / "app.py"

CALL_IT = """
from fastapi.testclient import TestClient
from examples.quickstart.app import app

with TestClient(app, raise_server_exceptions=False) as client:
    assert client.get("/share/4").json() == 0.25
    assert client.get("/share/0").status_code == 500
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the file destination got from one good and one bad request."""
    path = tmp_path_factory.mktemp("quickstart") / "telemetry.jsonl"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CALL_IT],
        check=True,
        cwd=REPOSITORY,
        env={
            **os.environ,
            "SPANBRIDGE_DESTINATIONS": "file",
            "SPANBRIDGE_FILE_PATH": str(path),
        },
    )
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_quick_start_has_at_most_ten_lines() -> None:
    assert len([line for line in APP.read_text().splitlines() if line.strip()]) <= 10


def test_each_request_shows_its_own_span_below_the_request(told: list[dict[str, Any]]) -> None:
    spans = [item for item in told if item["type"] == "span"]
    requests = {span["span_id"] for span in spans if span["name"] == "GET /share/{people}"}

    parents = {span["parent_span_id"] for span in spans if span["name"] == "divide the cake"}
    assert len(requests) == 2
    assert parents == requests


def test_the_division_by_zero_is_one_unhandled_issue(told: list[dict[str, Any]]) -> None:
    [issue] = [item for item in told if item["type"] == "issue"]

    assert issue["exceptions"][0]["type"] == "ZeroDivisionError"
    assert issue["is_handled"] is False
    assert issue["exceptions"][0]["frames"][-1]["context_line"].strip() == "return 1 / people"
