"""Metrics of one process: lasting readers, and a collector that is exchanged with the settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from spanbridge.metrics.collector import Collector
from spanbridge.metrics.readers import Readers
from spanbridge.record.identity import Identity
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.sdk.metrics import MeterProvider

    from spanbridge.destinations.shape import Destination
    from spanbridge.metrics.reader import BridgeReader
    from spanbridge.settings import Settings


class Metrics:
    """What the application records with OpenTelemetry's metrics API, on its way out.

    Args:
        flushes: What a flush of the meter provider leads to: all signals, all destinations.
    """

    def __init__(self, flushes: Callable[[float], bool]) -> None:
        self._readers = Readers(flushes)
        self._collector: Collector | None = None

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

    def exchange(self, destinations: Iterable[Destination], settings: Settings) -> None:
        """Collect for ``destinations`` from now on.

        The former ones get what was recorded until now; they must still take it. Totals go on.

        Args:
            destinations: All there are.
            settings: How often, who the program is, and how long the last collection for the
                former ones may take.
        """
        takers = [d for d in destinations if d.metric_form is not None]
        new = self._new(takers, settings) if takers else None
        forms = new.forms if new is not None else ()
        # Before the last collection, so that nothing falls between the two.
        _try(self._readers.add, forms)
        if self._collector is not None:
            self._collector.close(settings.shutdown_timeout_s)
        _try(self._readers.keep_only, forms)
        self._collector = new
        if new is not None:
            new.start()

    def _new(self, takers: Sequence[Destination], settings: Settings) -> Collector:
        identity = Identity(settings)
        return Collector(self._readers, takers, settings.metric_interval_s, identity)

    def flush(self, timeout_s: float) -> bool:
        """Collect now, for all destinations; false if the deadline passed first."""
        return self._collector is None or self._collector.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Collect a last time and record nothing any more; false if the deadline passed first."""
        if self._collector is None:
            return True
        deadline = time.monotonic() + timeout_s
        is_done = self._collector.close(timeout_s)
        _try(self._readers.keep_only, (), max(0.05, deadline - time.monotonic()))
        return is_done


def _try(change: Callable[..., None], *arguments: object) -> None:
    """Change the readers, unless a callback of the application's holds up a collection."""
    try:
        change(*arguments)
    except TimeoutError as error:
        GUARD.report("metrics: readers not changed", str(error))
