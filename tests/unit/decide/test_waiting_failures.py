"""A failure under decision: when it is held, let go and reported, on a clock of the test's own."""

from __future__ import annotations

from spanbridge.decide.issue_policy import HOLD_AFTER_S, MAX_HELD, TELL_S, IssuePolicy
from spanbridge.model.failure import CapturedException
from spanbridge.model.log import SEVERITY_ERROR, LogRecord
from spanbridge.model.span import SpanRecord
from spanbridge.process.in_flight import InFlight
from spanbridge.process.intake import Logged
from spanbridge.process.sighting import Sighting
from tests.support.spans import exception_event, local_trace, record

ROOT, CHILD = 1, 2
DECISION_S = 60.0


class Waiting:
    """A policy that has seen one exception leave a child whose parent is open."""

    def __init__(self) -> None:
        self.policy = IssuePolicy(lambda failure, is_handled: "unhandled", DECISION_S)
        self.local = local_trace(ROOT, ROOT)
        self.sighting = Sighting("0" * 32, "0" * 16)

    def fail(self, now_s: float) -> None:
        in_flight = InFlight((CapturedException("TimeoutError", None, "late", ()),), self.sighting)
        self.policy.observe(self.local, child(), in_flight, now_s)

    def log(self, now_s: float) -> None:
        said = LogRecord(5, SEVERITY_ERROR, "it failed", "app", {}, "", "0" * 32, "0" * 16)
        exceptions = (CapturedException("TimeoutError", None, "late", ()),)
        in_flight = InFlight(exceptions, self.sighting, is_leaving=False)
        self.policy.observe_log(Logged(said, self.local, in_flight, None), now_s)

    def root_ends(self, status: str, now_s: float) -> None:
        self.local.open.discard(ROOT)
        self.policy.observe(self.local, root(status), None, now_s)


def child() -> SpanRecord:
    events = (exception_event("TimeoutError", "late"),)
    return record(CHILD, ROOT, status="error", events=events)


def root(status: str) -> SpanRecord:
    return record(ROOT, status=status)


def test_a_failure_that_waits_is_held_once_and_let_go_when_it_is_recovered_from() -> None:
    waiting = Waiting()
    waiting.fail(now_s=0.0)
    assert waiting.policy.verdicts(HOLD_AFTER_S - 0.01).held == []
    [held] = waiting.policy.verdicts(HOLD_AFTER_S).held
    assert waiting.policy.verdicts(HOLD_AFTER_S + 1).held == []

    waiting.root_ends("ok", now_s=2.0)

    verdicts = waiting.policy.verdicts(2.0)
    assert verdicts.let_go == [held.event_id] == [waiting.sighting.event_id]
    assert (verdicts.reported, verdicts.recovered) == ([], 1)


def test_what_was_held_is_reported_under_the_same_event_id() -> None:
    waiting = Waiting()
    waiting.fail(now_s=0.0)
    [held] = waiting.policy.verdicts(HOLD_AFTER_S).held
    waiting.root_ends("error", now_s=2.0)
    [reported] = waiting.policy.verdicts(2.0).reported
    assert reported.event_id == held.event_id


def test_a_failure_nobody_decides_is_reported_after_a_while() -> None:
    waiting = Waiting()
    waiting.fail(now_s=0.0)
    assert waiting.policy.verdicts(DECISION_S - 0.01).reported == []
    [reported] = waiting.policy.verdicts(DECISION_S).reported
    assert reported.is_handled


def test_a_failure_that_is_logged_is_reported_within_half_a_second() -> None:
    waiting = Waiting()
    waiting.fail(now_s=0.0)
    waiting.log(now_s=10.0)
    assert waiting.policy.verdicts(10.0 + TELL_S - 0.01).reported == []
    [reported] = waiting.policy.verdicts(10.0 + TELL_S).reported
    assert reported.is_handled
    assert reported.log is not None
    assert reported.span is not None


def test_a_flush_reports_what_was_logged_and_leaves_undecided_what_was_not() -> None:
    waiting = Waiting()
    waiting.fail(now_s=0.0)
    assert waiting.policy.verdicts(0.0, is_flush=True).reported == []
    waiting.log(now_s=0.0)
    assert len(waiting.policy.verdicts(0.0, is_flush=True).reported) == 1


def test_what_is_held_is_bounded_and_its_places_come_back() -> None:
    policy = IssuePolicy(lambda failure, is_handled: "unhandled", DECISION_S)
    waiting = [Waiting() for _ in range(MAX_HELD + 1)]
    for one in waiting:
        one.policy = policy
        one.fail(now_s=0.0)
    assert len(policy.verdicts(HOLD_AFTER_S).held) == MAX_HELD
    assert policy.verdicts(HOLD_AFTER_S).held == []
    waiting[0].root_ends("ok", now_s=2.0)
    verdicts = policy.verdicts(2.0)
    assert (len(verdicts.let_go), len(verdicts.held)) == (1, 1)
