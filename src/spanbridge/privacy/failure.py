"""The parts of an issue as they may leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from spanbridge.model.failure import (
    Breadcrumb,
    ExceptionRecord,
    FeatureFlag,
    LocalValue,
    LocalVariables,
    StackFrame,
)
from spanbridge.privacy.callers import (
    CALLER,
    holds_caller,
    is_header_of_caller,
    without_caller,
    without_pairs,
)
from spanbridge.privacy.fields import database_of
from spanbridge.privacy.flags import is_behind_flag
from spanbridge.privacy.keys import CONTENT_EVENTS, Treatment, is_event_content

if TYPE_CHECKING:
    from spanbridge.model.span import AttributeValue
    from spanbridge.privacy.fields import Fields, Treat


class EventFields:
    """Treats the attributes of an event, of which some carry messages by their short names.

    Args:
        event: The event's name.
        treat: How attributes are treated elsewhere.
    """

    __slots__ = ("_event", "_treat")

    def __init__(self, event: str, treat: Treat) -> None:
        self._event = event
        self._treat = treat

    def __getitem__(self, name: str) -> Treatment:
        if is_event_content(self._event, name):
            return Treatment.CONTENT
        return self._treat[name]


def treat_of_event(event: str, treat: Treat) -> Treat:
    """How the attributes of an event of this name are treated."""
    return EventFields(event, treat) if event.startswith(CONTENT_EVENTS) else treat


def scrub_exception(
    exception: ExceptionRecord, fields: Fields, *, keeps_locals: bool
) -> ExceptionRecord:
    """One exception of a chain, with its frames."""
    return msgspec.structs.replace(
        exception,
        type=fields.text(exception.type),
        value=fields.text(exception.value),
        module=fields.text(exception.module) if exception.module else exception.module,
        frames=tuple([_frame(frame, fields, keeps_locals) for frame in exception.frames]),
    )


def scrub_breadcrumb(crumb: Breadcrumb, fields: Fields) -> Breadcrumb:
    """One breadcrumb; that of a database query holds a statement."""
    message: AttributeValue = (
        fields.statement(crumb.message, database_of(crumb.data), fields.anywhere)
        if crumb.type == "query"
        else fields.text(crumb.message)
    )
    return msgspec.structs.replace(
        crumb,
        type=fields.text(crumb.type),
        category=fields.text(crumb.category),
        message=message,
        data=fields.attributes(crumb.data, treat_of_event(crumb.message, fields.anywhere)),
    )


def scrub_flag(flag: FeatureFlag, fields: Fields) -> FeatureFlag:
    """A feature flag, treated like an attribute of its name."""
    name = fields.text(flag.flag)
    if not isinstance(flag.result, str):
        return flag if name is flag.flag else FeatureFlag(name, flag.result)
    left = fields.attributes({flag.flag: flag.result}, fields.anywhere)
    return FeatureFlag(name, str(next(iter(left.values()), "")))


def _frame(frame: StackFrame, fields: Fields, keeps_locals: bool) -> StackFrame:
    function = fields.text(frame.function)
    module = frame.module and fields.text(frame.module)
    before, after = _source(frame.pre_context, fields), _source(frame.post_context, fields)
    line = frame.context_line and fields.source_line(frame.context_line)
    local_variables = _locals(frame, fields) if keeps_locals else None
    filename = frame.filename and fields.path(frame.filename)
    abs_path = frame.abs_path and fields.path(frame.abs_path)
    if (
        before is frame.pre_context
        and after is frame.post_context
        and line == frame.context_line
        and local_variables is frame.vars
        and function is frame.function
        and module is frame.module
        and filename == frame.filename
        and abs_path == frame.abs_path
    ):
        return frame
    return msgspec.structs.replace(
        frame,
        function=function,
        module=module,
        filename=filename,
        abs_path=abs_path,
        pre_context=before,
        context_line=line,
        post_context=after,
        vars=local_variables,
    )


def _source(lines: list[str] | None, fields: Fields) -> list[str] | None:
    if lines is None:
        return None
    scrubbed = list(map(fields.source_line, lines))
    return lines if scrubbed == lines else scrubbed


def _locals(frame: StackFrame, fields: Fields) -> LocalVariables | None:
    if frame.vars is None:
        return None
    return {
        fields.text(name): fields.redacted() if fields.is_denied(name) else _local(value, fields)
        for name, value in frame.vars.items()
    }


def _local(value: LocalValue, fields: Fields) -> LocalValue:
    if isinstance(value, str):
        return _local_text(value, fields)
    if isinstance(value, dict):
        hides_callers = fields.is_denied(CALLER)
        return {
            fields.text(key): fields.redacted()
            if fields.is_denied(key) or (hides_callers and holds_caller(key, value))
            else _local(inner, fields)
            for key, inner in value.items()
        }
    if len(value) == 2 and isinstance(value[0], str) and _is_denied_pair(value[0], fields):
        return [fields.text(value[0]), fields.redacted()]  # a header or parameter as a pair
    return [
        fields.redacted()
        if is_behind_flag(inner, before, fields.is_denied)
        else _local(inner, fields)
        for before, inner in zip([None, *value], value, strict=False)
    ]


def _is_denied_pair(name: str, fields: Fields) -> bool:
    return fields.is_denied(name) or (is_header_of_caller(name) and fields.is_denied(CALLER))


def _local_text(text: str, fields: Fields) -> str:
    left = fields.text(text)
    without = without_pairs(left, lambda name: _is_denied_pair(name, fields))
    if fields.is_denied(CALLER):
        without = without_caller(without)
    if without != left:
        fields.redacted()
    return without
