"""What a rule noticed, and for how long an exception may tell the same."""

from __future__ import annotations

from collections.abc import Collection

from spanbridge.decide.noticed import HOLD_S, TOLD_S, NoticedByRules
from spanbridge.model.log import LogRecord
from spanbridge.model.rule import NO_EFFECTS, Circumstances, Noticed
from spanbridge.model.span import SpanEvent
from spanbridge.process.local_trace import LocalTrace
from tests.support.spans import local_trace, record

VIOLATION = ("governance.violation", "deception")
TIME_NS = 1_700_000_000_000_000_000


def in_span(span_id: int, parent_id: int) -> Noticed:
    span = record(span_id, parent_id)
    event = SpanEvent("governance.violation", TIME_NS, {})
    around = Circumstances(event=event, span=span)
    return Noticed("", "violation", NO_EFFECTS, TIME_NS, span.trace_id, span.span_id, around)


def outside(time_ns: int = TIME_NS) -> Noticed:
    said = LogRecord(time_ns, 17, "violation", "app", {}, "governance.violation", "", "")
    return Noticed("", "violation", NO_EFFECTS, time_ns, "", "", Circumstances(log=said))


class Held:
    """What rules noticed beside one failure that stays under decision in some spans."""

    def __init__(self, *undecided_in: int) -> None:
        self.undecided_in = {f"{span_id:016x}" for span_id in undecided_in}
        self.local = local_trace(1, 1)
        self.noticed = NoticedByRules(self.is_deciding)

    def is_deciding(self, local: LocalTrace, span_ids: Collection[str]) -> bool:
        return not self.undecided_in.isdisjoint(span_ids)

    def due(self, now_s: float) -> tuple[int, int]:
        due, merged = self.noticed.due(now_s, is_flush=False)
        return len(due), merged

    def told(self, now_s: float, time_ns: int = TIME_NS) -> None:
        self.noticed.is_told_by(self.local, (), VIOLATION, time_ns=time_ns, now_s=now_s)


def test_what_is_noticed_waits_for_an_undecided_failure_of_its_span_or_the_one_above() -> None:
    for undecided_in in (5, 4):
        held = Held(undecided_in)
        held.noticed.take(in_span(5, 4), held.local, VIOLATION)
        assert held.due(0.0) == (0, 0)
        held.told(0.5)
        assert held.due(0.5) == (0, 1)


def test_it_does_not_wait_for_a_failure_elsewhere_in_the_trace() -> None:
    held = Held(9)
    held.noticed.take(in_span(5, 4), held.local, VIOLATION)
    assert held.due(0.0) == (1, 0)


def test_it_waits_for_a_second_at_most() -> None:
    held = Held(5)
    held.noticed.take(in_span(5, 4), held.local, VIOLATION)
    assert held.due(10.0) == (0, 0)
    assert held.due(10.0 + HOLD_S - 0.01) == (0, 0)
    assert held.due(10.0 + HOLD_S) == (1, 0)


def test_what_an_exception_told_is_forgotten_after_a_minute() -> None:
    held = Held()
    held.told(0.0)
    held.noticed.take(in_span(5, 4), held.local, VIOLATION)
    assert held.due(TOLD_S - 0.01) == (0, 1)
    held.noticed.take(in_span(5, 4), held.local, VIOLATION)
    assert held.due(TOLD_S) == (1, 0)


def test_outside_of_spans_only_what_was_told_within_a_second_is_the_same() -> None:
    held = Held()
    held.told(0.0)
    held.noticed.take(outside(TIME_NS + 900_000_000), held.local, VIOLATION)
    assert held.due(0.9) == (0, 1)
    held.noticed.take(outside(TIME_NS + 1_100_000_000), held.local, VIOLATION)
    assert held.due(1.1) == (1, 0)


def test_it_waits_for_a_root_that_has_ended_and_is_not_read_yet() -> None:
    held = Held()
    held.noticed.take(in_span(5, 4), held.local, VIOLATION)
    held.local.open.clear()
    assert held.due(0.0) == (0, 0)

    root = record(1)
    held.noticed.saw_root(held.local, root)

    [due], _ = held.noticed.due(0.1, is_flush=False)
    assert due.root is root
