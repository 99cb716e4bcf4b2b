from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from spanbridge.destinations.make import make_destinations
from spanbridge.lane import UNDECIDED, Lane
from spanbridge.settings import load
from tests.support.spans import local_trace, record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

RULES: list[dict[str, object]] = [{"on": "span", "match": {"status": "error"}, "keep": True}]


def test_what_has_no_room_while_its_root_is_in_the_queue_decides_nothing(tmp_path: Path) -> None:
    few = {"kind": "file", "path": str(tmp_path / "few.jsonl"), "sample_rate": 0.0}
    few["queue_max_items"] = 3
    settings = load({"environment": "tests", "destinations": {"few": few}, "rules": RULES}, {})
    [(destination, options)], _ = make_destinations(settings)
    lane, local = Lane(destination, options, settings), local_trace(1)
    local.ended_root = cast("ReadableSpan", object())
    for span_id in range(2, 6):
        lane.add(local, span := record(span_id, 1), span)
    lane.pass_on({}, 0)
    lane.advance(0)
    assert lane.status().ledger.reasons == {f"evicted: {UNDECIDED}": 4}

    local.ended_root = None
    lane.add(local, root := record(1, status="error"), root)
    lane.pass_on({}, 0)
    lane.advance(0)

    assert lane.status().ledger.pending["span"] == 1  # it goes
    destination.close(5.0)
    assert lane.status().ledger.outcomes["span"] == {"evicted": 4, "delivered": 1}
