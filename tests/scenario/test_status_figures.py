"""What ``status()`` tells of what went out: bytes, and what had to be sent again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver import Receiver
from tests.support.bridged import Bridged, bridged

AWAY = 2


@pytest.fixture
def server() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def figures(under_test: Bridged) -> tuple[int, int]:
    tracer = under_test.provider.get_tracer("tests")
    with tracer.start_as_current_span("work", attributes={"note": "x" * 2_000}):
        pass
    assert under_test.bridge.flush(20)
    [status] = under_test.bridge.statuses().values()
    return status.sent_bytes, status.retries


@pytest.mark.parametrize("kind", ["sentry", "otlp"])
def test_bytes_and_retries_are_told(kind: str, server: Receiver) -> None:
    server.fault("status", times=AWAY, status=503)
    choices: dict[str, dict[str, Any]] = {
        "sentry": {"dsn": server.dsn, "sample_rate": 1},
        "otlp": {"endpoint": server.otlp_endpoint},
    }
    with bridged(destinations={kind: choices[kind]}) as under_test:
        before = figures(under_test)
        after = figures(under_test)

    assert before[1] == after[1] == AWAY
    assert 0 < before[0] < after[0]


@pytest.mark.parametrize("kind", ["sentry", "otlp"])
def test_a_server_too_slow_for_what_comes_is_no_healthy_one(kind: str, server: Receiver) -> None:
    server.fault("slow", times=None, delay_s=0.6)
    choices: dict[str, dict[str, Any]] = {
        "sentry": {"dsn": server.dsn, "sample_rate": 1},
        "otlp": {"endpoint": server.otlp_endpoint, "metrics": False},
    }
    told: set[str | None] = set()
    with bridged(destinations={kind: {**choices[kind], "queue_max_items": 5}}) as under_test:

        def lose_some(until: int) -> None:
            while True:
                under_test.tracer.start_span("work").end()
                time.sleep(0.01)
                [status] = under_test.bridge.statuses().values()
                outcomes = status.ledger.outcomes.get("span", {})
                if outcomes.get("evicted"):
                    told.add(status.last_error)
                if outcomes.get("delivered", 0) >= until and len(told) > 0:
                    return

        lose_some(until=3)
        server.clear_faults()
        assert under_test.bridge.flush(20)
        figures(under_test)
        [status] = under_test.bridge.statuses().values()

    assert told == {"queue full"}
    assert status.last_error is None


def test_what_a_limit_holds_back_is_told_while_errors_arrive(server: Receiver) -> None:
    limit = {"X-Sentry-Rate-Limits": "3600:transaction:organization"}
    server.fault("status", endpoint="envelope", status=429, headers=limit)
    with bridged(destinations={"sentry": {"dsn": server.dsn, "sample_rate": 1}}) as under_test:
        for _ in range(2):
            figures(under_test)
        with pytest.raises(ValueError, match="no"), under_test.tracer.start_as_current_span("x"):
            raise ValueError("no")
        figures(under_test)
        [status] = under_test.bridge.statuses().values()

    assert status.ledger.outcomes["error"] == {"delivered": 1}
    assert status.ledger.outcomes["span"] == {"rate_limited": 4}
    assert status.last_error == "rate limited: transaction"


def test_of_a_file_what_was_appended_is_told(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    path.write_text('{"of": "somebody else"}\n')
    before = path.stat().st_size
    with bridged(destinations={"it": {"kind": "file", "path": str(path)}}) as under_test:
        assert figures(under_test) == (path.stat().st_size - before, 0)
