"""Traces from OpenTelemetry's instrumentations are those of Sentry's own SDK, or say more."""

from __future__ import annotations

import copy
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spanbridge.testing import StoredItem
from tests.peers.traces_parity.allowed import ALLOWED, reason_for
from tests.peers.traces_parity.compare import SHAPES, Difference, differences, is_background
from tests.peers.traces_parity.report import findings_of, page, shown
from tests.peers.traces_parity.runs import CALLER, SCENARIOS, Run, run_both
from tests.peers.traces_parity.trees import traces_of, walk
from tests.support.program import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "parity-of-traces.md"


@pytest.fixture(scope="module")
def runs(instrumented: Path) -> dict[str, Run]:
    return run_both(instrumented)


def test_what_both_deliver_differs_only_in_what_is_meant(runs: dict[str, Run]) -> None:
    findings = findings_of(runs["native"], runs["bridged"])
    unexplained = [finding for finding in findings if not finding.allowed]
    assert not unexplained, "\n".join(shown(unexplained))
    assert len(findings) > 1000


def test_every_entry_of_the_table_is_needed(runs: dict[str, Run]) -> None:
    used = {
        (allowed.reason, place)
        for difference, allowed in findings_of(runs["native"], runs["bridged"])
        if allowed
        for place in allowed.places
        if fnmatchcase(difference.place, place)
    }
    listed = {(allowed.reason, place) for allowed in ALLOWED for place in allowed.places}
    assert listed - used == set()


def test_every_difference_of_shape_is_met(runs: dict[str, Run]) -> None:
    _, met = differences(runs["native"], runs["bridged"])
    assert met == set(SHAPES)


def test_the_page_tells_of_every_difference() -> None:
    told = PAGE.read_text()
    assert told == page(), "run `python -m tests.peers.traces_parity --page`"


def test_what_is_delivered_breaks_no_rule_of_the_protocol(runs: dict[str, Run]) -> None:
    assert runs["bridged"].violations == []


def test_every_span_is_below_the_caller(runs: dict[str, Run]) -> None:
    run = runs["bridged"]
    traces = traces_of(run.transactions, run.issues, CALLER)
    for scenario in SCENARIOS:
        if scenario.is_upstream_known:
            trace = traces[scenario.trace_id]
            assert trace.lost_parents == 0, scenario.name
            assert len(trace.tops) == 1, scenario.name
            segments = sum(node.is_segment and not is_background(node) for node in walk(trace.tops))
            assert segments == scenario.segments, scenario.name


def test_the_sampling_context_of_the_caller_is_handed_on_unchanged(runs: dict[str, Run]) -> None:
    known = {scenario.trace_id for scenario in SCENARIOS if scenario.is_upstream_known}
    contexts = [
        item.envelope_header["trace"]
        for item in runs["bridged"].transactions
        if item.payload["contexts"]["trace"]["trace_id"] in known
    ]
    assert len(contexts) > 50
    for context in contexts:
        assert {**context, "trace_id": "-"} == {
            "trace_id": "-",
            "public_key": "c" * 32,
            "sample_rate": "1.0",
            "sample_rand": "0.250000",
            "sampled": "true",
            "release": "caller@1",
            "transaction": "caller",
        }


# The comparison itself


def _child(items: list[StoredItem], op: str) -> Any:
    return next(span for item in items for span in item.payload["spans"] if span.get("op") == op)


def _segment(items: list[StoredItem], name: str) -> Any:
    return next(item.payload for item in items if item.payload["transaction"] == name)


CHANGES: dict[str, Callable[[list[StoredItem]], object]] = {
    "op": lambda items: _child(items, "db").update(op="db.sql"),
    "description": lambda items: _child(items, "cache.get").update(description="secret"),
    "status": lambda items: _child(items, "http.client").update(status="unknown"),
    "category of the origin": lambda items: _child(items, "http.client").update(origin="manual"),
    "an attribute": lambda items: _child(items, "cache.get")["data"].update(
        {"db.system.name": "mysql"}
    ),
    "no attribute": lambda items: [
        _child(items, "http.client")["data"].pop(key)
        for key in ("http.response.status_code", "http.status_code")
    ],
    "parent": lambda items: _child(items, "http.client").update(parent_span_id="b" * 16),
    "name": lambda items: _segment(items, "GET /cache").update(transaction="GET /other"),
    "source": lambda items: _segment(items, "GET /cache").update(
        transaction_info={"source": "custom"}
    ),
    "release": lambda items: _segment(items, "GET /cache").update(release="other"),
    "environment": lambda items: _segment(items, "GET /cache").pop("environment"),
    "server_name": lambda items: _segment(items, "GET /cache").update(server_name="other"),
    "method": lambda items: _segment(items, "GET /cache")["request"].pop("method"),
    "url": lambda items: _segment(items, "GET /cache")["request"].update(url="http://other"),
    "user": lambda items: _segment(items, "GET /cache").update(user={"id": "7"}),
    "a tag": lambda items: _segment(items, "GET /cache").update(tags={"x": "y"}),
    "another trace": lambda items: _segment(items, "GET /stream")["contexts"]["trace"].update(
        trace_id="d" * 32, parent_span_id=None
    ),
    "trace header": lambda items: items[0].envelope_header["trace"].update(sampled="false"),
    "no segment": lambda items: items.pop(0),
    "one span less": lambda items: _segment(items, "GET /no-table")["spans"].pop(),
    "one span more": lambda items: _segment(items, "GET /no-table")["spans"].append(
        {**_child(items, "http.client"), "span_id": "e" * 16, "parent_span_id": None}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_anything_is_found_and_not_allowed(
    change: Callable[[list[StoredItem]], object], runs: dict[str, Run]
) -> None:
    ours = runs["bridged"]
    changed = ours._replace(transactions=_copied(ours.transactions))
    change(changed.transactions)
    assert _unexplained(runs["native"], changed) != []


def test_an_error_that_is_missing_is_not_allowed(runs: dict[str, Run]) -> None:
    ours = runs["bridged"]
    assert _unexplained(runs["native"], ours._replace(issues=ours.issues[1:])) != []


def _copied(items: list[StoredItem]) -> list[StoredItem]:
    return [
        msgspec.structs.replace(
            item,
            payload=copy.deepcopy(item.payload),
            envelope_header=copy.deepcopy(item.envelope_header),
        )
        for item in items
    ]


def _unexplained(native: Run, ours: Run) -> list[Difference]:
    return [found for found in differences(native, ours)[0] if reason_for(found) is None]
