"""What ``status()`` tells of what went out: bytes, and what had to be sent again."""

from __future__ import annotations

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


def test_of_a_file_what_was_appended_is_told(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    path.write_text('{"of": "somebody else"}\n')
    before = path.stat().st_size
    with bridged(destinations={"it": {"kind": "file", "path": str(path)}}) as under_test:
        assert figures(under_test) == (path.stat().st_size - before, 0)
