"""The thread that collects metrics and gives them to the destinations of one configuration."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.metrics.scrub import Scrubbed, scrub_points
from spanbridge.metrics.self_metrics import TAKING, without_own
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanbridge.destinations.shape import Destination
    from spanbridge.metrics.readers import Readers
    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.metric_form import MetricForm
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.record.identity import Identity

COLLECT_TIMEOUT_S: Final = 10.0
"""How long one collection may take, with the application's callbacks in it."""
PAGE_TIMEOUT_S: Final = 5.0
"""The same for one that somebody waits for: Prometheus gives up after ten seconds."""


class Collector:
    """Collects in every form that is wanted, scrubs for every privacy level, and hands over.

    Args:
        readers: Where metrics are collected.
        destinations: Those that take metrics.
        interval_s: Seconds between two collections.
        identity: Who the program is by the settings; the meter provider's resource is fixed.
    """

    def __init__(
        self,
        readers: Readers,
        destinations: Sequence[Destination],
        interval_s: float,
        identity: Identity,
    ) -> None:
        self._readers = readers
        self._identity = identity
        self._destinations = destinations
        self._interval_s = interval_s
        self.forms: dict[MetricForm, None] = {
            d.metric_form: None for d in destinations if d.metric_form is not None
        }
        self.names = tuple(destination.name for destination in destinations)
        self.is_started = False
        self.is_retired = False
        """Whether another one takes its place, soon or already. In a forked child it has."""
        self.is_closed = False
        self._start_empty()

    def _start_empty(self) -> None:
        self._requests: deque[threading.Event] = deque()
        self._is_wanted = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, now and in every forked child."""
        self.is_started = True
        if self.is_closed:
            return
        for destination in self._destinations:
            if destination.asks_for_metrics:
                destination.ask_for_metrics_at(partial(self._answer, destination))
        self._thread = start_daemon("metrics", self._run)
        after_fork_in_child(self._after_fork)

    def _after_fork(self) -> None:
        if self.is_closed or self.is_retired:
            return
        self._start_empty()
        self._thread = start_daemon("metrics", self._run)

    def flush(self, timeout_s: float) -> bool:
        """Collect now; false if that takes longer than the deadline."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return self.is_closed
        collected = threading.Event()
        self._requests.append(collected)
        self._is_wanted.set()
        return collected.wait(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Collect a last time and stop; false if that takes longer than the deadline."""
        if self.is_closed:
            return True
        self.is_closed = self._is_stopping = True
        self._is_wanted.set()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        thread.join(timeout_s)
        return not thread.is_alive()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        due_s = time.monotonic() + self._interval_s
        is_last = False
        while not is_last:
            self._is_wanted.wait(max(0.0, due_s - time.monotonic()))
            self._is_wanted.clear()
            late_s = time.monotonic() - due_s
            if late_s >= 0:
                due_s += self._interval_s * (1 + late_s // self._interval_s)
            # Asked before the round: what is recorded while one is under way takes another.
            is_last = self._is_stopping
            self._round()

    def _round(self) -> None:
        requests = [self._requests.popleft() for _ in range(len(self._requests))]
        for form in self.forms:
            pushed = [
                destination
                for destination in self._destinations
                if destination.metric_form == form and not destination.asks_for_metrics
            ]
            # BaseException too: what a callback of the application's raises would end the thread.
            try:
                if pushed:
                    self._collect(form, pushed)
            except TimeoutError as error:
                GUARD.report("metrics: not collected", str(error))
            except BaseException as error:
                GUARD.caught("metrics.collect", error)
        for request in requests:
            request.set()

    def _collect(self, form: MetricForm, destinations: Sequence[Destination]) -> None:
        points = self._read(form, COLLECT_TIMEOUT_S)
        alike: defaultdict[tuple[PrivacyPolicy, bool], list[Destination]] = defaultdict(list)
        for destination in destinations:
            alike[destination.policy, destination.kind in TAKING].append(destination)
        for (policy, takes_own), takers in alike.items():
            scrubbed = scrub_points(policy, points if takes_own else without_own(points))
            for destination in takers:
                _count(destination, scrubbed)
                if scrubbed.points:
                    destination.accept_metrics(scrubbed.points)

    def _read(self, form: MetricForm, timeout_s: float) -> list[MetricPoint]:
        return [self._identified(point) for point in self._readers.read(form, timeout_s)]

    def _identified(self, point: MetricPoint) -> MetricPoint:
        resource = self._identity.on(point.resource)
        if resource is point.resource:
            return point
        return msgspec.structs.replace(point, resource=resource)

    # ------------------------------------------------------------------ the thread of a request

    def _answer(self, destination: Destination) -> list[MetricPoint]:
        """What there is now, for a destination that asks. Raises if that takes too long."""
        if destination.metric_form is None or self.is_closed:
            return []
        points = self._read(destination.metric_form, PAGE_TIMEOUT_S)
        scrubbed = scrub_points(destination.policy, points)
        _count(destination, scrubbed)
        return scrubbed.points


def _count(destination: Destination, scrubbed: Scrubbed) -> None:
    if scrubbed.merged:
        destination.give_up(Signal.METRIC, Outcome.MERGED, scrubbed.merged, "")
    if scrubbed.withheld:
        reason = "privacy policy failed"
        destination.give_up(Signal.METRIC, Outcome.WITHHELD, scrubbed.withheld, reason)
    if scrubbed.redacted:
        destination.ledger.redact(scrubbed.redacted)
