"""OTLP over HTTP or gRPC, by OpenTelemetry's own exporters."""

from __future__ import annotations

import time
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spanbridge.destinations.exporting import Exporting
from spanbridge.destinations.otlp_metrics import rebuild_metrics
from spanbridge.destinations.otlp_spans import rebuild_spans
from spanbridge.destinations.otlp_weight import with_own_threshold
from spanbridge.destinations.outbox import Outbox
from spanbridge.destinations.shape import Finished
from spanbridge.destinations.stream import StreamDestination
from spanbridge.destinations.trouble import Trouble
from spanbridge.model.metric import MetricPoint
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.model.span import SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.settings import OtlpOptions, OtlpTarget


class OtlpDestination(StreamDestination[SpanRecord]):
    """Sends spans and metrics to an OTLP receiver.

    The exporters get objects rebuilt from our scrubbed records by their public constructors, never
    the SDK's own, so nothing passes by the privacy policy. They are called straight from our
    queues: OpenTelemetry's batch processor drops without counting and ignores deadlines. Metrics
    may go to another server, so their queue and thread are their own.
    """

    def __init__(self, options: OtlpOptions, policy: PrivacyPolicy) -> None:
        super().__init__(options, policy)
        target = options.traces_target
        self._address = target.shown
        self._spans: Exporting[SpanRecord, Sequence[ReadableSpan]] = Exporting(
            self.name,
            target.shown,
            rebuild_spans,
            partial(_exporters(target).make_span_exporter, target),
            self._note,
            is_lazy=target.is_grpc,
        )
        # Of its own, as metrics may go to another server: what arrives there heals nothing here.
        self._metrics_trouble = Trouble()
        self._metrics: _OtlpMetrics | None = None
        if options.metrics_target is not None:
            self.metric_form = options.metric_form
            self._metrics = _OtlpMetrics(
                options, options.metrics_target, self._note_metrics, self._settle_metrics
            )

    @property
    def address(self) -> str:
        """Where it sends to."""
        return self._address

    def start(self) -> None:
        """Start the threads of its queues."""
        super().start()
        if self._metrics is not None:
            self._metrics.outbox.start()

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Queue finished spans."""
        self.ledger.accept(Signal.SPAN, len(batch))
        name, rate = self.name, self._sample_rate
        self._outbox.put([with_own_threshold(span, local, name, rate) for local, span in batch])

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Queue points of metrics."""
        if self._metrics is not None:
            self.ledger.accept(Signal.METRIC, len(points))
            self._metrics.outbox.put(points)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what is in both queues now is settled."""
        deadline = time.monotonic() + timeout_s
        has_sent = super().flush(timeout_s)
        if self._metrics is None:
            return has_sent
        return self._metrics.outbox.flush(max(0.0, deadline - time.monotonic())) and has_sent

    def close(self, timeout_s: float) -> bool:
        """Send what is queued within the deadline, then stop."""
        deadline = time.monotonic() + timeout_s
        self._spans.hurry()
        if self._metrics is not None:
            self._metrics.exporting.hurry()
        has_sent = super().close(timeout_s)
        if self._metrics is None:
            return has_sent
        return self._metrics.close(max(0.05, deadline - time.monotonic())) and has_sent

    def after_fork(self) -> None:
        """Fresh exporters, since the parent's connections are shared."""
        super().after_fork()
        self._metrics_trouble = Trouble()
        self._spans.start_anew()
        if self._metrics is not None:
            self._metrics.exporting.start_anew()

    @property
    def queued(self) -> int:
        """Spans and points that wait to be sent."""
        metrics = len(self._metrics.outbox) if self._metrics is not None else 0
        return super().queued + metrics

    @property
    def sent_bytes(self) -> int:
        """Of all requests that were answered."""
        return sum(exporting.sent_bytes for exporting in self._exporting)

    @property
    def retries(self) -> int:
        """Requests that were made again after one that failed."""
        return sum(exporting.retries for exporting in self._exporting)

    @property
    def last_error(self) -> str | None:
        """What goes wrong now with spans, else with metrics."""
        of_metrics = self._metrics_trouble.words
        if of_metrics is None and self._metrics is not None:
            of_metrics = self._metrics.outbox.trouble
        return super().last_error or of_metrics

    @property
    def _exporting(self) -> list[Exporting[Any, Any]]:
        metrics = [self._metrics.exporting] if self._metrics is not None else []
        return [self._spans, *metrics]

    def _send(self, items: Sequence[SpanRecord]) -> None:
        self._spans.send(items)

    def _is_hopeless(self) -> bool:
        return self._spans.is_retrying

    def _interrupt(self) -> None:
        self._spans.interrupt()

    def _counts(self, items: Sequence[SpanRecord]) -> dict[Signal, int]:
        return {Signal.SPAN: len(items)}

    def _note(self, words: str) -> None:
        self._trouble.note(words)

    def _note_metrics(self, words: str) -> None:
        self._metrics_trouble.note(words)

    def _settle_metrics(
        self, points: Sequence[MetricPoint], outcome: Outcome, reason: str, detail: str
    ) -> None:
        self._metrics_trouble.settled(outcome, reason, detail)
        self.ledger.settle(Signal.METRIC, outcome, len(points), reason)


class _OtlpMetrics:
    """The queue, the thread and the exporter of metrics."""

    def __init__(
        self,
        options: OtlpOptions,
        target: OtlpTarget,
        note: Callable[[str], None],
        settle: Callable[[Sequence[MetricPoint], Outcome, str, str], None],
    ) -> None:
        name = f"{options.name}-metrics"
        self.exporting: Exporting[MetricPoint, MetricsData] = Exporting(
            name,
            target.shown,
            rebuild_metrics,
            partial(_exporters(target).make_metric_exporter, target),
            note,
            is_lazy=target.is_grpc,
        )
        self.outbox: Outbox[MetricPoint] = Outbox(
            name,
            self.exporting.send,
            settle,
            max_items=options.queue_max_items,
            max_bytes=options.queue_max_bytes,
        )

    def close(self, timeout_s: float) -> bool:
        """Send what is queued within the deadline, then stop."""
        return self.outbox.close(
            timeout_s, self.exporting.interrupt, lambda: self.exporting.is_retrying
        )


def _exporters(target: OtlpTarget) -> ModuleType:
    """The module that makes exporters; imported only if somebody sends that way."""
    if target.is_grpc:
        from spanbridge.destinations import otlp_grpc

        return otlp_grpc
    from spanbridge.destinations import otlp_http

    return otlp_http
