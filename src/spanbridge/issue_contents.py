"""What an issue says: a decided failure with its story, its looks and the program it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.conventions.upstream import (
    EXCEPTION_MESSAGE,
    EXCEPTION_TYPE,
    SENTRY_MESSAGE_TEMPLATE,
    THREAD_ID,
)
from spanbridge.decide.appearance import Appearance, appearance
from spanbridge.decide.burst import WINDOW_S
from spanbridge.decide.story import UNKNOWN, tells_everything
from spanbridge.model.failure import Issue
from spanbridge.model.span import SpanRecord
from spanbridge.privacy.keys import is_event_content
from spanbridge.privacy.policy import keeps_content_back
from spanbridge.record.bound import read_open_span
from spanbridge.record.exception import read_exception_event, read_exceptions
from spanbridge.record.identity import Identity
from spanbridge.record.source import InAppRules, SourceReader
from spanbridge.record.span import read_span
from spanbridge.rules.facts import ExceptionFacts, exception_names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from spanbridge.decide.failure import DecidedFailure
    from spanbridge.decide.story import Source, Stories, Tells
    from spanbridge.model.failure import Annotations, Breadcrumb, ExceptionRecord
    from spanbridge.model.rule import Circumstances, Effects
    from spanbridge.model.span import Attributes
    from spanbridge.process.local_trace import LocalTrace, LocalTraces
    from spanbridge.rules.engine import Rules
    from spanbridge.settings import Settings

MAX_SPANS_ABOVE: Final = 30
"""Open spans above a failing one that are asked what it has to do with."""
_NOT_SAID: Final = ("exception.", "sentry.", "color_message")
"""Attributes of a log record that stand elsewhere in an issue, or mean nothing there."""


class Contents:
    """Puts issues together.

    Args:
        settings: The resolved settings.
        rules: What they say of the looks of issues.
    """

    def __init__(self, settings: Settings, rules: Rules) -> None:
        self._group_by = settings.group_by
        self._rules = rules
        self._source = SourceReader()
        self._identity = Identity(settings)
        self._in_app = InAppRules(include=settings.in_app_include, exclude=settings.in_app_exclude)

    def looks(self, around: Circumstances, effects: Effects) -> Appearance:
        """Level, group and subjects of what a rule noticed."""
        return appearance(around, effects, self._group_by)

    def looks_of(self, decided: DecidedFailure) -> Appearance:
        """The same of a failure."""
        around = decided.circumstances
        if decided.noticed is not None:
            return self.looks(around, decided.noticed.effects)
        told = decided.event or decided.log
        attributes = told.attributes if told else {}
        if decided.captured:
            names, message = exception_names(decided.captured), decided.captured[0].message
        else:
            names = (str(attributes.get(EXCEPTION_TYPE, "")),)
            message = str(attributes.get(EXCEPTION_MESSAGE, ""))
        facts = ExceptionFacts(around, names, message, decided.is_handled)
        return self.looks(around, self._rules.effects(facts))

    def issue(
        self,
        decided: DecidedFailure,
        stories: Stories,
        *,
        suppressed: int = 0,
        tells: Tells = tells_everything,
    ) -> Issue:
        """The issue that a failure becomes.

        Args:
            decided: The failure, with the spans around it.
            stories: What happened before it.
            suppressed: Of how many alike it is the last one.
            tells: What may be told beside it.
        """
        log, root = decided.log, decided.root
        looks = self.looks_of(decided)
        path = tuple(span.name for span in reversed(decided.path))
        story = stories.tell(
            decided.local,
            before_ns=decided.time_ns,
            without=frozenset(span.span_id for span in decided.path),
            reported=decided.reported_spans,
            live=decided.above,
            thread_id=log.attributes.get(THREAD_ID) if log and decided.span is None else None,
            tells=tells,
        )
        issue = Issue(
            event_id=decided.event_id,
            time_ns=decided.time_ns,
            exceptions=self._exceptions(decided),
            is_handled=decided.is_handled,
            mechanism=decided.mechanism,
            trace_id=decided.trace_id,
            span_id=decided.span_id,
            span=self._identified(decided.span),
            local_root=self._identified(root),
            root_name=root.name if root is not None else "".join(path[:1]),
            message=_message(decided),
            template=_template(decided),
            logger=log.logger if log is not None else "",
            span_path=path,
            breadcrumbs=tuple(map(_marked, story.breadcrumbs, story.sources)),
            user=_user(decided),
            flags=story.flags,
            level=looks.level,
            tags=looks.tags,
            contexts=_contexts(decided, looks, suppressed),
            fingerprint=looks.fingerprint,
        )
        for sighting in decided.sightings:
            if (said := sighting.annotations) is not None:
                issue = issue.annotated(said if tells(UNKNOWN) else _without_story(said))
        return issue

    def _identified(self, span: SpanRecord | None) -> SpanRecord | None:
        return self._identity.put_on(span) if span is not None else None

    def _exceptions(self, decided: DecidedFailure) -> tuple[ExceptionRecord, ...]:
        if decided.noticed is not None:
            return ()
        if decided.captured:
            return read_exceptions(decided.captured, self._source, self._in_app)
        told = decided.event or decided.log
        return read_exception_event(told.attributes if told else {}, self._source, self._in_app)


def with_open_spans(
    decided: DecidedFailure, root: SpanRecord | ReadableSpan | None, traces: LocalTraces
) -> DecidedFailure:
    """The failure with the spans around it that are still open, as far as they got.

    Args:
        decided: The failure.
        root: Its local root, if that has ended.
        traces: Where the open ones are found.
    """
    span, root = decided.span, decided.root or root
    if root is not None and not isinstance(root, SpanRecord):
        root = read_span(root)
    if span is None and decided.live_span is not None:
        span = read_open_span(decided.live_span, decided.local)
    if root is not None:  # nothing is open above a failure that its root has seen
        return msgspec.structs.replace(decided, span=span, root=root)
    outermost = decided.path[-1] if decided.path else span
    above: tuple[SpanRecord, ...] = ()
    if outermost is not None and outermost.parent_span_id is not None:
        live = traces.upwards(
            int(outermost.trace_id, 16), int(outermost.parent_span_id, 16), MAX_SPANS_ABOVE
        )
        above = tuple([read_open_span(span, decided.local) for span in live])
    root = root_so_far(decided.local)
    return msgspec.structs.replace(decided, span=span, root=root, above=above)


def root_so_far(local: LocalTrace) -> SpanRecord | None:
    """The root of a local trace as far as it got, if the application still has it."""
    if (reference := local.root) is not None and (live := reference()) is not None:
        return read_open_span(live, local)
    return read_span(local.ended_root) if local.ended_root is not None else None


def _without_story(said: Annotations) -> Annotations:
    """What an application attached, without what nobody knows the source of."""
    return msgspec.structs.replace(said, breadcrumbs=(), flags=())


def _marked(breadcrumb: Breadcrumb, source: Source) -> Breadcrumb:
    """The breadcrumb with what its span says of content."""
    if source.span is None or not keeps_content_back(source.span.attributes):
        return breadcrumb
    return msgspec.structs.replace(breadcrumb, keeps_content_back=True)


def _message(decided: DecidedFailure) -> str:
    if decided.noticed is not None:
        return decided.noticed.title
    log = decided.log
    return (log.body or log.event_name) if log is not None else ""


def _template(decided: DecidedFailure) -> str:
    template = decided.log.attributes.get(SENTRY_MESSAGE_TEMPLATE) if decided.log else None
    return template if isinstance(template, str) else ""


def _user(decided: DecidedFailure) -> Attributes:
    """Outside of spans, whose attributes name the user otherwise, a log record may do so."""
    if decided.span is not None or decided.log is None:
        return {}
    attributes = decided.log.attributes
    return {name: value for name, value in attributes.items() if name.startswith("user.")}


def _contexts(decided: DecidedFailure, looks: Appearance, suppressed: int) -> dict[str, Attributes]:
    """By subject; what a log record says beside its text; and of how many it is the last one."""
    contexts = dict(looks.contexts)
    if decided.log is not None:
        said = {
            name: value
            for name, value in decided.log.attributes.items()
            if not name.startswith(_NOT_SAID) and not is_event_content(decided.log.event_name, name)
        }
        if said:
            contexts["log"] = said
    if suppressed:
        contexts["burst"] = {"suppressed": suppressed, "window_s": WINDOW_S}
    return contexts
