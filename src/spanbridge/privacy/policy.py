"""The policy of one privacy level: records in, records that may leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from spanbridge.model.failure import Breadcrumb, ExceptionRecord, Issue, StackFrame
from spanbridge.model.span import (
    Attributes,
    AttributeValue,
    Resource,
    SpanEvent,
    SpanLink,
    SpanRecord,
)
from spanbridge.privacy.keys import Treatment, event_treatment, is_denied, treatment
from spanbridge.privacy.text import REDACTED, scrub_query, scrub_text

_KEEP: Final = Treatment.KEEP
# Looked up by exact type: ``isinstance`` with ``int | float`` takes five times as long.
_NUMBERS: Final = frozenset({int, float, bool})
MAX_DEPTH: Final = 32
"""Values nested deeper are redacted: what is not looked at must not leave."""


class PrivacyPolicy(msgspec.Struct, frozen=True):
    """What a destination may see.

    Equal policies give equal records, so destinations of one level share the work.

    Args:
        keeps_content: Prompts, answers, tool arguments and bodies may leave. Off by default.
        keeps_locals: Local variables of stack frames may leave. Off by default.
    """

    keeps_content: bool = False
    keeps_locals: bool = False

    def scrub_span(self, span: SpanRecord) -> SpanRecord:
        """The span as it may leave. Raises whatever goes wrong: the caller withholds the item."""
        name = scrub_text(span.name)
        message = scrub_text(span.status_message) if span.status_message else None
        attributes = self._attributes(span.attributes, treatment)
        events = tuple(map(self._event, span.events)) if span.events else ()
        links = tuple(map(self._link, span.links)) if span.links else ()
        resource = self.scrub_resource(span.resource)
        if (
            attributes is span.attributes
            and resource is span.resource
            and name is span.name
            and not (message or events or links)
        ):
            return span
        return msgspec.structs.replace(
            span,
            name=name,
            status_message=message,
            attributes=attributes,
            events=events,
            links=links,
            resource=resource,
        )

    def scrub_resource(self, resource: Resource) -> Resource:
        """The resource as it may leave; the work is done once per resource object."""
        known = _scrubbed_resources.get((id(resource), self))
        if known is not None and known[0] is resource:
            return known[1]
        attributes = self._attributes(resource.attributes, treatment)
        scrubbed = resource
        if attributes is not resource.attributes:
            scrubbed = msgspec.structs.replace(resource, attributes=attributes)
        if len(_scrubbed_resources) >= 64:
            _scrubbed_resources.clear()
        _scrubbed_resources[id(resource), self] = (resource, scrubbed)
        return scrubbed

    def scrub_issue(self, issue: Issue) -> Issue:
        """The issue as it may leave. Raises whatever goes wrong: the caller withholds the item."""
        return msgspec.structs.replace(
            issue,
            exceptions=tuple(map(self._exception, issue.exceptions)),
            span=self.scrub_span(issue.span),
            local_root=self.scrub_span(issue.local_root) if issue.local_root else None,
            root_name=scrub_text(issue.root_name),
            span_path=tuple(map(scrub_text, issue.span_path)),
            tags={
                key: REDACTED if is_denied(key) else scrub_text(value)
                for key, value in issue.tags.items()
            },
            fingerprint=tuple(map(scrub_text, issue.fingerprint)),
            breadcrumbs=tuple(map(self._breadcrumb, issue.breadcrumbs)),
        )

    def _attributes(self, attributes: Attributes, treat: Callable[[str], Treatment]) -> Attributes:
        """``attributes`` themselves if nothing has to change, as is usual."""
        scrubbed: Attributes | None = None
        left: AttributeValue
        for key, value in attributes.items():
            kind = treat(key)
            if kind is _KEEP:
                if type(value) is str:
                    # The literal checks spare most values the call.
                    if not ("://" in value or " " in value or "?" in value):
                        continue
                    left = scrub_text(value)
                elif type(value) in _NUMBERS:
                    continue
                else:
                    left = self._nested(value, 0)
            elif kind is Treatment.REDACT:
                left = REDACTED
            elif kind is Treatment.CONTENT:
                left = self._nested(value, 0) if self.keeps_content else None
            else:
                left = scrub_query(value) if isinstance(value, str) else self._nested(value, 0)
            if left is value:
                continue
            if scrubbed is None:
                scrubbed = attributes.copy()
            if left is None:
                del scrubbed[key]
            else:
                scrubbed[key] = left
        return attributes if scrubbed is None else scrubbed

    def _nested(self, value: AttributeValue, depth: int) -> AttributeValue:
        if isinstance(value, str):
            return scrub_text(value)
        if value is None or isinstance(value, bool | int | float | bytes):
            return value
        if depth >= MAX_DEPTH:
            return REDACTED
        if isinstance(value, Mapping):
            return {
                str(key): REDACTED if is_denied(str(key)) else self._nested(inner, depth + 1)
                for key, inner in value.items()
            }
        return tuple(self._nested(inner, depth + 1) for inner in value)

    def _event(self, event: SpanEvent) -> SpanEvent:
        return SpanEvent(
            scrub_text(event.name),
            event.time_ns,
            self._attributes(event.attributes, lambda key: event_treatment(event.name, key)),
        )

    def _link(self, link: SpanLink) -> SpanLink:
        return msgspec.structs.replace(
            link, attributes=self._attributes(link.attributes, treatment)
        )

    def _exception(self, exception: ExceptionRecord) -> ExceptionRecord:
        return msgspec.structs.replace(
            exception,
            value=scrub_text(exception.value),
            frames=tuple(map(self._frame, exception.frames)),
        )

    def _frame(self, frame: StackFrame) -> StackFrame:
        if frame.vars is None:
            return frame
        if not self.keeps_locals:
            return msgspec.structs.replace(frame, vars=None)
        scrubbed = {
            name: REDACTED if is_denied(name) else scrub_text(text)
            for name, text in frame.vars.items()
        }
        return msgspec.structs.replace(frame, vars=scrubbed)

    def _breadcrumb(self, crumb: Breadcrumb) -> Breadcrumb:
        return msgspec.structs.replace(
            crumb,
            message=scrub_text(crumb.message),
            data=self._attributes(crumb.data, treatment),
        )


_scrubbed_resources: dict[tuple[int, PrivacyPolicy], tuple[Resource, Resource]] = {}
