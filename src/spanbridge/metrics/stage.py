"""Metrics of one process: lasting readers, and a collector that is exchanged with the settings."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from spanbridge.metrics.collector import Collector
from spanbridge.metrics.readers import Readers
from spanbridge.metrics.self_metrics import TAKING, SelfMetrics
from spanbridge.record.identity import Identity
from spanbridge.runtime.fork import after_fork_in_child
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.threads import start_daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.sdk.metrics import MeterProvider

    from spanbridge.destinations.shape import Destination
    from spanbridge.metrics.reader import BridgeReader
    from spanbridge.settings import Settings


EXCHANGE_WAIT_S: Final = 0.5
"""How long who changes the settings waits for the last collection of the former ones. It is a
matter of milliseconds, unless a callback of the application's does not return."""


class Metrics:
    """What the application records with OpenTelemetry's metrics API, on its way out.

    Args:
        flushes: What a flush of the meter provider leads to: all signals, all destinations.
        self_metrics: Our own, which go along.
    """

    def __init__(self, flushes: Callable[[float], bool], self_metrics: SelfMetrics) -> None:
        self._readers = Readers(flushes)
        self._self_metrics = self_metrics
        self._collector: Collector | None = None
        self._exchange: threading.Thread | None = None
        after_fork_in_child(self._after_fork)

    def _after_fork(self) -> None:
        # Who would have started it exists in the parent only.
        self._exchange = None
        if self._collector is not None and not self._collector.is_started:
            self._collector.start()

    @property
    def needs_provider(self) -> bool:
        """Whether a destination takes metrics and there is nothing to read them from."""
        return self._collector is not None and not self._readers.is_attached

    @property
    def are_flushed_by_provider(self) -> bool:
        """Whether who flushes the meter provider flushes us."""
        return self._readers.are_flushed

    @property
    def takers(self) -> tuple[str, ...]:
        """Names of the destinations that get metrics."""
        if self._collector is None or self._collector.is_closed or not self._readers.is_attached:
            return ()
        return self._collector.names

    def readers(self) -> list[BridgeReader]:
        """Readers for a meter provider of our own."""
        return self._readers.make(self._collector.forms if self._collector is not None else ())

    def attach(self, provider: MeterProvider, *, is_own: bool) -> None:
        """Read from ``provider`` for good."""
        forms = self._collector.forms if self._collector is not None else ()
        self._readers.attach(provider, forms, is_own=is_own)
        self._self_metrics.register(provider)

    def exchange(
        self, destinations: Iterable[Destination], settings: Settings
    ) -> Callable[[float], bool]:
        """Collect for ``destinations`` from now on.

        The former ones get what was recorded until now. Totals go on. A callback that does not
        return holds this up for a moment only; it goes on in the background then.

        Args:
            destinations: All there are.
            settings: How often, who the program is, and how long the last collection for the
                former ones may take.

        Returns:
            Waits, so many seconds at most, until the former ones got it, and says whether they
            did. They must take it until then.
        """
        takers = [d for d in destinations if d.metric_form is not None]
        new = self._new(takers, settings) if takers else None
        self._self_metrics.is_on = settings.self_metrics and any(d.kind in TAKING for d in takers)
        old, self._collector = self._collector, new
        if old is not None:
            old.is_retired = True
        before = self._exchange

        def exchange() -> None:
            if before is not None:
                before.join()
            try:
                self._relieve(old, new, settings.shutdown_timeout_s)
            finally:
                if new is not None:
                    new.start()

        is_first = old is None and before is None
        thread = None if is_first else start_daemon("metrics-exchange", exchange)
        if thread is None:
            exchange()
            return lambda timeout_s: True
        self._exchange = thread
        thread.join(EXCHANGE_WAIT_S)
        return lambda timeout_s: _has_ended(thread, timeout_s)

    def _relieve(self, old: Collector | None, new: Collector | None, timeout_s: float) -> None:
        forms = new.forms if new is not None else ()
        # Before the last collection, so that nothing falls between the two.
        _try(self._readers.add, forms)
        if old is not None:
            old.close(timeout_s)
        _try(self._readers.keep_only, forms)

    def _is_exchanged(self, timeout_s: float) -> bool:
        return self._exchange is None or _has_ended(self._exchange, timeout_s)

    def _new(self, takers: Sequence[Destination], settings: Settings) -> Collector:
        identity = Identity(settings)
        return Collector(self._readers, takers, settings.metric_interval_s, identity)

    def flush(self, timeout_s: float) -> bool:
        """Collect now, for all destinations; false if the deadline passed first."""
        deadline = time.monotonic() + timeout_s
        if not self._is_exchanged(timeout_s):
            return False
        collector = self._collector
        return collector is None or collector.flush(max(0.0, deadline - time.monotonic()))

    def close(self, timeout_s: float) -> bool:
        """Collect a last time and record nothing any more; false if the deadline passed first."""
        if self._collector is None:
            return True
        deadline = time.monotonic() + timeout_s
        is_exchanged = self._is_exchanged(timeout_s)
        is_done = self._collector.close(max(0.05, deadline - time.monotonic())) and is_exchanged
        _try(self._readers.keep_only, (), max(0.05, deadline - time.monotonic()))
        return is_done


def _has_ended(thread: threading.Thread, timeout_s: float) -> bool:
    if thread is not threading.current_thread():
        thread.join(timeout_s)
    return not thread.is_alive()


def _try(change: Callable[..., None], *arguments: object) -> None:
    """Change the readers, unless a callback of the application's holds up a collection."""
    try:
        change(*arguments)
    except TimeoutError as error:
        GUARD.report("metrics: readers not changed", str(error))
