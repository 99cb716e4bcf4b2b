"""Sentry: one project, what it is sent of traces, logs and failures, and how that is counted."""

from __future__ import annotations

import logging
import platform
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from importlib.metadata import version
from time import time_ns
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.conventions.upstream import SENTRY_EVENT_ID
from spanbridge.deliver.endpoint import Endpoint
from spanbridge.deliver.envelope import OutgoingEnvelope, Priority
from spanbridge.deliver.sender import EnvelopeSender
from spanbridge.destinations.sentry_logs import SentryLogs
from spanbridge.destinations.sentry_traces import SpanWire, TraceWire, TransactionWire
from spanbridge.destinations.shape import Finished
from spanbridge.destinations.spool_place import spool_place
from spanbridge.model.outcome import Outcome, Signal
from spanbridge.record.source import InAppRules
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.ledger import Ledger
from spanbridge.runtime.status import DestinationStatus
from spanbridge.sentry.beside_sdk import Project
from spanbridge.sentry.beside_sdk_attachments import ATTACHMENTS
from spanbridge.sentry.beside_sdk_hooks import SdkHooks, why_it_failed
from spanbridge.sentry.convert.context import ConvertContext
from spanbridge.sentry.convert.error import Modules, convert_error, fit_modules
from spanbridge.sentry.convert.log import EXCEPTION, convert_events, has_logs
from spanbridge.sentry.convert.streamed_span import common_attributes
from spanbridge.sentry.convert.transaction import transaction_name
from spanbridge.sentry.dsc import DscSource
from spanbridge.sentry.encode import encode_envelope
from spanbridge.sentry.installed import installed_modules
from spanbridge.sentry.wire import EnvelopeHeader, Item, SdkInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spanbridge.assemble.assembler import Released
    from spanbridge.model.failure import Issue
    from spanbridge.model.metric import MetricPoint
    from spanbridge.model.metric_form import MetricForm
    from spanbridge.model.span import SpanRecord
    from spanbridge.model.trace import DynamicSamplingContext
    from spanbridge.privacy.policy import PrivacyPolicy
    from spanbridge.process.local_trace import LocalTrace
    from spanbridge.sentry.wire_container import LogItem
    from spanbridge.sentry.wire_error import ErrorEvent
    from spanbridge.settings import SentryOptions, Settings

logger = logging.getLogger("spanbridge")

SDK_NAME: Final = "sentry.python.spanbridge"

_CATEGORIES: Final = {Signal.SPAN: "span", Signal.ERROR: "error", Signal.LOG: "log_item"}
"""Sentry's data categories, for client reports."""


_DISCARDED: Final = {
    Outcome.SAMPLED_OUT: "sample_rate",
    Outcome.FILTERED: "event_processor",
    Outcome.EVICTED: "queue_overflow",
}
"""Sentry's reasons for what is left out before it gets there."""


class SentryDestination:
    """One Sentry project.

    Args:
        options: Its settings.
        settings: The program's identity: release, environment, server.
        policy: Its privacy level.
    """

    takes_issues = True
    takes_spans = True
    metric_form: MetricForm | None = None  # Sentry takes no metrics of OpenTelemetry's
    asks_for_metrics = False

    def __init__(self, options: SentryOptions, settings: Settings, policy: PrivacyPolicy) -> None:
        assert options.dsn is not None  # the settings refuse a Sentry destination without one
        self.name = options.name
        self.kind: str = options.kind
        self.policy = policy
        self.ledger = Ledger()
        self._options = options
        self.takes_spans = options.mode == "full"
        self.project = Project.of(options.dsn)
        self._in_app = InAppRules(include=settings.in_app_include, exclude=settings.in_app_exclude)
        self._max_hold_s = settings.max_hold_s
        self._sdk = SdkInfo(SDK_NAME, version("spanbridge"))
        self._context = ConvertContext(
            sdk=self._sdk,
            release=settings.release,
            environment=settings.environment,
            server_name=settings.server_name,
            dist=settings.dist,
            runtime_name=platform.python_implementation(),
            runtime_version=platform.python_version(),
        )
        self._common = common_attributes(self._context)
        self.dsc_source = DscSource(
            destination=options.name,
            public_key=options.dsn.public_key,
            sample_rate=options.sample_rate,
            release=self._context.release,
            environment=self._context.environment,
            org_id=options.organisation,
            follows_remote=settings.remote_decision == "honour",
            has_traces=self.takes_spans,
            policy=policy.for_other_threads(),
        )
        self._endpoint = Endpoint(
            url=options.dsn.envelope_url,
            public_key=options.dsn.public_key,
            secret_key=options.dsn.secret_key,
            user_agent=f"{SDK_NAME}/{self._sdk.version}",
            timeout_s=options.timeout_s,
            http_proxy=options.http_proxy,
            https_proxy=options.https_proxy,
            ca_certs=options.ca_certs,
            cert_file=options.cert_file,
            key_file=options.key_file,
        )
        self._spool_place = spool_place(options, settings)
        self._start_empty()

    @cached_property
    def _modules(self) -> Modules:
        return fit_modules(installed_modules())

    def _start_empty(self) -> None:
        self._wire = self._new_wire()
        self._logs = SentryLogs(self._envelope)
        self._sender = EnvelopeSender(
            self._endpoint,
            self.ledger,
            name=self.name,
            queue_max_items=self._options.queue_max_items,
            queue_max_bytes=self._options.queue_max_bytes,
            spool=self._spool_place,
        )

    def _new_wire(self) -> TraceWire:
        if self._options.wire == "transactions":
            return TransactionWire(
                self._options,
                self.policy,
                self._max_hold_s,
                self._context,
                self.dsc_source,
                self._envelope,
            )
        return SpanWire(
            self._options,
            self.policy,
            self._common,
            self.dsc_source,
            self._envelope,
            self._take_log,
        )

    def start(self) -> None:
        """Start the sender's thread."""
        self._sender.start()

    def accept_spans(self, batch: Sequence[Finished], now_s: float) -> None:
        """Hold spans until they may leave; what was noted on them leaves by itself."""
        self.ledger.accept(Signal.SPAN, len(batch))
        add = self._wire.assembler.add
        for local, span in batch:
            if span.events and self._options.span_events == "logs" and has_logs(span):
                span = self._without_logs(span)
            add(local, span, now_s)

    def _without_logs(self, span: SpanRecord) -> SpanRecord:
        try:
            logs = list(convert_events(span, self._common))
        except Exception as error:
            GUARD.caught("sentry.log", error)
            return span  # its events leave as an attribute of it
        for log in logs:
            self._take_log(log)
        exceptions = tuple([event for event in span.events if event.name == EXCEPTION])
        return msgspec.structs.replace(span, events=exceptions)

    def _take_log(self, log: LogItem) -> None:
        self.ledger.accept(Signal.LOG)
        try:
            self._logs.add(log)
        except Exception as error:
            self._lose_in_conversion(error, Signal.LOG, 1)

    def accept_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Send a decided failure at once."""
        self.ledger.accept(Signal.ERROR)
        self._wire.assembler.add_attribute(local, issue.span_id, SENTRY_EVENT_ID, issue.event_id)
        try:
            event = self._error_event(self._with_flag(issue, local))
            if event is None:
                ATTACHMENTS.event_stays(issue.event_id, self.project)
                return
            envelope = self._error_envelope(event, issue, local)
        except Exception as error:
            ATTACHMENTS.event_stays(issue.event_id, self.project)
            self._lose_in_conversion(error, Signal.ERROR, 1)
            return
        self._sender.offer(envelope, held_as=issue.event_id)
        ATTACHMENTS.event_leaves(issue.event_id, self.project)

    def hold_issue(self, issue: Issue, local: LocalTrace) -> None:
        """Keep a failure under decision in the spool, for the next process if this one dies."""
        if SdkHooks.of(self.project) is not None:
            return  # its hooks have to see what leaves, and they count what they see
        event = convert_error(self._with_flag(issue, local), self._context, self._modules)
        self._sender.hold(issue.event_id, self._error_envelope(event, issue, local))

    def let_go(self, event_id: str) -> None:
        """Remove from the spool what was held."""
        self._sender.let_go(event_id)

    def _with_flag(self, issue: Issue, local: LocalTrace) -> Issue:
        """The issue with the flag whether its trace is here, or elsewhere if traces go there."""
        if self.takes_spans:
            is_sampled = self.name in local.keepers or self.name in local.kept_by_rule
        else:
            is_sampled = issue.span is not None and issue.span.is_sampled
        return msgspec.structs.replace(issue, is_sampled=is_sampled)

    def _error_envelope(
        self, event: ErrorEvent | bytes, issue: Issue, local: LocalTrace
    ) -> OutgoingEnvelope:
        # Outside of all spans there is no trace, and nothing was decided about it.
        root = issue.local_root
        name = transaction_name(root) if root is not None else None
        dsc = self.dsc_source.of(local, name) if issue.span is not None else None
        body = self._envelope(Item("event", event), issue.event_id, dsc)
        return OutgoingEnvelope(body, Priority.ERROR, (("error", 1),), ((Signal.ERROR, 1),))

    def _error_event(self, issue: Issue) -> ErrorEvent | bytes | None:
        """The payload, or ``None`` if the options of Sentry's SDK beside us keep it back."""
        hooks = SdkHooks.of(self.project)
        if hooks is None:
            return convert_error(issue, self._context, self._modules)
        if hooks.ignores(issue):
            self._filter(Outcome.FILTERED, "ignore_errors", "event_processor")
            return None
        marked = hooks.in_app_marked(issue, self._in_app)
        return self._hooked(hooks, marked)

    def _hooked(self, hooks: SdkHooks, issue: Issue) -> ErrorEvent | bytes | None:
        event = convert_error(issue, self._context, self._modules)
        try:
            changed = hooks.filtered(event, issue)
        except BaseException as error:  # the application's code must not end the worker
            self._filter(Outcome.WITHHELD, "before_send failed", "before_send")
            GUARD.report("before_send failed", why_it_failed(error), exc_info=error)
            return None
        if changed is None:
            self._filter(Outcome.FILTERED, "before_send", "before_send")
        return changed

    def _filter(self, outcome: Outcome, reason: str, discarded: str) -> None:
        self.ledger.settle(Signal.ERROR, outcome, 1, reason)
        self._sender.discarded(discarded, "error", 1)

    def accept_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Nothing to do: it gets none."""

    def ask_for_metrics_at(self, source: Callable[[], Sequence[MetricPoint]]) -> None:
        """Nothing to do: it asks for none."""

    def leave_out(self, outcome: Outcome, spans: int, roots: int = 0, reason: str = "") -> None:
        """Count spans that do not go here, also in Sentry's client reports."""
        self.ledger.accept(Signal.SPAN, spans)
        self.ledger.settle(Signal.SPAN, outcome, spans, reason)
        if not self.takes_spans:
            return  # nobody expects any
        discarded = _DISCARDED[outcome]
        self._sender.discarded(discarded, "span", spans)
        if roots and self._options.wire == "transactions":
            self._sender.discarded(discarded, "transaction", roots)

    def give_up(self, signal: Signal, outcome: Outcome, count: int, reason: str) -> None:
        """Count items that are lost before they get here, also in Sentry's client reports."""
        self.ledger.accept(signal, count)
        self.ledger.settle(signal, outcome, count, reason)
        if outcome is not Outcome.NEVER_ENDED:  # the application's doing, no discard of ours
            discarded = _DISCARDED.get(outcome, "internal_sdk_error")
            self._sender.discarded(discarded, _CATEGORIES[signal], count)

    def lose(self, local: LocalTrace) -> None:
        """Send what there is of a trace whose root will never end."""
        self._send(self._wire.assembler.lose(local))

    def advance(self, now_s: float) -> None:
        """Send the spans that may leave, and the logs that waited long enough."""
        self._send(self._wire.assembler.ready(now_s))
        self._sender.offer(*self._logs.due(now_s))

    def release(self, now_s: float) -> None:
        """Send everything held."""
        self._send(self._wire.assembler.release_all(now_s))
        self._sender.offer(*self._logs.all())

    def flush(self, timeout_s: float) -> bool:
        """Wait until every envelope met its fate."""
        return self._sender.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Send what is queued within the deadline, then stop."""
        return self._sender.close(timeout_s)

    def after_fork(self) -> None:
        """Start empty, with a connection and a ledger of its own."""
        self.ledger = Ledger()
        self._start_empty()

    def status(self) -> DestinationStatus:
        """How it fares."""
        sender = self._sender.status()
        return DestinationStatus(
            name=self.name,
            kind=self.kind,
            address=self._options.place,
            sample_rate=self._options.sample_rate,
            queued=sender.queued_items + self._wire.assembler.held + self._logs.held,
            ledger=self.ledger.snapshot(),
            last_error=sender.last_error,
            spooled=sender.spooled,
            sent_bytes=sender.sent_bytes,
            retries=sender.retries,
            redacted=self.ledger.redacted,
        )

    def _send(self, released: Sequence[Released]) -> None:
        envelopes: list[OutgoingEnvelope] = []
        for part in released:
            try:
                envelopes += self._wire.envelopes(part)
            except Exception as error:
                self._lose_in_conversion(error, Signal.SPAN, 1 + len(part.segment.children))
        if envelopes:
            self._sender.offer(*envelopes)

    def _envelope(
        self, item: Item, event_id: str | None, dsc: DynamicSamplingContext | None
    ) -> bytes:
        header = EnvelopeHeader(event_id=event_id, sent_at=_now_text(), trace=dsc, sdk=self._sdk)
        body = encode_envelope(header, [item])
        logger.debug("spanbridge: %s sends %s", self.name, body)
        return body

    def _lose_in_conversion(self, error: Exception, signal: Signal, count: int) -> None:
        self.ledger.settle(signal, Outcome.FAILED, count, f"conversion: {type(error).__name__}")
        if signal is Signal.SPAN and self._options.wire == "transactions":
            self._sender.discarded("internal_sdk_error", "transaction", 1)
        self._sender.discarded("internal_sdk_error", _CATEGORIES[signal], count)
        GUARD.caught("sentry.convert", error)


def _now_text() -> str:
    seconds, milliseconds = divmod(time_ns() // 1_000_000, 1000)
    return f"{_second_text(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=1)
def _second_text(seconds: int) -> str:
    # Under load many envelopes are made in one second.
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
