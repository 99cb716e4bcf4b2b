"""The only place that knows all stages: a finished span in, scrubbed records at the lanes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.model.outcome import Outcome, Signal
from spanbridge.process.in_flight import InFlight, Left
from spanbridge.process.intake import Logged
from spanbridge.record.bound import take_bound
from spanbridge.record.identity import Identity
from spanbridge.record.outcome import with_outcome
from spanbridge.record.span import read_span
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.destinations.shape import Destination
    from spanbridge.issues import Issues
    from spanbridge.lane import Lane
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.intake import Ended
    from spanbridge.process.local_trace import LocalTrace, LocalTraces
    from spanbridge.settings import Settings


class Stages:
    """Takes what has ended through record, decide, privacy and rules. On the worker's thread.

    What fails on the way costs one item, and is counted.

    Args:
        settings: The resolved settings.
        traces: The process's local traces.
        destinations: All there are.
        lanes: The ways to those that take spans or issues.
        issues: Where failures are decided.
    """

    def __init__(
        self,
        settings: Settings,
        traces: LocalTraces,
        destinations: Sequence[Destination],
        lanes: Sequence[Lane],
        issues: Issues,
    ) -> None:
        self._traces = traces
        self._destinations = destinations
        self._lanes = lanes
        self._issues = issues
        self._identity = Identity(settings)
        self._levels: dict[PrivacyPolicy, list[Lane]] = {}
        """By privacy level: what is equal is scrubbed once."""
        for lane in lanes:
            self._levels.setdefault(lane.policy, []).append(lane)
        self._everywhere = frozenset(lane.name for lane in lanes)
        self._judges = frozenset(lane.name for lane in lanes if lane.judges_traces)
        """Of those that may keep a trace because of what happens in it."""

    def process(self, batch: Iterable[Ended | Logged], now_s: float) -> None:
        """Take spans and log records as far as they get by now."""
        for item in batch:
            if isinstance(item, Logged):
                self._take_log(item, now_s)
            else:
                span, local, seen = item
                self._take_span(span, local, seen, now_s)
        event_ids = self._issues.event_ids()
        for lane in self._lanes:
            lane.pass_on(event_ids, now_s)

    def advance(self, now_s: float) -> None:
        """Let what has become due leave for the destinations."""
        for lane in self._lanes:
            lane.advance(now_s)

    def count_refused(self, spans: int, errors: int) -> None:
        """Count what found no place in the intake."""
        if not spans and not errors:
            return
        if spans:
            self._fail(self._everywhere, Outcome.EVICTED, "intake full", spans)
        for destination in self._destinations:
            if errors and destination.takes_issues:
                destination.give_up(Signal.ERROR, Outcome.EVICTED, errors, "intake full")
        lost = f"{spans} spans and {errors} errors were dropped, counted as evicted"
        GUARD.report("intake full", lost)

    def give_up_lost(self, now_s: float, *, at_once: bool) -> None:
        """Count the spans that will never end, and go on without them."""
        for reference in self._traces.forget_lost(now_s, at_once=at_once):
            local = reference.local
            local.open.pop(reference.span_id, None)
            local.bound.pop(reference.span_id, None)
            self._fail(local.keepers | local.kept_by_rule, Outcome.NEVER_ENDED, "")
            if reference.span_id == local.root_id:
                self._traces.close(local)
                self._issues.lose(local)
                for lane in self._lanes:
                    lane.lose(local, now_s)

    def _take_span(
        self,
        span: ReadableSpan,
        local: LocalTrace,
        seen: InFlight | Left | None,
        now_s: float,
    ) -> None:
        if (context := span.get_span_context()) is not None:
            local.arrived(context.span_id)
        bound = take_bound(span, local) if local.bound else None
        readers = local.keepers
        if self._judges and local.is_by_rate:  # work that is excluded is not kept by any rule
            readers = readers | self._judges
        levels = self._levels
        if not self._everywhere <= readers:
            self._leave_out(span, local, readers)
            levels = self._levels_of(readers)
        in_flight = seen if isinstance(seen, InFlight) else None
        try:
            if not readers and not self._issues.wants(span, local, in_flight):
                self._issues.note(local, span)
                return
            record = read_span(span, self._identity.of(span.resource))
            if bound is not None:
                bound.put_into(record.attributes)
            if seen is not None or record.events:
                record = with_outcome(record, seen.outcome if isinstance(seen, Left) else None)
            self._issues.observe(local, record, in_flight, now_s)
        except BaseException as error:
            self._fail(readers, Outcome.FAILED, "record")
            GUARD.caught("record.span", error)
            return
        for policy, lanes in levels.items():
            try:
                scrubbed = policy.scrub_span(record)
            except BaseException as error:
                _fail_all(lanes, Outcome.WITHHELD, "privacy policy failed")
                GUARD.caught("privacy.span", error)
                continue
            for lane in lanes:
                if policy.redacted:
                    lane.destination.ledger.redact(policy.redacted)
                try:
                    lane.add(local, scrubbed, record)
                except BaseException as error:  # undecided is left out: it may have to stay
                    lane.fail(Outcome.WITHHELD, "rules failed")
                    GUARD.caught("rules.span", error)

    def _levels_of(self, readers: frozenset[str]) -> dict[PrivacyPolicy, list[Lane]]:
        """The lanes of those that read a span, by privacy level."""
        reading = {
            policy: [lane for lane in lanes if lane.name in readers]
            for policy, lanes in self._levels.items()
        }
        return {policy: lanes for policy, lanes in reading.items() if lanes}

    def _leave_out(self, span: ReadableSpan, local: LocalTrace, readers: frozenset[str]) -> None:
        is_root = (parent := span.parent) is None or parent.is_remote
        for lane in self._lanes:
            if lane.name not in readers:
                lane.leave_out(local, is_root)

    def _take_log(self, logged: Logged, now_s: float) -> None:
        try:
            self._issues.observe_log(logged, now_s)
        except BaseException as error:
            if logged.is_error:
                for destination in self._destinations:
                    if destination.takes_issues:
                        destination.give_up(Signal.ERROR, Outcome.FAILED, 1, "record")
            GUARD.caught("record.log", error)
        if logged.span is None:  # outside of spans there is no trace to be kept
            return
        for lane in self._lanes:
            try:
                lane.note_log(logged.local, logged.record)
            except BaseException as error:
                GUARD.caught("rules.log", error)

    def _fail(self, names: frozenset[str], outcome: Outcome, reason: str, count: int = 1) -> None:
        _fail_all([lane for lane in self._lanes if lane.name in names], outcome, reason, count)


def _fail_all(lanes: Iterable[Lane], outcome: Outcome, reason: str, count: int = 1) -> None:
    for lane in lanes:
        lane.fail(outcome, reason, count)
