"""A failure under decision: when it is held, let go and reported, on a clock of the test's own."""

from __future__ import annotations

import pytest

from spanbridge.decide import rulings
from spanbridge.decide.failure import Failure
from spanbridge.decide.issue_policy import HOLD_AFTER_S, TELL_S, IssuePolicy
from spanbridge.decide.rulings import MAX_HELD, MAX_PENDING
from spanbridge.model.failure import CapturedException, CapturedFrame
from spanbridge.model.log import SEVERITY_ERROR, LogRecord
from spanbridge.model.rule import IssueMode
from spanbridge.model.span import SpanRecord
from spanbridge.process.in_flight import InFlight
from spanbridge.process.intake import Logged
from spanbridge.process.local_trace import LocalTrace
from spanbridge.process.sighting import Sighting
from tests.support.spans import exception_event, local_trace, mark_open, record

ROOT, CHILD = 1, 2
DECISION_S = 60.0


class Waiting:
    """A policy that has seen one exception leave a child whose parent is open."""

    def __init__(self) -> None:
        self.policy = IssuePolicy(lambda *_: "unhandled", DECISION_S)
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
        self.local.open.pop(ROOT, None)
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
    policy = IssuePolicy(lambda *_: "unhandled", DECISION_S)
    waiting = [Waiting() for _ in range(MAX_HELD + 1)]
    for one in waiting:
        one.policy = policy
        one.fail(now_s=0.0)
    assert len(policy.verdicts(HOLD_AFTER_S).held) == MAX_HELD
    assert policy.verdicts(HOLD_AFTER_S).held == []
    waiting[0].root_ends("ok", now_s=2.0)
    verdicts = policy.verdicts(2.0)
    assert (len(verdicts.let_go), len(verdicts.held)) == (1, 1)


class Retries:
    """Attempts below one open root, each of which fails and is caught."""

    def __init__(self) -> None:
        self.policy = IssuePolicy(lambda *_: "unhandled", DECISION_S)
        self.local = local_trace(ROOT, ROOT)
        self.sightings: list[Sighting] = []

    def fail(self, times: int) -> None:
        frame = CapturedFrame((lambda: None).__code__, 1, "app")
        for attempt in range(times):
            sighting = Sighting("0" * 32, f"{attempt:016x}")
            self.sightings.append(sighting)
            late = CapturedException("TimeoutError", None, f"late {attempt}", (frame,))
            events = (exception_event("TimeoutError", f"late {attempt}"),)
            span = record(100 + len(self.sightings), ROOT, status="error", events=events)
            self.policy.observe(self.local, span, InFlight((late,), sighting), 0.0)

    def root_ends(self, status: str) -> None:
        self.local.open.pop(ROOT, None)
        self.policy.observe(self.local, root(status), None, 0.1)


def test_however_many_retries_were_recovered_from_they_are_no_issues() -> None:
    retries = Retries()
    retries.fail(5 * MAX_PENDING)
    assert retries.policy.verdicts(0.0).reported == []

    retries.root_ends("ok")

    verdicts = retries.policy.verdicts(0.1)
    assert (verdicts.reported, verdicts.recovered) == ([], 5 * MAX_PENDING)
    assert verdicts.given_up == 0


def test_however_many_failures_end_with_their_root_each_is_an_issue_and_the_last_have_frames() -> (
    None
):
    retries = Retries()
    retries.fail(3 * MAX_PENDING)
    retries.root_ends("error")
    reported = retries.policy.verdicts(0.1).reported
    messages = sorted(int(one.captured[0].message.partition(" ")[2]) for one in reported)
    assert messages == list(range(3 * MAX_PENDING))
    with_frames = [one.captured[0].message for one in reported if one.captured[0].frames]
    assert with_frames == [f"late {n}" for n in range(2 * MAX_PENDING, 3 * MAX_PENDING)]


def test_an_old_failure_that_goes_on_after_all_has_its_frames_again() -> None:
    retries = Retries()
    retries.fail(2 * MAX_PENDING)
    frame = CapturedFrame((lambda: None).__code__, 1, "app")
    late = CapturedException("TimeoutError", None, "late 0", (frame,))
    retries.local.open.pop(ROOT, None)
    left = record(ROOT, status="error", events=(exception_event("TimeoutError", "late 0"),))
    retries.policy.observe(retries.local, left, InFlight((late,), retries.sightings[0]), 0.1)
    verdicts = retries.policy.verdicts(0.2)
    [reported] = verdicts.reported
    assert not reported.is_handled
    assert reported.captured[0].frames == (frame,)
    assert verdicts.recovered == 2 * MAX_PENDING - 1


def test_failures_that_are_too_many_to_wait_are_counted_and_no_issues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rulings, "MAX_LIGHT", 10)
    retries = Retries()
    retries.fail(MAX_PENDING + 10 + 5)
    verdicts = retries.policy.verdicts(0.0)
    assert (verdicts.reported, verdicts.given_up) == ([], 5)
    retries.root_ends("ok")
    assert retries.policy.verdicts(0.1).recovered == MAX_PENDING + 10


def test_old_failures_pass_on_to_the_root_with_the_span_that_caught_them() -> None:
    retries = Retries()
    mark_open(retries.local, CHILD)
    for attempt in range(2 * MAX_PENDING):
        events = (exception_event("TimeoutError", f"late {attempt}"),)
        span = record(100 + attempt, CHILD, status="error", events=events)
        late = CapturedException("TimeoutError", None, f"late {attempt}", ())
        retries.policy.observe(
            retries.local, span, InFlight((late,), Sighting("0" * 32, "0" * 16)), 0.0
        )
    retries.local.open.pop(CHILD, None)
    retries.policy.observe(retries.local, record(CHILD, ROOT, status="error"), None, 0.0)
    assert retries.policy.verdicts(0.0).reported == []
    retries.root_ends("ok")
    assert retries.policy.verdicts(0.1).recovered == 2 * MAX_PENDING


def test_an_old_failure_is_reported_when_its_catcher_is_open_for_too_long() -> None:
    retries = Retries()
    retries.fail(MAX_PENDING + 3)
    assert retries.policy.verdicts(DECISION_S - 0.01).reported == []
    assert len(retries.policy.verdicts(DECISION_S).reported) == MAX_PENDING + 3


def test_nothing_waits_once_all_is_decided_though_the_root_is_open() -> None:
    policy = IssuePolicy(lambda *_: "unhandled", DECISION_S)
    local = local_trace(ROOT, ROOT, CHILD)
    failing = record(3, CHILD, status="error", events=(exception_event("TimeoutError", "late"),))
    late = CapturedException("TimeoutError", None, "late", ())
    policy.observe(local, failing, InFlight((late,), Sighting("0" * 32, "0" * 16)), 0.0)
    assert policy.is_waiting
    local.open.pop(CHILD, None)
    policy.observe(local, record(CHILD, ROOT), None, 0.0)
    assert policy.verdicts(0.0).recovered == 1
    assert not policy.is_waiting


def test_whoever_says_what_applies_is_told_of_the_local_trace_and_of_the_root() -> None:
    asked: list[tuple[LocalTrace, str | None, bool | None]] = []

    def mode_of(
        failure: Failure, local: LocalTrace, root: SpanRecord | None, is_handled: bool | None
    ) -> IssueMode:
        asked.append((local, root.name if root else None, is_handled))
        return "none" if root is not None and root.name == "span 1" else "unhandled"

    waiting = Waiting()
    waiting.policy = IssuePolicy(mode_of, DECISION_S)
    waiting.fail(now_s=0.0)
    waiting.root_ends("error", now_s=1.0)
    verdicts = waiting.policy.verdicts(1.0)
    assert (verdicts.reported, verdicts.recovered) == ([], 1)
    assert asked == [(waiting.local, None, None), (waiting.local, "span 1", True)]


def test_a_log_outside_of_spans_tells_of_the_failure_whatever_its_trace_is() -> None:
    policy = IssuePolicy(lambda *_: "unhandled", DECISION_S)
    outside = local_trace(99)
    traces = [Waiting() for _ in range(5)]
    for one in traces:
        one.policy = policy
        one.fail(now_s=0.0)
    said = LogRecord(5, SEVERITY_ERROR, "it failed", "app", {}, "", "", "")
    late = (CapturedException("TimeoutError", None, "late", ()),)
    in_flight = InFlight(late, traces[3].sighting, is_leaving=False)
    policy.observe_log(Logged(said, outside, in_flight, None), 0.0)
    [reported] = policy.verdicts(0.0, is_flush=True).reported
    assert reported.local is traces[3].local
    for one in traces:
        one.root_ends("ok", now_s=1.0)
    policy.verdicts(1.0)
    assert policy._undecided.by_sighting == {}
    assert not policy.is_waiting
