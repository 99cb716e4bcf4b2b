"""The only place that knows all stages: finished spans in, scrubbed records out."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.conventions.upstream import SENTRY_EVENT_ID
from spanbridge.destinations.make import make_destination
from spanbridge.destinations.shape import Finished
from spanbridge.errors import ConfigurationError
from spanbridge.issues import Issues
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.process.in_flight import InFlight, Left
from spanbridge.process.intake import Intake, Logged
from spanbridge.process.sampling import SamplingPolicy
from spanbridge.record.bound import take_bound
from spanbridge.record.outcome import with_outcome
from spanbridge.record.span import read_span
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanbridge.destinations.shape import Destination
    from spanbridge.process.intake import Ended
    from spanbridge.process.local_trace import LocalTraces
    from spanbridge.settings import Settings

BATCH: Final = 2048
"""Spans taken from the intake at once."""
GATHER_S: Final = 0.02
"""Pause before each round: a request that has just ended is answered first, and under load one
round serves many traces, which costs a fraction of being woken for each."""
TICK_S: Final = 1.0
"""Longest sleep of the worker: what became due meanwhile is at most this late."""
DECISION_TICK_S: Final = 0.2
"""The same while a failure is under decision: a decided one leaves within a second."""


class Pipeline:
    """A worker thread and the destinations of one configuration.

    Args:
        settings: The resolved settings.
        traces: The process's local traces.
    """

    def __init__(self, settings: Settings, traces: LocalTraces) -> None:
        self.settings = settings
        self._traces = traces
        self.destinations, self.problems = _make_destinations(settings)
        made = {destination.name for destination in self.destinations}
        self.sampling = SamplingPolicy(
            {o.name: o.sample_rate for o in settings.destinations if o.name in made},
            sentry=[o.name for o in settings.destinations if o.kind == "sentry" and o.name in made],
            follows_remote=settings.remote_decision == "honour",
        )
        self.intake = Intake(
            max((options.queue_max_items for options in settings.destinations), default=0)
        )
        self._levels = {
            policy: frozenset(d.name for d in self.destinations if d.policy == policy)
            for policy in {d.policy: None for d in self.destinations}
        }
        """Names of the destinations by privacy level: what is equal is scrubbed once."""
        self._names = frozenset(destination.name for destination in self.destinations)
        self._issues = Issues(settings, traces, self.destinations)
        self.is_closed = False
        self._start_empty()

    def _start_empty(self) -> None:
        self._flush_requests: deque[threading.Event] = deque()
        self._is_urgent = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the threads, now and in every forked child."""
        self._start_threads()
        after_fork_in_child(self._after_fork)

    def _start_threads(self) -> None:
        for destination in self.destinations:
            destination.start()
        self._thread = threading.Thread(target=self._run, name="spanbridge-worker", daemon=True)
        self._thread.start()

    def _after_fork(self) -> None:
        if self.is_closed:
            return
        self.intake.reset()
        self._traces.forget_lost(time.monotonic(), at_once=True)  # the parent counts them
        self._start_empty()
        self._issues.start_empty()
        for destination in self.destinations:
            destination.after_fork()
        self._start_threads()

    def flush(self, timeout_s: float) -> bool:
        """Let everything that ended so far leave; false if the deadline passed first."""
        deadline = time.monotonic() + timeout_s
        if not self._hand_over(timeout_s):
            return False
        # A list, not a generator: every destination gets its turn, also after a failure.
        flushed = [
            destination.flush(max(0.0, deadline - time.monotonic()))
            for destination in self.destinations
        ]
        return all(flushed)

    def close(self, timeout_s: float) -> bool:
        """Flush, decide what is undecided, and stop all threads within the deadline."""
        if self.is_closed:
            return True
        self.is_closed = True
        deadline = time.monotonic() + timeout_s
        self._is_stopping = True
        self._is_urgent.set()
        self.intake.wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s * 0.8)
        closed = [
            destination.close(max(0.05, deadline - time.monotonic()))
            for destination in self.destinations
        ]
        return all(closed)

    def _hand_over(self, timeout_s: float) -> bool:
        """Wait until the worker passed on all that is queued now."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return self.is_closed
        passed_on = threading.Event()
        self._flush_requests.append(passed_on)
        self._is_urgent.set()
        self.intake.wake()
        return passed_on.wait(timeout_s)

    # ------------------------------------------------------------------ the worker's thread

    def _run(self) -> None:
        while not self._is_stopping:
            self.intake.wait(
                DECISION_TICK_S if self._issues.is_waiting else TICK_S, self._is_wanted
            )
            if not self._is_wanted():
                self._is_urgent.wait(GATHER_S)
            # BaseException too: a hook or a ``__repr__`` of the application's that raises
            # SystemExit here would end the worker, and nothing else.
            try:
                self._round()
            except BaseException as error:
                GUARD.caught("pipeline.worker", error)
        try:
            self._last_round()
        except BaseException as error:
            GUARD.caught("pipeline.shutdown", error)

    def _is_wanted(self) -> bool:
        return self._is_stopping or bool(self._flush_requests)

    def _round(self) -> None:
        self._is_urgent.clear()
        requests = [self._flush_requests.popleft() for _ in range(len(self._flush_requests))]
        try:
            now_s = time.monotonic()
            self._drain(now_s, is_flush=bool(requests))
            self._issues.pass_on(now_s, is_flush=bool(requests))
            if requests:
                for destination in self.destinations:
                    destination.release(now_s)
        finally:
            for request in requests:
                request.set()

    def _last_round(self) -> None:
        now_s = time.monotonic()
        self._drain(now_s, is_flush=True)
        self._issues.decide_all(now_s)
        for destination in self.destinations:
            destination.release(now_s)
        for request in self._flush_requests:
            request.set()

    def _drain(self, now_s: float, *, is_flush: bool) -> None:
        # What waits now and no more: under a load the worker cannot match, new spans would keep
        # it here for ever, and nothing would be sent, decided or bounded meanwhile.
        waiting = len(self.intake)
        while waiting > 0:
            self._process(self.intake.take(min(waiting, BATCH)), now_s)
            self._advance(now_s)
            waiting -= BATCH
        self._count_refused(*self.intake.take_refused())
        self._give_up_lost(now_s, at_once=is_flush)
        self._advance(now_s)

    def _advance(self, now_s: float) -> None:
        for destination in self.destinations:
            destination.advance(now_s)

    def _process(self, batch: Iterable[Ended | Logged], now_s: float) -> None:
        names = self._names
        accepted: dict[str, list[Finished]] = {name: [] for name in names}
        left_out = {name: [0, 0] for name in names}
        for item in batch:
            if isinstance(item, Logged):
                self._take_log(item, now_s)
                continue
            span, local, seen = item
            bound = take_bound(span, local) if local.bound else None
            keepers = local.keepers
            if not names <= keepers:
                is_root = (parent := span.parent) is None or parent.is_remote
                for name in names - keepers:
                    left_out[name][0] += 1
                    left_out[name][1] += is_root
            in_flight = seen if isinstance(seen, InFlight) else None
            try:
                if not keepers and not self._issues.wants(span, local, in_flight):
                    self._issues.note(local, span)
                    continue
                record = read_span(span)
                if bound is not None:
                    bound.put_into(record.attributes)
                if seen is not None or record.events:
                    record = with_outcome(record, seen.outcome if isinstance(seen, Left) else None)
                self._issues.observe(local, record, in_flight, now_s)
            except Exception as error:
                self._fail(keepers, Outcome.FAILED, "record")
                GUARD.caught("record.span", error)
                continue
            for policy, level in self._levels.items():
                keeping = level if level <= keepers else level & keepers
                if not keeping:
                    continue
                try:
                    finished = Finished(local, policy.scrub_span(record))
                except Exception as error:
                    self._fail(keeping, Outcome.WITHHELD, "privacy policy failed")
                    GUARD.caught("privacy.span", error)
                    continue
                for name in keeping:
                    accepted[name].append(finished)
                if policy.redacted:
                    self._note_redacted(keeping, policy.redacted)
        if event_ids := self._issues.event_ids():
            for finished_spans in accepted.values():
                _name_events(finished_spans, event_ids)
        for destination in self.destinations:
            if left_out[destination.name][0]:
                destination.sampled_out(*left_out[destination.name])
            if accepted[destination.name]:
                destination.accept_spans(accepted[destination.name], now_s)

    def _take_log(self, logged: Logged, now_s: float) -> None:
        try:
            self._issues.observe_log(logged, now_s)
        except Exception as error:
            if logged.is_error:
                for destination in self.destinations:
                    if destination.takes_issues:
                        destination.give_up(Signal.ERROR, Outcome.FAILED, 1, "record")
            GUARD.caught("record.log", error)

    def _count_refused(self, spans: int, errors: int) -> None:
        if not spans and not errors:
            return
        if spans:
            self._fail(self._names, Outcome.EVICTED, "intake full", spans)
        for destination in self.destinations:
            if errors and destination.takes_issues:
                destination.give_up(Signal.ERROR, Outcome.EVICTED, errors, "intake full")
        lost = f"{spans} spans and {errors} errors were dropped, counted as evicted"
        GUARD.report("intake full", lost)

    def _give_up_lost(self, now_s: float, *, at_once: bool) -> None:
        for reference in self._traces.forget_lost(now_s, at_once=at_once):
            local = reference.local
            local.open.pop(reference.span_id, None)
            local.bound.pop(reference.span_id, None)
            self._fail(local.keepers, Outcome.NEVER_ENDED, "")
            if reference.span_id == local.root_id:
                self._traces.close(local)
                self._issues.lose(local)
                for destination in self.destinations:
                    destination.lose(local)

    def _note_redacted(self, names: frozenset[str], kinds: list[str]) -> None:
        for destination in self.destinations:
            if destination.name in names:
                destination.ledger.redact(kinds)

    def _fail(self, names: frozenset[str], outcome: Outcome, reason: str, count: int = 1) -> None:
        for destination in self.destinations:
            if destination.name in names:
                destination.give_up(Signal.SPAN, outcome, count, reason)


def _name_events(spans: list[Finished], event_ids: dict[str, str]) -> None:
    """Put on each failing span the id of the issue's event."""
    for position, (local, span) in enumerate(spans):
        if (event_id := event_ids.get(span.span_id)) is not None:
            attributes = {**span.attributes, SENTRY_EVENT_ID: event_id}
            named = msgspec.structs.replace(span, attributes=attributes)
            spans[position] = Finished(local, named)


def _make_destinations(
    settings: Settings,
) -> tuple[list[Destination], tuple[ConfigurationError, ...]]:
    """The destinations, and what is wrong with those that are left out.

    Some mistakes show only now: a certificate that cannot be read, a proxy that makes no sense.
    """
    made: list[Destination] = []
    problems: list[ConfigurationError] = []
    for options in settings.destinations:
        try:
            made.append(make_destination(options, settings))
        except ConfigurationError as problem:
            if settings.on_config_error == "raise":
                raise
            problems.append(problem)
    return made, tuple(problems)
