"""The parts OpenTelemetry is given, and the pipeline that stands behind them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from spanbridge.figures import Figures
from spanbridge.leaving import Leaving
from spanbridge.metrics.self_metrics import SelfMetrics
from spanbridge.metrics.stage import Metrics
from spanbridge.pipeline import Pipeline
from spanbridge.process.hooks import Hooks
from spanbridge.process.local_trace import LocalTraces
from spanbridge.process.log_processor import BridgeLogProcessor
from spanbridge.process.recent_records import RecentRecords
from spanbridge.process.reporter import Reporter, ignoring
from spanbridge.process.sampling import DelegatingSampler
from spanbridge.process.span_processor import BridgeProcessor, current_local_trace
from spanbridge.process.stdlib_logging import LEVELS, StdlibLogging
from spanbridge.runtime.bound import RUNNING_SPANS
from spanbridge.runtime.fork import before_child_process_ends
from spanbridge.sentry.beside_sdk import BESIDE_SDK, Project
from spanbridge.sentry.incoming import Continuation
from spanbridge.sentry.propagator import EVERYBODY, BridgePropagator, Outgoing, OutgoingOf
from spanbridge.settings import SentryOptions

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanbridge.errors import ConfigurationError
    from spanbridge.runtime.ledger import LedgerSnapshot
    from spanbridge.runtime.status import DestinationStatus
    from spanbridge.sentry.dsc import DscSource
    from spanbridge.settings import Settings
    from spanbridge.settings.tree import LogLevel


class Bridge:
    """Lasting parts that lead to an exchangeable pipeline.

    OpenTelemetry's providers are set once, processors cannot be taken out again, and neither can
    one link of a chain of hooks. So ``processor``, ``log_processor``, ``sampler``, ``propagator``,
    ``stdlib_logging`` and ``hooks`` stay for good; only what they lead to changes.
    """

    def __init__(self) -> None:
        self._traces = LocalTraces()
        self.sampler = DelegatingSampler()
        self.propagator = BridgePropagator()
        self.processor = BridgeProcessor(self._traces)
        self.processor.flushes = self._flush_with_traces
        self.processor.closes = self._close_with_provider
        self.reporter = Reporter(self._traces)
        recent = RecentRecords()
        self.log_processor = BridgeLogProcessor(self.reporter, recent)
        self.log_processor.flushes = self._flush_records
        self.log_processor.closes = self._flush_with_logs
        self.stdlib_logging = StdlibLogging(self.reporter, recent)
        self.hooks = Hooks(self.reporter)
        self._figures = Figures()
        self._self_metrics = SelfMetrics(self._figures.totals)
        self.metrics = Metrics(self.flush, self._self_metrics)
        self.decides_alone = True
        """Whether ``sampler`` is the one in use; somebody else's may leave out traces before us."""
        self._pipeline: Pipeline | None = None
        self._leaving = Leaving(self._figures.let_go)
        self._shutdown_timeout_s = 0.0
        before_child_process_ends(self._close_with_child_process)

    def exchange(self, settings: Settings) -> None:
        """Let new destinations take over at once.

        The old ones deliver what they have, for as long as they would have tried, and stop, in the
        background: nobody who changes a setting waits for a server that hangs.
        """
        self._shutdown_timeout_s = settings.shutdown_timeout_s
        old = self._pipeline
        new = Pipeline(settings, self._traces) if settings.destinations else None
        if new is not None:
            for destination in new.destinations:
                if (source := destination.dsc_source) is not None:
                    source.decides_alone = self.decides_alone
            new.start(works=old is None)
        if old is not None:
            old.retire(new)
        self._figures.follow(new)
        self._lead_to(new)
        has_metrics = self.metrics.exchange(new.destinations if new is not None else (), settings)
        if old is not None:
            self._leaving.see_off(old, has_metrics)

    def flush(self, timeout_s: float) -> bool:
        """Deliver everything that ended so far; false if the deadline passed first."""
        deadline = time.monotonic() + timeout_s
        is_collected = self.metrics.flush(timeout_s / 2)
        return self._flush_records(_until(deadline)) and is_collected

    def _flush_records(self, timeout_s: float) -> bool:
        """The same without what metrics are now."""
        deadline = time.monotonic() + timeout_s
        if not self._leaving.wait_for_hand_over(timeout_s):
            return False
        pipeline = self._pipeline
        is_flushed = pipeline is None or pipeline.flush(_until(deadline))
        return self._leaving.flush(_until(deadline)) and is_flushed

    def _flush_with_traces(self, timeout_s: float) -> bool:
        # Who flushes everything flushes one provider after the other, and each collection runs
        # the application's callbacks: metrics are collected with their own provider alone, unless
        # it is somebody else's, whose flush does not come here.
        if self.metrics.are_flushed_by_provider:
            return self._flush_records(timeout_s)
        return self.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Record nothing any more and deliver what is queued within the deadline.

        The figures of what was closed can still be read.
        """
        deadline = time.monotonic() + timeout_s
        pipeline = self._pipeline
        self._lead_to(None)
        self._pipeline = pipeline
        self._leaving.hurry(0.8 * timeout_s)  # so that they are done counting in time
        self._leaving.wait_for_hand_over(timeout_s)
        is_closed = True
        if pipeline is not None:
            pipeline.intake.close()
            if self._self_metrics.is_on:
                pipeline.flush(_until(deadline) / 2)  # so that they tell what became of it
            is_collected = self.metrics.close(_until(deadline) / 2)
            is_closed = pipeline.close(_until(deadline)) and is_collected
        return self._leaving.wait(_until(deadline)) and is_closed

    @property
    def is_closed(self) -> bool:
        """Whether nothing is recorded any more, until the next :meth:`exchange`."""
        return self._pipeline is not None and self._pipeline.is_closed

    def statuses(self) -> dict[str, DestinationStatus]:
        """How each destination fares."""
        pipeline = self._pipeline
        if pipeline is None:
            return {}
        return pipeline.statuses()

    def former_ledgers(self) -> dict[str, LedgerSnapshot]:
        """What became of what earlier settings' destinations were given, by name."""
        return self._figures.former_ledgers()

    @property
    def problems(self) -> tuple[ConfigurationError, ...]:
        """Destinations that were left out because what they name cannot be used."""
        return self._pipeline.problems if self._pipeline is not None else ()

    def _flush_with_logs(self) -> None:
        # Spans may still come: only the end of their provider is the end of everything.
        self._flush_records(self._shutdown_timeout_s)

    def _close_with_provider(self) -> None:
        self.close(self._shutdown_timeout_s)

    def _close_with_child_process(self) -> None:
        self.hooks.report_end_of_process()
        self._close_with_provider()

    def _lead_to(self, pipeline: Pipeline | None) -> None:
        self._pipeline = pipeline
        if pipeline is None:
            self.processor.intake = self.processor.policy = self.sampler.policy = None
            self.reporter.intake = None
            self.propagator.outgoing = None
            self.propagator.continuation = EVERYBODY
            RUNNING_SPANS.hold = None
            BESIDE_SDK.detach(self.reporter)
            return
        settings = pipeline.settings
        self.processor.includes_locals = self.reporter.includes_locals = settings.include_locals
        self.processor.own_modules = self.reporter.own_modules = settings.in_app_include
        self.reporter.ignores = ignoring(settings.ignored_loggers)
        self.stdlib_logging.least_level = LEVELS[_least_log_level(pipeline)]
        self.hooks.is_on = settings.excepthooks
        self.processor.intake = self.reporter.intake = pipeline.intake
        self.sampler.policy = pipeline.sampling
        self.processor.follow(pipeline.sampling)
        RUNNING_SPANS.hold = self.processor.hold
        self.propagator.outgoing = self._outgoing(pipeline)
        self.propagator.allowed_hosts = settings.propagate_to
        self.propagator.continuation = _continuation(pipeline)
        self.sampler.is_upload = BESIDE_SDK.is_upload
        self.processor.annotate = BESIDE_SDK.annotate
        BESIDE_SDK.lead_to(self.reporter, self._traces, _projects(pipeline))

    def _outgoing(self, pipeline: Pipeline) -> OutgoingOf | None:
        source = _head(pipeline)
        if source is None:
            return None
        traces = self._traces

        def outgoing(context: Context | None) -> Outgoing | None:
            local = current_local_trace(traces, context)
            if local is None:
                return None
            return Outgoing(source.is_sampled(local), source.for_next_service(local))

        return outgoing


def _until(deadline: float) -> float:
    """Seconds until a moment of monotonic time, and a few milliseconds if that has passed."""
    return max(0.01, deadline - time.monotonic())


def _head(pipeline: Pipeline) -> DscSource | None:
    """Who speaks for this service to others: the first Sentry destination.

    Spotlight, which speaks Sentry's protocol, does so only where it is alone: its key and rate are
    nobody's.
    """
    speaking = [d for d in pipeline.destinations if d.dsc_source is not None]
    first = next((d for d in speaking if d.kind == "sentry"), speaking[0] if speaking else None)
    return first.dsc_source if first is not None else None


def _continuation(pipeline: Pipeline) -> Continuation:
    """Whose Sentry traces are continued: without a Sentry destination everybody's."""
    source = _head(pipeline)
    if source is None:
        return EVERYBODY
    return Continuation(source.org_id, pipeline.settings.strict_trace_continuation)


def _least_log_level(pipeline: Pipeline) -> LogLevel:
    """From which level on log records are read: they are for issues, and for rules that keep."""
    settings, destinations = pipeline.settings, pipeline.destinations
    has_issues = settings.issues != "none" or bool(settings.rules)
    makes_issues = has_issues and any(one.takes_issues for one in destinations)
    keeping = [rule for rule in settings.rules if rule.keep and rule.on in ("log", "event")]
    keeps = any(one.takes_spans and r.is_for(one.name) for r in keeping for one in destinations)
    return settings.log_level if makes_issues or keeps else "off"


def _projects(pipeline: Pipeline) -> dict[Project, str]:
    """The Sentry projects that errors are reported to, with the names of their destinations."""
    settings = pipeline.settings
    if settings.issues == "none":
        return {}
    made = {destination.name for destination in pipeline.destinations}
    return {
        Project.of(options.dsn): options.name
        for options in settings.destinations
        if isinstance(options, SentryOptions) and options.dsn is not None and options.name in made
    }
