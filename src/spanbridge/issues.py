"""From what spans and logs tell of failures to an issue at every destination that takes issues.

It belongs to the pipeline's worker, which calls it and nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from spanbridge.decide.burst import Burst
from spanbridge.decide.failure import decided_by_rule
from spanbridge.decide.issue_policy import IssuePolicy
from spanbridge.decide.noticed import NoticedByRules
from spanbridge.decide.story import Stories
from spanbridge.issue_contents import Contents, root_so_far, with_open_spans
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.model.span import SpanRecord
from spanbridge.privacy.keys import is_event_content, is_withheld
from spanbridge.record.span import has_events, read_span
from spanbridge.rules.engine import make_rules
from spanbridge.rules.facts import ExceptionFacts, exception_names
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.convert.op import op_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.decide.failure import DecidedFailure, Failure, Verdicts
    from spanbridge.lane import Lane
    from spanbridge.model.failure import Issue
    from spanbridge.model.log import LogRecord
    from spanbridge.model.rule import Circumstances, IssueMode, Noticed
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.in_flight import InFlight
    from spanbridge.process.intake import Logged
    from spanbridge.process.local_trace import LocalTrace, LocalTraces
    from spanbridge.settings import Settings

MAX_OVER: Final = 4096
"""Local traces whose root ended while something in them is open, as they are remembered."""


class _Made(NamedTuple):
    """A failure, and the issue that it is where nothing has to be left out."""

    decided: DecidedFailure
    issue: Issue
    suppressed: int = 0
    """Of how many alike it is the last one."""


class Issues:
    """Decides which failures are issues, makes them, and hands them to the destinations.

    Args:
        settings: The resolved settings.
        traces: The process's local traces.
        lanes: The ways to all destinations; without one that takes issues nothing is kept.
    """

    def __init__(self, settings: Settings, traces: LocalTraces, lanes: Sequence[Lane]) -> None:
        self._settings = settings
        self._traces = traces
        self._takers = [lane for lane in lanes if lane.destination.takes_issues]
        self._levels: dict[PrivacyPolicy, list[Lane]] = {}
        for lane in self._takers:
            self._levels.setdefault(lane.policy, []).append(lane)
        self._rules = make_rules(settings, self._is_withheld, op_of)
        self._contents = Contents(settings, self._rules)
        self.start_empty()

    def start_empty(self) -> None:
        """Forget everything, as in a forked child: what is undecided belongs to the parent."""
        self._policy = IssuePolicy(self._mode_of, self._settings.issue_decision_s)
        self._stories = Stories(
            read_span,
            max_breadcrumbs=self._settings.max_breadcrumbs,
            max_value_length=self._settings.max_value_length,
        )
        self._burst = Burst(self._settings.issue_budget)
        self._noticed = NoticedByRules(self._policy.is_deciding)
        self._held: set[str] = set()
        """Event ids of what destinations hold in case the process dies."""
        self._over: dict[LocalTrace, SpanRecord | ReadableSpan | None] = {}
        """Local traces whose root ended or was lost, with it, until nothing of them is awaited."""

    @property
    def is_waiting(self) -> bool:
        """Whether something is under decision."""
        return self._policy.is_waiting

    def wants(self, span: ReadableSpan, local: LocalTrace, in_flight: InFlight | None) -> bool:
        """Whether a span that no destination keeps has to be read: it may tell of a failure."""
        return (
            in_flight is not None
            or self._policy.watches(local)
            or has_events(span)
            or self._rules.names_span(span.name)
        )

    def note(self, local: LocalTrace, span: ReadableSpan) -> None:
        """Remember a finished span for the story of an issue that may follow."""
        if self._takers:
            self._stories.note(local, span)
            if (context := span.get_span_context()) and context.span_id == local.root_id:
                self._over[local] = span

    def observe(
        self, local: LocalTrace, span: SpanRecord, in_flight: InFlight | None, now_s: float
    ) -> None:
        """Take what a finished span tells, in the order in which spans ended."""
        if span.events or in_flight is not None or self._policy.watches(local):
            self._policy.observe(local, span, in_flight, now_s)
        if self._takers:
            for noticed in self._rules.noticed_in_span(span):
                self._take_noticed(noticed, local)
            self._stories.note(local, span)
            if span.is_local_root:
                self._noticed.saw_root(local, span)
                self._over[local] = span

    def observe_log(self, logged: Logged, now_s: float) -> None:
        """Take what a log record tells, in order with the spans."""
        if not self._takers:
            return
        logged = logged._replace(record=_without_content(logged.record))
        if logged.record.body or logged.record.event_name:  # a hook has nothing to say itself
            self._stories.note(logged.local, logged.record)
        self._policy.observe_log(logged, now_s)
        if logged.exception is None:
            for noticed in self._rules.noticed_in_log(logged.record):
                self._take_noticed(noticed, logged.local, logged.span)

    def lose(self, local: LocalTrace) -> None:
        """The root of ``local`` will never end."""
        self._over.setdefault(local, None)

    def event_ids(self) -> dict[str, str]:
        """Event ids of what was decided since the last :meth:`pass_on`, by failing span."""
        return self._policy.event_ids()

    def pass_on(self, now_s: float, *, is_flush: bool = False) -> None:
        """Hand over what is decided. Call it after each fully drained batch."""
        self._carry_out(self._policy.verdicts(now_s, is_flush=is_flush), now_s)
        due, merged = self._noticed.due(now_s, is_flush=is_flush)
        self._count(Outcome.MERGED, merged)
        for one in due:
            decided = decided_by_rule(one.noticed, one.local, one.root, one.live_span)
            self._report(decided, now_s)
        self._count(Outcome.FILTERED, self._burst.take_left_out(), "burst")
        for decided, suppressed in self._burst.summaries(now_s, is_flush=is_flush):
            self._send(decided, suppressed)
        self._forget_over()

    def _carry_out(self, verdicts: Verdicts, now_s: float) -> None:
        self._count(Outcome.MERGED, verdicts.merged)
        self._count(Outcome.FILTERED, verdicts.recovered)
        self._count(Outcome.FILTERED, verdicts.given_up, "too many undecided")
        for decided in verdicts.reported:
            self._report(decided, now_s)
        for decided in verdicts.held:
            self._hold(decided)
        for event_id in verdicts.let_go:
            self._let_go(event_id)

    def go_on_from(self, former: Issues, now_s: float) -> bool:
        """Take over what ``former`` has not decided, before anything is observed here.

        What it has decided it reports to its own destinations, which have the spans too.

        Returns:
            Whether that was possible: without a destination that takes issues it is not.
        """
        if not self._takers:
            return False
        former._carry_out(former._policy.ruled(), now_s)
        for event_id in list(former._held):
            former._let_go(event_id)  # its own destinations will hold it, if it takes that long
        settings = self._settings
        self._policy, self._stories = former._policy, former._stories
        self._noticed, self._over, self._burst = former._noticed, former._over, former._burst
        former.start_empty()
        self._policy.go_on(self._mode_of, settings.issue_decision_s)
        self._stories.go_on(settings.max_breadcrumbs, settings.max_value_length)
        self._burst.go_on(settings.issue_budget)
        return True

    def decide_all(self, now_s: float) -> None:
        """Report what is undecided: the process is about to end."""
        self._policy.decide_all()
        self.pass_on(now_s, is_flush=True)

    def _forget_over(self) -> None:
        done = [local for local in self._over if not local.open and not self._policy.watches(local)]
        for local in (*done, *list(self._over)[: max(0, len(self._over) - MAX_OVER)]):
            self._over.pop(local, None)
            self._stories.close(local)

    def _is_withheld(self, name: str) -> bool:
        """Whether an attribute of this name is kept back somewhere, by any policy."""
        return is_withheld(name) or any(policy.withholds(name) for policy in self._levels)

    def _mode_of(
        self,
        failure: Failure,
        local: LocalTrace,
        root: SpanRecord | None,
        is_handled: bool | None,
    ) -> IssueMode:
        if not self._rules.has_modes:
            return self._settings.issues
        if root is None:
            root = root_so_far(local)
        around = msgspec.structs.replace(failure.circumstances, root=root)
        names = exception_names(failure.captured) or (failure.type,)
        message = failure.captured[0].message if failure.captured else failure.message
        facts = ExceptionFacts(around, names, message, is_handled)
        return self._rules.issue_mode(facts) or self._settings.issues

    def _take_noticed(
        self, noticed: Noticed, local: LocalTrace, live_span: ReadableSpan | None = None
    ) -> None:
        looks = self._contents.looks(noticed.circumstances, noticed.effects)
        self._noticed.take(noticed, local, looks.fingerprint, live_span)

    def _count(self, outcome: Outcome, count: int, reason: str = "") -> None:
        if not count:
            return
        for lane in self._takers:
            lane.destination.ledger.accept(Signal.ERROR, count)
            lane.destination.ledger.settle(Signal.ERROR, outcome, count, reason)

    def _report(self, decided: DecidedFailure, now_s: float) -> None:
        if not self._takers:
            return
        try:
            decided = self._complete(decided)
            looks = self._contents.looks_of(decided)
            is_admitted = self._burst.admits(decided, looks.fingerprint, now_s)
        except BaseException as error:
            self._lose(self._takers, Outcome.FAILED, "record")
            GUARD.caught("issues.report", error)
            return
        if decided.noticed is None:
            span_ids = (span.span_id for span in decided.path)
            self._noticed.is_told_by(
                decided.local,
                span_ids,
                looks.fingerprint,
                time_ns=decided.time_ns,
                now_s=now_s,
            )
        if is_admitted:
            self._send(decided)
        else:
            self._let_go(decided.event_id)

    def _complete(self, decided: DecidedFailure) -> DecidedFailure:
        return with_open_spans(decided, self._over.get(decided.local), self._traces)

    def _send(self, decided: DecidedFailure, suppressed: int = 0) -> None:
        try:
            issue = self._contents.issue(decided, self._stories, suppressed=suppressed)
        except BaseException as error:
            self._lose(self._takers, Outcome.FAILED, "record")
            GUARD.caught("issues.make", error)
            return
        made = _Made(decided, issue, suppressed)
        for policy, takers in self._levels.items():
            wanting = [lane for lane in takers if self._is_wanted(lane, decided.circumstances)]
            for lane, scrubbed in self._scrubbed(policy, wanting, made):
                lane.destination.ledger.redact(policy.redacted)
                self._hand_over(lane, scrubbed, decided.local)
        self._let_go(decided.event_id)

    @staticmethod
    def _hand_over(lane: Lane, issue: Issue, local: LocalTrace) -> None:
        try:
            lane.accept_issue(issue, local)
        except BaseException as error:  # the others get theirs
            lane.destination.ledger.settle(Signal.ERROR, Outcome.FAILED, 1, "record")
            GUARD.caught("issues.hand_over", error)

    def _is_wanted(self, lane: Lane, around: Circumstances) -> bool:
        try:
            return lane.wants_issue(around)
        except BaseException as error:  # undecided is left out: it may be meant to stay here
            self._lose([lane], Outcome.WITHHELD, "rules failed")
            GUARD.caught("rules.issue", error)
            return False

    def _scrubbed(
        self,
        policy: PrivacyPolicy,
        lanes: Iterable[Lane],
        made: _Made,
        *,
        is_owed: bool = True,
    ) -> Iterator[tuple[Lane, Issue]]:
        """The issue as each destination may have it; one that must not have it is counted."""
        groups: dict[Lane | None, list[Lane]] = {}
        for lane in lanes:
            groups.setdefault(lane if lane.is_selective else None, []).append(lane)
        for selective, alike in groups.items():
            try:
                issue = made.issue if selective is None else self._part(selective, made)
                scrubbed = policy.scrub_issue(issue)
            except BaseException as error:
                if is_owed:
                    self._lose(alike, Outcome.WITHHELD, "privacy policy failed")
                GUARD.caught("privacy.issue", error)
                continue
            for lane in alike:
                yield lane, scrubbed

    def _part(self, lane: Lane, made: _Made) -> Issue:
        """The issue as if there were nothing but what goes to one destination."""
        decided = made.decided
        span, root = decided.span, decided.root
        part = msgspec.structs.replace(
            decided,
            span=span and lane.without_dropped_events(span, span),
            path=tuple(filter(lane.takes, decided.path)),
            above=tuple(filter(lane.takes, decided.above)),
            root=lane.without_dropped_events(root, root) if root and lane.takes(root) else None,
        )
        return self._contents.issue(
            part, self._stories, suppressed=made.suppressed, tells=lane.tells
        )

    def _hold(self, decided: DecidedFailure) -> None:
        try:
            decided = self._complete(decided)
            made = _Made(decided, self._contents.issue(decided, self._stories))
        except BaseException as error:
            GUARD.caught("issues.hold", error)
            return
        self._held.add(decided.event_id)
        for policy, takers in self._levels.items():
            holding = [lane for lane in takers if self._may_hold(lane, decided.circumstances)]
            for lane, issue in self._scrubbed(policy, holding, made, is_owed=False):
                try:
                    lane.destination.hold_issue(issue, decided.local)
                except BaseException as error:  # the others hold theirs
                    GUARD.caught("issues.hold", error)

    @staticmethod
    def _may_hold(lane: Lane, around: Circumstances) -> bool:
        try:
            return lane.may_hold(around)
        except BaseException as error:
            GUARD.caught("rules.issue", error)
            return False

    def _let_go(self, event_id: str) -> None:
        if event_id in self._held:
            self._held.discard(event_id)
            for lane in self._takers:
                lane.destination.let_go(event_id)

    @staticmethod
    def _lose(takers: Iterable[Lane], outcome: Outcome, reason: str) -> None:
        for lane in takers:
            lane.destination.give_up(Signal.ERROR, outcome, 1, reason)


def _without_content(record: LogRecord) -> LogRecord:
    """The record with its event's name in place, and without the prompt or answer it may be.

    Such a body stands among the attributes from here on, where the privacy policy knows it. Older
    conventions give an event's name as an attribute.
    """
    event_name = record.event_name or record.attributes.get("event.name")
    if not isinstance(event_name, str) or not event_name:
        return record
    if not is_event_content(event_name, "body"):
        return msgspec.structs.replace(record, event_name=event_name)
    attributes = {**record.attributes, "body": record.body} if record.body else record.attributes
    return msgspec.structs.replace(record, event_name=event_name, body="", attributes=attributes)
