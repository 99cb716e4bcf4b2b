"""Spotlight reads whatever a real service sends of its traces, its issues and its logs."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from examples.governance.traffic import TrafficReport, send_traffic
from spanbridge import Status
from tests.peers.environments import PeerUnavailable, skip_or_fail
from tests.peers.spotlight import SpotlightItem, spotlight_server
from tests.support.ports import free_port
from tests.support.program import running


@dataclass(frozen=True)
class Run:
    """One run of the example's traffic."""

    report: TrafficReport
    delivered: dict[str, int]
    """What the service says it has delivered, by signal."""
    items: list[SpotlightItem]
    complaints: list[str]


def spans_of(items: list[SpotlightItem]) -> int:
    transactions = [item.payload for item in items if item.type == "transaction"]
    return sum(1 + len(transaction["spans"]) for transaction in transactions)


def logs_of(items: list[SpotlightItem]) -> list[dict[str, Any]]:
    return [log for item in items if item.type == "log" for log in item.payload["items"]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("governance")
    status_file = folder / "status.json"
    llm_port, port = free_port(), free_port()
    stub = ["-m", "uvicorn", "examples.governance.llm_stub:app", "--port", str(llm_port)]
    service = ["-m", "examples.governance.serve", "--port", str(port)]
    service += ["--status-file", str(status_file)]
    try:
        with spotlight_server(folder) as spotlight:
            with (
                chdir(folder),  # where the service keeps its database
                running(*stub, port=llm_port),
                running(
                    *service,
                    port=port,
                    SENTRY_DSN=spotlight.dsn,
                    SENTRY_ENVIRONMENT="development",
                    LLM_URL=f"http://127.0.0.1:{llm_port}",
                ) as program,
            ):
                report = asyncio.run(send_traffic(f"http://127.0.0.1:{port}"))
                program.send_signal(signal.SIGINT)
                program.wait()
            status = msgspec.json.decode(status_file.read_bytes(), type=Status)
            ledger = status.destinations["sentry"].ledger.outcomes
            delivered = {kind: fates.get("delivered", 0) for kind, fates in ledger.items()}
            items = spotlight.wait_until_it_has(
                lambda items: (
                    spans_of(items) == delivered["span"]
                    and len(logs_of(items)) == delivered["log"]
                    and sum(item.type == "event" for item in items) >= delivered["error"]
                )
            )
            yield Run(report, delivered, items, spotlight.complaints)
    except PeerUnavailable as reason:
        skip_or_fail("Spotlight", reason)


def test_every_request_arrives_with_every_issue(run: Run) -> None:
    assert run.report.surprises == ()
    assert Counter(item.type for item in run.items if item.type != "log") == {
        "transaction": run.report.sent.total(),
        "event": sum(run.report.issues.values()),
    }


def test_every_span_and_every_log_that_the_service_delivered_is_there(run: Run) -> None:
    assert spans_of(run.items) == run.delivered["span"] > 300
    assert len(logs_of(run.items)) == run.delivered["log"]
    assert {log["body"] for log in logs_of(run.items)} >= {
        "multi_agent.consensus.vote",
        "governance.decision",
    }


def test_it_had_no_trouble_with_any_of_it(run: Run) -> None:
    assert run.complaints == []
