"""The policy of one privacy level: records in, records that may leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar

import msgspec

from spanbridge.model.failure import (
    Breadcrumb,
    ExceptionRecord,
    FeatureFlag,
    Issue,
    LocalValue,
    LocalVariables,
    StackFrame,
)
from spanbridge.model.span import (
    Attributes,
    AttributeValue,
    Resource,
    Scope,
    SpanEvent,
    SpanLink,
    SpanRecord,
)
from spanbridge.privacy.keys import (
    CONTENT_EVENTS,
    Treatment,
    is_denied,
    is_event_content,
    served_treatment,
    treatment,
)
from spanbridge.privacy.parameters import without_texts
from spanbridge.privacy.sql import without_values
from spanbridge.privacy.text import REDACTED, scrub_path, scrub_source_line, scrub_text

_KEEP: Final = Treatment.KEEP
# Looked up by exact type: ``isinstance`` with ``int | float`` takes five times as long.
_NUMBERS: Final = frozenset({int, float, bool})
_Treat: TypeAlias = Callable[[str], Treatment]
_Shared = TypeVar("_Shared", Resource, Scope)
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
        treat = served_treatment if span.kind == "server" else treatment
        name = scrub_text(span.name)
        message = scrub_text(span.status_message) if span.status_message else None
        attributes = self._attributes(span.attributes, treat)
        events = tuple([self._event(event, treat) for event in span.events]) if span.events else ()
        links = tuple(map(self._link, span.links)) if span.links else ()
        trace_state = scrub_text(span.trace_state) if span.trace_state else ""
        # Asked for here, as a call takes three times as long as the access.
        known_scope = _scrubbed_scopes[self.keeps_content].get(id(span.scope))
        scope = known_scope[1] if known_scope is not None else self._scope(span.scope)
        known = _scrubbed_resources[self.keeps_content].get(id(span.resource))
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
        )

    def scrub_issue(self, issue: Issue) -> Issue:
        """The issue as it may leave. Raises whatever goes wrong: the caller withholds the item."""
        return msgspec.structs.replace(
            issue,
            exceptions=tuple(map(self._exception, issue.exceptions)),
            span=self.scrub_span(issue.span) if issue.span else None,
            local_root=self.scrub_span(issue.local_root) if issue.local_root else None,
            root_name=scrub_text(issue.root_name),
            message=scrub_text(issue.message),
            template=scrub_text(issue.template),
            logger=scrub_text(issue.logger),
            span_path=tuple(map(scrub_text, issue.span_path)),
            tags=self._tags(issue.tags),
            contexts={
                subject: self._attributes(attributes, treatment)
                for subject, attributes in issue.contexts.items()
            },
            flags=tuple(map(_flag, issue.flags)),
            fingerprint=tuple(map(scrub_text, issue.fingerprint)),
            breadcrumbs=tuple(map(self._breadcrumb, issue.breadcrumbs)),
            user=self._attributes(issue.user, treatment),
        )

    def _resource(self, resource: Resource) -> Resource:
        attributes = self._attributes(resource.attributes, treatment)
        scrubbed = resource
        if attributes is not resource.attributes:
            scrubbed = msgspec.structs.replace(resource, attributes=attributes)
        _remember(_scrubbed_resources[self.keeps_content], resource, scrubbed)
        return scrubbed

    def _scope(self, scope: Scope) -> Scope:
        name = scrub_text(scope.name)
        attributes = self._attributes(scope.attributes, treatment)
        scrubbed = scope
        if name is not scope.name or attributes is not scope.attributes:
            scrubbed = msgspec.structs.replace(scope, name=name, attributes=attributes)
        _remember(_scrubbed_scopes[self.keeps_content], scope, scrubbed)
        return scrubbed

    def _tags(self, tags: dict[str, str]) -> dict[str, str]:
        return {key: str(value) for key, value in self._attributes({**tags}, treatment).items()}

    def _attributes(self, attributes: Attributes, treat: _Treat, depth: int = 0) -> Attributes:
        """``attributes`` themselves if nothing has to change, as is usual."""
        scrubbed: Attributes | None = None
        left: AttributeValue
        for key, value in attributes.items():
            kind = treat(key)
            if kind is _KEEP:
                if type(value) is str:
                    # The literal checks spare most values the call.
                    if not (" " in value or ":" in value or "=" in value):
                        continue
                    left = scrub_text(value)
                elif type(value) in _NUMBERS:
                    continue
                else:
                    left = self._nested(value, treat, depth)
            elif kind is Treatment.REDACT:
                left = REDACTED
            elif kind is Treatment.CONTENT:
                left = self._nested(value, treat, depth) if self.keeps_content else None
            elif kind is Treatment.OMIT:
                left = None
            elif kind is Treatment.PARAMETERS:
                told = value if self.keeps_content else without_texts(value)
                left = self._nested(told, treat, depth)
            else:
                left = self._statement(value, attributes, treat, depth)
            if left is value:
                continue
            if scrubbed is None:
                scrubbed = attributes.copy()
            if left is None:
                del scrubbed[key]
            else:
                scrubbed[key] = left
        return attributes if scrubbed is None else scrubbed

    def _statement(
        self, value: AttributeValue, attributes: Attributes, treat: _Treat, depth: int
    ) -> AttributeValue:
        if self.keeps_content or not isinstance(value, str):
            return self._nested(value, treat, depth)
        system = attributes.get("db.system.name") or attributes.get("db.system")
        parameterised = without_values(value, system if isinstance(system, str) else "")
        return value if parameterised == value else parameterised

    def _nested(self, value: AttributeValue, treat: _Treat, depth: int) -> AttributeValue:
        """A value with what is inside it: a key there is treated like the name of an attribute."""
        if isinstance(value, str):
            return scrub_text(value)
        if value is None or isinstance(value, bool | int | float | bytes):
            return value
        if depth >= MAX_DEPTH:
            return REDACTED
        if isinstance(value, Mapping):
            return self._attributes(
                {str(key): inner for key, inner in value.items()}, treat, depth + 1
            )
        return tuple(self._nested(inner, treat, depth + 1) for inner in value)

    def _event(self, event: SpanEvent, treat: _Treat) -> SpanEvent:
        def treat_field(name: str) -> Treatment:
            return Treatment.CONTENT if is_event_content(event.name, name) else treat(name)

        return SpanEvent(
            scrub_text(event.name), event.time_ns, self._attributes(event.attributes, treat_field)
        )

    def _link(self, link: SpanLink) -> SpanLink:
        return msgspec.structs.replace(
            link,
            attributes=self._attributes(link.attributes, treatment),
            trace_state=scrub_text(link.trace_state),
        )

    def _exception(self, exception: ExceptionRecord) -> ExceptionRecord:
        return msgspec.structs.replace(
            exception,
            type=scrub_text(exception.type),
            value=scrub_text(exception.value),
            module=scrub_text(exception.module) if exception.module else exception.module,
            frames=tuple(map(self._frame, exception.frames)),
        )

    def _frame(self, frame: StackFrame) -> StackFrame:
        before, after = _source(frame.pre_context), _source(frame.post_context)
        line = frame.context_line and scrub_source_line(frame.context_line)
        local_variables = self._locals(frame)
        filename = frame.filename and scrub_path(frame.filename)
        abs_path = frame.abs_path and scrub_path(frame.abs_path)
        if (
            before is frame.pre_context
            and after is frame.post_context
            and line == frame.context_line
            and local_variables is frame.vars
            and filename is frame.filename
            and abs_path is frame.abs_path
        ):
            return frame
        return msgspec.structs.replace(
            frame,
            filename=filename,
            abs_path=abs_path,
            pre_context=before,
            context_line=line,
            post_context=after,
            vars=local_variables,
        )

    def _locals(self, frame: StackFrame) -> LocalVariables | None:
        if frame.vars is None or not self.keeps_locals:
            return None
        return {
            scrub_text(name): REDACTED if is_denied(name) else _local(value)
            for name, value in frame.vars.items()
        }

    def _breadcrumb(self, crumb: Breadcrumb) -> Breadcrumb:
        message: AttributeValue = scrub_text(crumb.message)
        if crumb.type == "query":
            message = self._statement(crumb.message, crumb.data, treatment, 0)
        treat: _Treat = treatment
        if crumb.message.startswith(CONTENT_EVENTS):  # the name of an event

            def treat(name: str) -> Treatment:
                is_content = is_event_content(crumb.message, name)
                return Treatment.CONTENT if is_content else treatment(name)

        return msgspec.structs.replace(
            crumb,
            type=scrub_text(crumb.type),
            category=scrub_text(crumb.category),
            message=message,
            data=self._attributes(crumb.data, treat),
        )


def _flag(flag: FeatureFlag) -> FeatureFlag:
    if not isinstance(flag.result, str):
        return flag
    result = scrub_text(flag.result) if treatment(flag.flag) is _KEEP else REDACTED
    return FeatureFlag(flag.flag, result)


def _local(value: LocalValue) -> LocalValue:
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, dict):
        return {
            scrub_text(key): REDACTED if is_denied(key) else _local(inner)
            for key, inner in value.items()
        }
    if len(value) == 2 and isinstance(value[0], str) and is_denied(value[0]):
        return [value[0], REDACTED]  # a header or parameter as a pair
    return [_local(inner) for inner in value]


def _source(lines: list[str] | None) -> list[str] | None:
    if lines is None:
        return None
    scrubbed = list(map(scrub_source_line, lines))
    return lines if scrubbed == lines else scrubbed


def _remember(
    known: dict[int, tuple[_Shared, _Shared]], shared: _Shared, scrubbed: _Shared
) -> None:
    if len(known) >= _MAX_SHARED:
        known.clear()
    known[id(shared)] = (shared, scrubbed)


# Scopes and resources are shared by many spans, so the work is done once per object. An entry
# keeps its original alive, so that its id is not given to another object. By ``keeps_content``.
_MAX_SHARED: Final = 512
_scrubbed_scopes: Final[tuple[dict[int, tuple[Scope, Scope]], ...]] = ({}, {})
_scrubbed_resources: Final[tuple[dict[int, tuple[Resource, Resource]], ...]] = ({}, {})
