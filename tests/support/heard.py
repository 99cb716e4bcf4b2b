"""What loggers and hooks have to tell, taken where the worker would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

from spanbridge.process.hooks import Hooks
from spanbridge.process.intake import Intake, Logged
from spanbridge.process.local_trace import LocalTraces
from spanbridge.process.log_processor import BridgeLogProcessor
from spanbridge.process.recent_records import RecentRecords
from spanbridge.process.reporter import Reporter
from spanbridge.process.stdlib_logging import LEVELS, StdlibLogging
from tests.support.bridged import process_as_it_was

ROOM = 10_000


class Heard:
    """The sources of log records and a reporter without a worker."""

    def __init__(self) -> None:
        self.reporter = Reporter(LocalTraces())
        self.reporter.intake = Intake(ROOM)
        recent = RecentRecords()
        self.stdlib_logging = StdlibLogging(self.reporter, recent)
        self.stdlib_logging.least_level = LEVELS["info"]
        self.hooks = Hooks(self.reporter)
        self.hooks.is_on = True
        self.log_processor = BridgeLogProcessor(self.reporter, recent)
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(self.log_processor)
        self.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")

    def take(self) -> list[Logged]:
        """What was told since the last call."""
        assert self.reporter.intake is not None
        told = list(self.reporter.intake.take(ROOM))
        return [item for item in told if isinstance(item, Logged)]

    def take_one(self) -> Logged:
        """The one thing told since the last call."""
        [only] = self.take()
        return only


def exporter_of(provider: LoggerProvider) -> InMemoryLogRecordExporter:
    """What the provider exports from now on, behind the processors it has."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    return exporter


@contextmanager
def hearing(*, logs: bool = False, hooks: bool = False) -> Iterator[Heard]:
    """Sources chained into the process for the time being, as asked for."""
    heard = Heard()
    with process_as_it_was():
        if logs:
            heard.stdlib_logging.chain()
        if hooks:
            heard.hooks.chain()
        yield heard
