"""The parts OpenTelemetry is given, and the pipeline that stands behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.pipeline import Pipeline
from spanbridge.process.local_trace import LocalTraces
from spanbridge.process.sampling import DelegatingSampler
from spanbridge.process.span_processor import BridgeProcessor, current_local_trace
from spanbridge.runtime.fork import before_forked_process_ends
from spanbridge.sentry.propagator import BridgePropagator, Outgoing, OutgoingOf

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from spanbridge.errors import ConfigurationError
    from spanbridge.runtime.status import DestinationStatus
    from spanbridge.settings import Settings


class Bridge:
    """Three lasting parts that lead to an exchangeable pipeline.

    OpenTelemetry's providers are set once and processors cannot be taken out again, so
    ``processor``, ``sampler`` and ``propagator`` stay for good; only what they lead to changes.
    """

    def __init__(self) -> None:
        self._traces = LocalTraces()
        self.sampler = DelegatingSampler()
        self.propagator = BridgePropagator()
        self.processor = BridgeProcessor(self._traces)
        self.processor.flushes = self.flush
        self.processor.closes = self._close_with_provider
        self.decides_alone = True
        """Whether ``sampler`` is the one in use; somebody else's may leave out traces before us."""
        self._pipeline: Pipeline | None = None
        before_forked_process_ends(self._close_with_provider)

    def exchange(self, settings: Settings) -> None:
        """Let new destinations take over; the old ones deliver what they have, then stop."""
        old = self._pipeline
        new = Pipeline(settings, self._traces) if settings.destinations else None
        if new is not None:
            for destination in new.destinations:
                if (source := destination.dsc_source) is not None:
                    source.decides_alone = self.decides_alone
            new.start()
        self._lead_to(new)
        if old is not None:
            old.close(old.settings.shutdown_timeout_s)
            if new is not None:
                old.intake.bequeath(new.intake)

    def flush(self, timeout_s: float) -> bool:
        """Deliver everything that ended so far; false if the deadline passed first."""
        pipeline = self._pipeline
        return pipeline is None or pipeline.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Record nothing any more and deliver what is queued within the deadline.

        The figures of what was closed can still be read.
        """
        pipeline = self._pipeline
        self._lead_to(None)
        self._pipeline = pipeline
        return pipeline is None or pipeline.close(timeout_s)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is recorded any more, until the next :meth:`exchange`."""
        return self._pipeline is not None and self._pipeline.is_closed

    def statuses(self) -> dict[str, DestinationStatus]:
        """How each destination fares."""
        pipeline = self._pipeline
        if pipeline is None:
            return {}
        return {destination.name: destination.status() for destination in pipeline.destinations}

    @property
    def problems(self) -> tuple[ConfigurationError, ...]:
        """Destinations that were left out because what they name cannot be used."""
        return self._pipeline.problems if self._pipeline is not None else ()

    def _close_with_provider(self) -> None:
        if self._pipeline is not None:
            self.close(self._pipeline.settings.shutdown_timeout_s)

    def _lead_to(self, pipeline: Pipeline | None) -> None:
        self._pipeline = pipeline
        if pipeline is None:
            self.processor.intake = self.processor.policy = self.sampler.policy = None
            self.propagator.outgoing = None
            return
        self.processor.includes_locals = pipeline.settings.include_locals
        self.processor.intake = pipeline.intake
        self.processor.policy = self.sampler.policy = pipeline.sampling
        self.propagator.outgoing = self._outgoing(pipeline)
        self.propagator.allowed_hosts = pipeline.settings.propagate_to

    def _outgoing(self, pipeline: Pipeline) -> OutgoingOf | None:
        source = next((d.dsc_source for d in pipeline.destinations if d.dsc_source), None)
        if source is None:
            return None
        traces = self._traces

        def outgoing(context: Context | None) -> Outgoing | None:
            local = current_local_trace(traces, context)
            if local is None:
                return None
            is_sampled = source.destination in local.keepers
            return Outgoing(is_sampled, source.for_next_service(local))

        return outgoing
