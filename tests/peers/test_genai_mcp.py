"""A real MCP client and server, in two processes: Sentry's MCP module sees one trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanbridge.receiver import Receiver, StoredItem
from tests.peers.relay import errors_after_relay
from tests.support.program import run_program

PROGRAMS = Path(__file__).with_name("programs")
SERVED = [
    ("tools/list", "ok"),
    ("tools/call get_weather", "ok"),
    ("tools/call get_weather", "internal_error"),
    ("prompts/get ask", "ok"),
    ("resources/read", "ok"),
]


@pytest.fixture(scope="module")
def told(instrumented: Path) -> Iterator[list[StoredItem]]:
    client, server = PROGRAMS / "tool_client.py", PROGRAMS / "tool_server.py"
    with Receiver() as receiver:
        done = run_program(
            f"import runpy; runpy.run_path({str(client)!r}, run_name='__main__')",
            str(server),
            python=str(instrumented),
            SENTRY_DSN=receiver.dsn,
            SENTRY_TRACES_SAMPLE_RATE="1",
        )
        assert done.exit_code == 0, done.stderr
        yield receiver.items()
        assert receiver.violations == []


def transactions(told: list[StoredItem]) -> list[dict[str, Any]]:
    found = [item.payload for item in told if item.kind == "transaction"]
    return sorted(found, key=lambda payload: float(payload["start_timestamp"]))


def test_each_request_is_one_served_and_one_sent_span_of_one_trace(
    told: list[StoredItem],
) -> None:
    [work] = [t for t in transactions(told) if t["transaction"] == "work"]
    sent = sorted(work["spans"], key=lambda span: float(span["start_timestamp"]))
    trace_id = work["contexts"]["trace"]["trace_id"]
    served = [t for t in transactions(told) if t["contexts"]["trace"].get("op") == "mcp.server"]
    served = [t for t in served if t["contexts"]["trace"]["trace_id"] == trace_id]

    assert [(t["transaction"], t["contexts"]["trace"]["status"]) for t in served] == SERVED
    assert {t["transaction_info"]["source"] for t in served} == {"route"}
    assert [(span["op"], span["description"]) for span in sent] == [
        ("mcp.client", name) for name, _ in SERVED
    ]
    assert [t["contexts"]["trace"]["parent_span_id"] for t in served] == [
        span["span_id"] for span in sent
    ]


def test_both_sides_name_the_tool_the_method_and_the_request(told: list[StoredItem]) -> None:
    served = [
        t["contexts"]["trace"]
        for t in transactions(told)
        if t["transaction"] == "tools/call get_weather"
    ]
    [work] = [t for t in transactions(told) if t["transaction"] == "work"]
    sent = [span for span in work["spans"] if "get_weather" in span["description"]]

    for side in (*served, *sent):
        assert side["data"]["mcp.method.name"] == "tools/call"
        assert side["data"]["gen_ai.tool.name"] == "get_weather"
        assert side["data"]["jsonrpc.request.id"].isdigit()
    assert served[1]["data"]["error.type"] == "tool_error"


def test_no_argument_and_no_result_leaves(told: list[StoredItem]) -> None:
    assert told
    for item in told:
        assert b"-text" not in item.body, item.kind


def test_sentrys_own_server_code_has_nothing_to_correct(told: list[StoredItem]) -> None:
    for payload in transactions(told):
        assert errors_after_relay(payload) == []
