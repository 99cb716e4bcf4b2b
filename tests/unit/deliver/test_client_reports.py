from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import msgspec

from spanbridge.deliver.client_reports import (
    ClientReports,
    append_item,
    encode_report,
    envelope_of,
)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_quantities_add_up_by_reason_and_category() -> None:
    reports = ClientReports(Clock())
    assert reports.add("sample_rate", "span", 9)
    assert not reports.add("sample_rate", "span", 1)
    assert not reports.add("sample_rate", "transaction", 1)
    assert reports.take() == {("sample_rate", "span"): 10, ("sample_rate", "transaction"): 1}
    assert reports.take() == {}


def test_nothing_discarded_is_nothing_to_report() -> None:
    reports = ClientReports(Clock())
    assert not reports.add("sample_rate", "span", 0)
    assert reports.due_s(0) is None


def test_age_counts_from_the_oldest_discard_that_was_not_reported() -> None:
    clock = Clock()
    reports = ClientReports(clock)
    reports.add("sample_rate", "span", 1)
    clock.now_s = 4
    reports.add("sample_rate", "span", 1)
    assert not reports.is_due(5)
    clock.now_s = 5
    assert reports.is_due(5)


def test_a_report_that_was_not_sent_is_taken_back_whole() -> None:
    reports = ClientReports(Clock())
    reports.add("queue_overflow", "error", 2)
    unsent = reports.take()
    reports.add("queue_overflow", "error", 1)
    reports.restore(unsent)
    assert reports.take() == {("queue_overflow", "error"): 3}


def test_the_item_is_framed_as_the_protocol_wants_it() -> None:
    discards = Counter({("ratelimit_backoff", "error"): 3})
    item = encode_report(discards, datetime(2026, 11, 22, 12, tzinfo=UTC))
    for envelope in (envelope_of(item), append_item(b'{"event_id":"a"}\n{}\nx', item)):
        header, payload, end = envelope.split(b"\n")[-3:]
        assert msgspec.json.decode(header) == {"type": "client_report", "length": len(payload)}
        assert msgspec.json.decode(payload) == {
            "timestamp": "2026-11-22T12:00:00Z",
            "discarded_events": [
                {"reason": "ratelimit_backoff", "category": "error", "quantity": 3}
            ],
        }
        assert end == b""


def test_an_envelope_keeps_its_own_last_line() -> None:
    assert append_item(b"{}\nitem", b"report\n") == b"{}\nitem\nreport\n"
    assert append_item(b"{}\nitem\n", b"report\n") == b"{}\nitem\nreport\n"
