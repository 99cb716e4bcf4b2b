"""The governance example under a steady load: nothing lost uncounted, nothing growing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from examples.governance.traffic import SCENARIOS
from spanbridge import Status
from spanbridge.receiver import Receiver
from tests.support.load import Load, drive, get, post
from tests.support.ports import free_port
from tests.support.program import Running, running

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
PER_SECOND = 200
WARM_AFTER_S = SECONDS / 3
GROWTH_MAX_MB = 16
"""Growth of resident memory after the first third, when every cache is warm."""


def mix() -> list[bytes]:
    """Of a hundred requests three are proposals, one of which fails."""
    proposals = {s.kind: s.proposal.model_dump_json() for s in SCENARIOS if s.proposal}
    kinds = ("approved", "agent_recovered", "violation_raised")
    requests = [get("/health"), get("/decisions/1")] * 49
    for place, kind in enumerate(kinds):
        requests.insert(place * 30, post("/proposals", proposals[kind].encode()))
    return requests[:100]


def resident_mb(process: Running) -> float:
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_two_hundred_requests_a_second_leave_a_closed_ledger_and_no_growth(
    receiver: Receiver, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    llm_port, port = free_port(), free_port()
    status_file = tmp_path / "status.json"
    variables = {
        "SENTRY_DSN": receiver.dsn,
        "SENTRY_ENVIRONMENT": "development",
        "LLM_URL": f"http://127.0.0.1:{llm_port}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/governance.db",
        "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "20",
    }
    stub = ("-m", "uvicorn", "examples.governance.llm_stub:app", "--port", str(llm_port))
    service = ("-m", "examples.governance.serve", "--port", str(port))
    with (
        running(*stub, "--log-level", "warning", port=llm_port),
        running(*service, "--status-file", str(status_file), port=port, **variables) as program,
    ):
        warm_mb: list[float] = []
        timer = threading.Timer(WARM_AFTER_S, lambda: warm_mb.append(resident_mb(program)))
        timer.start()
        load: Load = asyncio.run(
            drive(f"http://127.0.0.1:{port}", mix(), per_second=PER_SECOND, seconds=SECONDS)
        )
        end_mb = resident_mb(program)
        program.send_signal(2)
        done = program.wait(60)

    requests = round(PER_SECOND * SECONDS)
    assert (done.exit_code, load.answered) == (0, requests), done.stderr
    assert load.statuses[500] == requests // 100
    status = msgspec.json.decode(status_file.read_bytes(), type=Status)
    assert status.failures == {}
    ledger = status.destinations["sentry"].ledger
    assert ledger.is_closed
    assert ledger.outcomes["span"] == {"delivered": ledger.accepted["span"]}
    assert ledger.outcomes["error"]["delivered"] == requests // 100
    transactions = receiver.transactions
    spans = sum(1 + len(item.payload["spans"]) for item in transactions)
    assert (len(transactions), spans) == (requests, ledger.accepted["span"])
    assert len({item.payload["contexts"]["trace"]["span_id"] for item in transactions}) == requests
    assert len(receiver.issues) == requests // 100
    assert receiver.violations == []
    assert end_mb - warm_mb[0] < GROWTH_MAX_MB, (warm_mb, end_mb)
    record_property("slowest_answer_s", load.slowest_s)
    record_property("resident_mb", end_mb)
