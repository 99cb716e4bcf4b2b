"""Providers with the bridge on them, apart from all process-wide state."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.bridge import Bridge
from spanbridge.runtime.ledger import LedgerSnapshot
from spanbridge.settings import load


class Bridged:
    """The bridge and providers of its own."""

    def __init__(self, arguments: dict[str, object]) -> None:
        self.settings = load({"environment": "development", "release": "1.0", **arguments}, {})
        self.bridge = Bridge()
        self.bridge.exchange(self.settings)
        self.provider = self.make_provider(resource=Resource({"service.name": "tested"}))
        self.tracer = self.provider.get_tracer("tests")
        self.logger_provider = LoggerProvider(
            resource=self.provider.resource, shutdown_on_exit=False
        )
        self.logger_provider.add_log_record_processor(self.bridge.log_processor)

    def make_provider(self, **arguments: Any) -> TracerProvider:
        """A tracer provider with the bridge on it, made with ``arguments``."""
        provider = TracerProvider(sampler=self.bridge.sampler, shutdown_on_exit=False, **arguments)
        provider.add_span_processor(self.bridge.processor)
        return provider

    def flush(self, timeout_s: float = 30.0) -> None:
        assert self.bridge.flush(timeout_s)

    @contextmanager
    def chained(self) -> Iterator[None]:
        """The process's log records and uncaught exceptions reach the bridge meanwhile."""
        with process_as_it_was():
            self.bridge.stdlib_logging.chain()
            self.bridge.hooks.chain()
            yield

    def ledger(self, name: str) -> LedgerSnapshot:
        return self.bridge.statuses()[name].ledger


@contextmanager
def process_as_it_was() -> Iterator[None]:
    """The hooks and the log record factory are put back at the end."""
    factory = logging.getLogRecordFactory()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


@contextmanager
def bridged(**arguments: object) -> Iterator[Bridged]:
    """A bridge configured by ``arguments`` alone, closed at the end."""
    under_test = Bridged(arguments)
    try:
        yield under_test
    finally:
        under_test.bridge.close(5.0)
