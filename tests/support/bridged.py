"""A tracer provider with the bridge on it, apart from all process-wide state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.bridge import Bridge
from spanbridge.runtime.ledger import LedgerSnapshot
from spanbridge.settings import load


class Bridged:
    """The bridge and a provider of its own."""

    def __init__(self, arguments: dict[str, object]) -> None:
        self.settings = load({"environment": "development", "release": "1.0", **arguments}, {})
        self.bridge = Bridge()
        self.bridge.exchange(self.settings)
        self.provider = TracerProvider(
            sampler=self.bridge.sampler,
            resource=Resource({"service.name": "tested"}),
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(self.bridge.processor)
        self.tracer = self.provider.get_tracer("tests")

    def flush(self, timeout_s: float = 5.0) -> None:
        assert self.bridge.flush(timeout_s)

    def ledger(self, name: str) -> LedgerSnapshot:
        return self.bridge.statuses()[name].ledger


@contextmanager
def bridged(**arguments: object) -> Iterator[Bridged]:
    """A bridge configured by ``arguments`` alone, closed at the end."""
    under_test = Bridged(arguments)
    try:
        yield under_test
    finally:
        under_test.bridge.close(5.0)
