"""The page shows what was received, and nothing of it as markup."""

from __future__ import annotations

from typing import Any

from spanbridge.receiver.page import render_page
from spanbridge.receiver.records import StoredItem, StoredViolation
from tests.unit.receiver.envelopes import error_event, transaction

HOSTILE = "<script>alert('x')</script>\""


def _item(kind: str, payload: dict[str, Any]) -> StoredItem:
    return StoredItem(
        id=1,
        kind=kind,
        header={},
        payload=payload,
        body=b"",
        envelope_header={},
        auth_key=None,
        project_id=None,
        content_encoding="identity",
        violations=(),
        received_at=0.0,
    )


def _page(event: dict[str, Any], root: dict[str, Any]) -> str:
    violation = StoredViolation(HOSTILE, HOSTILE, HOSTILE, kind=HOSTILE, received_at=0.0)
    return render_page(
        issues=[_item("event", event)],
        transactions=[_item("transaction", root)],
        violations=[violation],
        counts={"event": 1, "evicted": 0},
    )


def test_the_page_shows_issues_and_transactions_as_trees() -> None:
    page = _page(error_event(), transaction())

    assert "QuorumLost: 2 of 5" in page
    assert "POST /proposals" in page
    assert "consensus — consensus weighted 800.0 ms" in page
    assert "\n  db" in page
    assert "event 1" in page


def test_everything_shown_is_escaped() -> None:
    def poison(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: poison(value) for key, value in node.items()}
        if isinstance(node, list):
            return [poison(value) for value in node]
        return node if isinstance(node, float) else HOSTILE

    page = _page(poison(error_event()), poison(transaction()))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_nonsense_and_circles_do_not_break_the_page() -> None:
    spans = [{"span_id": "a", "parent_span_id": "b"}, {"span_id": "b", "parent_span_id": "a"}, 3]

    assert _page({"exception": 3, "contexts": []}, {"spans": spans, "timestamp": "x"})
    assert _page({}, {"spans": 7})
