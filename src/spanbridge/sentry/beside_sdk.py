"""Sentry's own SDK in the same application: its captures join our traces and our issues.

Everything goes through what that SDK offers to everybody: an event processor on its global scope
and its hook for the trace of another tracer. It may be initialised before us, after us, or never.
It is not imported here, as every start would pay for that: the application does it.
"""

from __future__ import annotations

import logging
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from spanbridge.model.ending import NOT_FAILURES
from spanbridge.process.reporter import is_ignored
from spanbridge.process.sighting import mark_of
from spanbridge.process.snapshot import module_of
from spanbridge.runtime.guard import GUARD
from spanbridge.runtime.imports import when_imported
from spanbridge.sentry.beside_sdk_attachments import ATTACHMENTS
from spanbridge.sentry.beside_sdk_event import (
    annotations_of,
    attached_now,
    mechanism_of,
    message_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_sdk._types import Event, Hint
    from sentry_sdk.client import BaseClient
    from sentry_sdk.utils import Dsn

    from spanbridge.process.local_trace import LocalTraces
    from spanbridge.process.reporter import Reporter
    from spanbridge.process.sighting import Sighting
    from spanbridge.settings.address import SentryDsn

logger = logging.getLogger("spanbridge")


class Project(NamedTuple):
    """Where a DSN leads, without regard to how it is written."""

    netloc: str
    path: str
    project_id: str
    public_key: str

    @classmethod
    def of(cls, dsn: SentryDsn | Dsn) -> Project:
        """The project of a parsed DSN, ours or theirs."""
        return cls(dsn.netloc.lower(), dsn.path, dsn.project_id, dsn.public_key)


def active_client() -> BaseClient | None:
    """The client of Sentry's SDK in use here, if it was initialised with a DSN."""
    get_client = getattr(sys.modules.get("sentry_sdk"), "get_client", None)
    client: BaseClient | None = get_client() if get_client is not None else None
    if client is None or not client.is_active() or getattr(client, "parsed_dsn", None) is None:
        return None
    return client


def project_of(client: BaseClient) -> Project | None:
    """Where a client sends to."""
    return Project.of(client.parsed_dsn) if client.parsed_dsn is not None else None


class _Lead(NamedTuple):
    """Where captures lead to while we are configured."""

    reporter: Reporter
    traces: LocalTraces
    names: Mapping[Project, str]
    """Our destinations that report errors, by project."""


class BesideSdk:
    """What we put into Sentry's SDK, once per process. Nothing of it is patched.

    While :meth:`lead_to` names a reporter, an event of theirs carries the trace of the current
    OpenTelemetry span. If it has an exception and goes to a project that we report to as well, the
    exception is reported by us, with what the application attached to the event, and theirs is
    dropped: one failure, one issue. All else passes.
    """

    def __init__(self) -> None:
        self._lead: _Lead | None = None
        self._is_attached = False
        self._is_awaited = False
        self._asked_for_trace = 0
        self._known_client: weakref.ref[BaseClient] | None = None

    def lead_to(
        self, reporter: Reporter, traces: LocalTraces, names: Mapping[Project, str]
    ) -> None:
        """Let captures of theirs lead to ``reporter`` from now on.

        Args:
            reporter: Takes their exceptions.
            traces: The process's local traces.
            names: Names of the destinations that report errors, by project.
        """
        self._known_client = None
        self._lead = _Lead(reporter, traces, names)
        if self._is_attached:
            self._attach()
        elif not self._is_awaited:
            self._is_awaited = True
            when_imported("sentry_sdk", self._attach)

    def _attach(self) -> None:
        if (lead := self._lead) is None:
            self._is_awaited = False
            return
        import sentry_sdk

        try:
            from sentry_sdk.scope import (
                has_external_propagation_context,
                register_external_propagation_context,
            )
        except ImportError:
            GUARD.report(
                "sentry_sdk is too old",
                "spanbridge takes part in it from 2.75 on; what it captures stays apart from what "
                "spanbridge reports",
            )
            return
        if not self._is_attached:
            self._is_attached = True
            sentry_sdk.get_global_scope().add_event_processor(self.process)
        if not has_external_propagation_context():
            register_external_propagation_context(self._current_ids)
        if (client := active_client()) is not None:
            self._meet(client, lead)

    def detach(self, reporter: Reporter) -> None:
        """Let captures of theirs pass untouched, unless they lead elsewhere meanwhile."""
        if self._lead is None or self._lead.reporter is not reporter:
            return
        self._lead = None
        if not self._is_attached:
            return
        from sentry_sdk.scope import (
            get_external_propagation_context,
            remove_external_propagation_context,
        )

        # Theirs again are the headers of outgoing requests. Somebody else's hook stays: ours is
        # in use only if asking for a trace asks us.
        asked_before = self._asked_for_trace
        get_external_propagation_context()
        if self._asked_for_trace > asked_before:
            remove_external_propagation_context()

    def annotate(self, sighting: Sighting) -> None:
        """Add what the application attached so far, for a failure that we see before they do.

        Their capture of an exception that leaves a request comes later, perhaps too late.
        """
        lead = self._lead
        try:
            if lead is None or (client := active_client()) is None:
                return
            if project_of(client) in lead.names:
                said = annotations_of(attached_now(client.options), client.options)
                sighting.annotations = said.beside(sighting.annotations)
        except Exception as error:
            GUARD.caught("sentry.beside_sdk", error)

    def is_upload(self, attributes: Mapping[str, Any]) -> bool:
        """Whether a CLIENT span that starts is an upload of theirs, which nobody wants traced."""
        url = attributes.get("url.full") or attributes.get("http.url")
        if not isinstance(url, str) or not url.endswith("/envelope/"):
            return False
        client = active_client()
        dsn = client.parsed_dsn if client is not None else None
        if dsn is None:
            return False
        path = f"{dsn.path}api/{dsn.project_id}/envelope/"
        return url in {
            f"{dsn.scheme}://{host}{path}" for host in (dsn.netloc, f"{dsn.host}:{dsn.port}")
        }

    def process(self, event: Event, hint: Hint) -> Event | None:
        """The event as it goes on, or ``None`` if we report its exception."""
        lead = self._lead
        if (
            lead is None
            or lead.reporter.intake is None
            or event.get("type") not in (None, "event")
            or get_value(_SUPPRESS_INSTRUMENTATION_KEY)
        ):
            return event
        try:
            return self._process(event, hint, lead)
        except Exception as error:
            GUARD.caught("sentry.beside_sdk", error)
            return event

    def _process(self, event: Event, hint: Hint, lead: _Lead) -> Event | None:
        error = (hint.get("exc_info") or (None, None, None))[1]
        client = active_client()
        destination = None
        if client is not None:
            self._meet(client, lead)
            project = project_of(client)
            destination = lead.names.get(project) if project is not None else None
        if client is not None and destination is not None:
            if is_ignored(str(event.get("logger") or "")):
                return None
            if isinstance(error, BaseException) and self._take_over(
                error, event, hint, client, lead.reporter
            ):
                return None
        sighting = mark_of(error) if isinstance(error, BaseException) else None
        _stamp(event, sighting, lead, destination)
        return event

    def _take_over(
        self,
        error: BaseException,
        event: Event,
        hint: Hint,
        client: BaseClient,
        reporter: Reporter,
    ) -> bool:
        """Report what they captured; false if the issue would be lost with us."""
        if _qualified_name(type(error)) in NOT_FAILURES:
            return False
        mechanism, is_handled = mechanism_of(event)
        sighting = reporter.report(
            error,
            mechanism=mechanism,
            is_handled=is_handled,
            message=message_of(event),
            logger=str(event.get("logger") or ""),
            annotations=annotations_of(event, client.options),
        )
        if sighting is None:
            return False
        try:
            attachments, project = hint.get("attachments"), project_of(client)
            if attachments and project is not None:
                ATTACHMENTS.keep(sighting.event_id, project, attachments, client)
            _count_in_session(is_handled=is_handled)
        except Exception as failure:  # it is ours all the same: theirs would be a second issue
            GUARD.caught("sentry.beside_sdk", failure)
        return True

    def _meet(self, client: BaseClient, lead: _Lead) -> None:
        """Say once per client what its being there means."""
        if self._known_client is not None and self._known_client() is client:
            return
        self._known_client = weakref.ref(client)
        options = client.options
        if options.get("traces_sample_rate") is not None or options.get("traces_sampler"):
            GUARD.report(
                "sentry_sdk traces too",
                "its own transactions are sent beside those of OpenTelemetry; leave "
                "traces_sample_rate and traces_sampler out of sentry_sdk.init()",
            )
        if options.get("sample_rate", 1.0) != 1.0 or options.get("error_sampler"):
            GUARD.report(
                "sentry_sdk samples errors",
                "sample_rate and error_sampler of sentry_sdk.init() do not apply to issues of "
                "spanbridge; before_send does",
            )
        if lead.names and project_of(client) not in lead.names:
            logger.info(
                "spanbridge: sentry_sdk sends to another project; its events stay there and carry "
                "the trace of the current span"
            )

    def _current_ids(self) -> tuple[str, str] | None:
        self._asked_for_trace += 1
        context = get_current_span().get_span_context()
        if self._lead is None or not context.is_valid:
            return None
        return format_trace_id(context.trace_id), format_span_id(context.span_id)


BESIDE_SDK: Final = BesideSdk()
"""The one of this process: scopes of Sentry's SDK are a property of the process."""


def _stamp(event: Event, sighting: Sighting | None, lead: _Lead, destination: str | None) -> None:
    """Put the trace of the failure, else that of the current span, on an event of theirs.

    Their dynamic sampling context speaks of a trace of their own, so it goes.
    """
    span = get_current_span()
    current = span.get_span_context()
    trace: dict[str, Any] = {}
    if current.is_valid:
        local = lead.traces.find(current)
        is_kept = local is not None and destination in local.keepers
        trace = {
            "trace_id": format_trace_id(current.trace_id),
            "span_id": format_span_id(current.span_id),
            "sampled": is_kept if destination is not None else current.trace_flags.sampled,
        }
        if isinstance(span, ReadableSpan) and span.parent is not None:
            trace["parent_span_id"] = format_span_id(span.parent.span_id)
    if sighting is not None and sighting.span_id != trace.get("span_id"):
        trace = {"trace_id": sighting.trace_id, "span_id": sighting.span_id}
    if trace:
        event.setdefault("contexts", {})["trace"] = trace


def _count_in_session(*, is_handled: bool) -> None:
    """Let their session know of the error, as the event we dropped would have.

    There is no public way to it; without one, crash-free rates would be too good to be true.
    """
    import sentry_sdk

    session = getattr(sentry_sdk.get_isolation_scope(), "_session", None)
    if session is not None:
        session.update(status=None if is_handled else "crashed", errors=session.errors + 1)


def _qualified_name(cls: type[BaseException]) -> str:
    module = module_of(cls)
    return f"{module}.{cls.__qualname__}" if module else cls.__qualname__
