"""The policy of one privacy level: records in, records that may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from spanbridge.model.failure import Breadcrumb, Issue
from spanbridge.model.log import LogRecord
from spanbridge.model.span import Attributes, Resource, Scope, SpanEvent, SpanLink, SpanRecord
from spanbridge.privacy.failure import (
    scrub_breadcrumb,
    scrub_exception,
    scrub_flag,
    treat_of_event,
)
from spanbridge.privacy.fields import Fields, Treat
from spanbridge.privacy.functions import attributes_told_by, text_told_by, told_by
from spanbridge.privacy.keys import Treatment
from spanbridge.settings.privacy import PrivacyRules

if TYPE_CHECKING:
    from typing import Any

_Shared = TypeVar("_Shared", Resource, Scope)

CAPTURE_CONTENT: Final = "spanbridge.capture_content"
"""An attribute of a span, also a bound one: ``False`` keeps its content back where it may leave."""
DEFAULT_RULES: Final = PrivacyRules()
_YES: Final = frozenset({"true", "1", "yes", "on"})
_MAX_SHARED: Final = 512


class PrivacyPolicy:
    """What a destination may see.

    Equal policies give equal records, so destinations of one level share the work. An instance
    belongs to one thread; what equal ones have found out about names and texts they share.

    Args:
        keeps_content: Prompts, answers, tool arguments and bodies may leave. Off by default.
        keeps_locals: Local variables of stack frames may leave. Off by default.
        rules: What the settings say of names and values.
    """

    def __init__(
        self,
        keeps_content: bool = False,
        keeps_locals: bool = False,
        rules: PrivacyRules = DEFAULT_RULES,
    ) -> None:
        self._functions = rules.privacy_functions
        self._level = (keeps_content, keeps_locals, rules)
        self._keeps_content = keeps_content
        self._keeps_locals = keeps_locals
        self.redacted: list[str] = []
        """The kinds of what the last call cut out, one for each; never the values."""
        self._fields = Fields(rules, keeps_content, self.redacted)
        self._fields_without_content = Fields(rules, False, self.redacted)
        # Scopes and resources are shared by many spans, so the work is done once per object. An
        # entry keeps its original alive, so that its id is not given to another object.
        self._scopes: dict[int, tuple[Scope, Scope]] = {}
        self._resources: dict[int, tuple[Resource, Resource]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivacyPolicy) and self._level == other._level

    def __hash__(self) -> int:
        return hash(self._level)

    @property
    def asks_functions(self) -> bool:
        """Whether functions of the application's look over what leaves."""
        return bool(self._functions)

    def for_other_threads(self) -> PrivacyPolicy:
        """An equal policy that may be used beside this one."""
        return PrivacyPolicy(*self._level)

    def withholds(self, name: str) -> bool:
        """Whether an attribute of this name may be kept back somewhere."""
        return self._fields.served[name] not in (Treatment.KEEP, Treatment.ALLOW)

    def scrub_span(self, span: SpanRecord) -> SpanRecord:
        """The span as it may leave. Raises whatever goes wrong: the caller withholds the item."""
        if self.redacted:
            self.redacted.clear()
        fields = self._fields_for(span) if self._keeps_content else self._fields
        if self._functions:
            span = told_by(self._functions, span, "span")
            fields = self._stricter(fields, self._fields_for(span))
        return self._span(span, fields)

    def scrub_issue(self, issue: Issue) -> Issue:
        """The issue as it may leave. Raises whatever goes wrong: the caller withholds the item."""
        self.redacted.clear()
        fields = self._fields_for_issue(issue)
        if self._functions:
            issue = told_by(self._functions, issue, "issue")
            fields = self._stricter(fields, self._fields_for_issue(issue))
        text = fields.text
        scrubbed = msgspec.structs.replace(
            issue,
            exceptions=tuple(
                [
                    scrub_exception(exception, fields, keeps_locals=self._keeps_locals)
                    for exception in issue.exceptions
                ]
            ),
            span=self._span(issue.span, fields) if issue.span else None,
            local_root=self._span(issue.local_root, fields) if issue.local_root else None,
            root_name=text(issue.root_name),
            message=text(issue.message),
            template=text(issue.template),
            logger=text(issue.logger),
            span_path=tuple(map(text, issue.span_path)),
            tags=_tags(issue.tags, fields),
            contexts={
                text(subject): fields.attributes(attributes, fields.anywhere)
                for subject, attributes in issue.contexts.items()
            },
            flags=tuple([scrub_flag(flag, fields) for flag in issue.flags]),
            fingerprint=tuple(map(text, issue.fingerprint)),
            breadcrumbs=tuple([self._breadcrumb(crumb, fields) for crumb in issue.breadcrumbs]),
            user=fields.attributes(issue.user, fields.anywhere),
        )
        return msgspec.structs.replace(scrubbed, is_redacted=True) if self.redacted else scrubbed

    def scrub_log(self, log: LogRecord) -> LogRecord:
        """The log record as it may leave. Raises whatever goes wrong."""
        self.redacted.clear()
        if self._functions:
            log = told_by(self._functions, log, "log")
        fields = self._fields
        return msgspec.structs.replace(
            log,
            body=fields.text(log.body),
            logger=fields.text(log.logger),
            event_name=fields.text(log.event_name),
            attributes=fields.attributes(
                log.attributes, treat_of_event(log.event_name, fields.anywhere)
            ),
        )

    def scrub_text(self, text: str, place: str = "") -> str:
        """A text that belongs to no record as it may leave.

        Args:
            text: The text.
            place: What functions are told that it is. Unset: they do not see it.
        """
        self.redacted.clear()
        if self._functions and place:
            text = text_told_by(self._functions, text, place)
        return self._fields.text(text)

    def scrub_attributes(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Attributes of a measurement as they may leave; themselves if nothing has to change.

        Sets of them repeat, so that each name and value costs a look-up.
        """
        self.redacted.clear()
        told = attributes if isinstance(attributes, dict) else dict(attributes)
        if self._functions:
            told = attributes_told_by(self._functions, told, "metric.attributes")
        scrubbed = self._fields.attributes(told, self._fields.anywhere)
        return attributes if scrubbed is told is attributes else scrubbed

    def _breadcrumb(self, crumb: Breadcrumb, fields: Fields) -> Breadcrumb:
        if crumb.keeps_content_back:
            fields = self._fields_without_content
        return scrub_breadcrumb(crumb, fields)

    def scrub_resource(self, resource: Resource) -> Resource:
        """The resource of a measurement as it may leave."""
        self.redacted.clear()
        return self._resource(resource)

    def scrub_scope(self, scope: Scope) -> Scope:
        """The scope of a measurement as it may leave."""
        self.redacted.clear()
        return self._scope(scope)

    def _fields_for(self, span: SpanRecord | None) -> Fields:
        if self._keeps_content and span is not None and keeps_content_back(span.attributes):
            return self._fields_without_content
        return self._fields

    def _fields_for_issue(self, issue: Issue) -> Fields:
        return self._stricter(self._fields_for(issue.local_root), self._fields_for(issue.span))

    def _stricter(self, one: Fields, other: Fields) -> Fields:
        return other if one is self._fields else one

    def _span(self, span: SpanRecord, fields: Fields) -> SpanRecord:
        treat = fields.served if span.kind == "server" else fields.anywhere
        name = fields.text(span.name)
        message = fields.text(span.status_message) if span.status_message else None
        attributes = fields.attributes(span.attributes, treat)
        events = (
            tuple([_event(event, fields, treat) for event in span.events]) if span.events else ()
        )
        links = tuple([_link(link, fields) for link in span.links]) if span.links else ()
        trace_state = fields.text(span.trace_state) if span.trace_state else ""
        # Asked for here, as a call takes three times as long as the access.
        known_scope = self._scopes.get(id(span.scope))
        scope = known_scope[1] if known_scope is not None else self._scope(span.scope)
        known = self._resources.get(id(span.resource))
        resource = known[1] if known is not None else self._resource(span.resource)
        if (
            attributes is span.attributes
            and resource is span.resource
            and scope is span.scope
            and name is span.name
            and not (message or events or links or trace_state)
        ):
            return span
        return msgspec.structs.replace(
            span,
            name=name,
            status_message=message,
            attributes=attributes,
            events=events,
            links=links,
            trace_state=trace_state,
            scope=scope,
            resource=resource,
            is_redacted=bool(self.redacted),
        )

    def _resource(self, resource: Resource) -> Resource:
        fields = self._fields
        told = told_by(self._functions, resource, "resource") if self._functions else resource
        attributes = fields.attributes(told.attributes, fields.anywhere)
        schema_url = told.schema_url and fields.text(told.schema_url)
        scrubbed = resource
        if attributes is not resource.attributes or schema_url is not resource.schema_url:
            scrubbed = Resource(attributes, schema_url)
        _remember(self._resources, resource, scrubbed)
        return scrubbed

    def _scope(self, scope: Scope) -> Scope:
        fields = self._fields
        told = told_by(self._functions, scope, "scope") if self._functions else scope
        scrubbed = Scope(
            fields.text(told.name),
            told.version and fields.text(told.version),
            told.schema_url and fields.text(told.schema_url),
            fields.attributes(told.attributes, fields.anywhere),
        )
        if scrubbed == scope:
            scrubbed = scope
        _remember(self._scopes, scope, scrubbed)
        return scrubbed


def keeps_content_back(attributes: Attributes) -> bool:
    """Whether a span with these attributes says that its content stays here."""
    said = attributes.get(CAPTURE_CONTENT)
    return said is not None and str(said).lower() not in _YES


def _event(event: SpanEvent, fields: Fields, treat: Treat) -> SpanEvent:
    attributes = fields.attributes(event.attributes, treat_of_event(event.name, treat))
    return SpanEvent(fields.text(event.name), event.time_ns, attributes)


def _link(link: SpanLink, fields: Fields) -> SpanLink:
    return msgspec.structs.replace(
        link,
        attributes=fields.attributes(link.attributes, fields.anywhere),
        trace_state=fields.text(link.trace_state),
    )


def _tags(tags: dict[str, str], fields: Fields) -> dict[str, str]:
    scrubbed = fields.attributes({**tags}, fields.anywhere)
    return {key: str(value) for key, value in scrubbed.items()}


def _remember(
    known: dict[int, tuple[_Shared, _Shared]], shared: _Shared, scrubbed: _Shared
) -> None:
    if len(known) >= _MAX_SHARED:
        known.clear()
    known[id(shared)] = (shared, scrubbed)
