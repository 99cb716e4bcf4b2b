"""A captured or recorded exception becomes :class:`ExceptionRecord` objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from spanbridge.model.failure import CapturedException, ExceptionRecord, StackFrame
from spanbridge.record.source import (
    InAppRules,
    SourceContext,
    SourceReader,
    located_frame,
    module_of_path,
    valid_text,
)
from spanbridge.record.text_traceback import parse_traceback, split_type, without_member_count

if TYPE_CHECKING:
    from spanbridge.model.span import Attributes

_STDLIB_PATH: Final = re.compile(r"^<|[\\/]lib(?:64)?[\\/]python\d")
_WRAPPER_PATH: Final = re.compile(
    r"[\\/](?:opentelemetry[\\/](?:trace|sdk|util|instrumentation)|spanbridge[\\/]instrument)[\\/]"
)


def read_exceptions(
    captured: Sequence[CapturedException], source: SourceReader, in_app: InAppRules
) -> tuple[ExceptionRecord, ...]:
    """Give the frames of a captured chain their source, paths and in-app marks.

    Order and parents stay as captured. Notes follow the message, one a line, as in Sentry's SDK.
    """
    return tuple(_read(exception, source, in_app) for exception in captured)


def read_exception_event(
    attributes: Attributes, source: SourceReader, in_app: InAppRules
) -> tuple[ExceptionRecord, ...]:
    """Read an exception of which only the text is known.

    Args:
        attributes: ``exception.type``, ``exception.message`` and ``exception.stacktrace`` of a
            span event or log record, any of them missing. Type and message win over the text.
        source: Gives the lines around a frame where the file says what the text says.
        in_app: Which frames are the application's own.

    Returns:
        The outermost exception first; never empty.
    """
    stacktrace = attributes.get("exception.stacktrace")
    records = parse_traceback(stacktrace) if isinstance(stacktrace, str) and stacktrace else ()
    records = tuple(_locate(record, source, in_app) for record in records)
    name, message = attributes.get("exception.type"), attributes.get("exception.message")
    outermost = records[0] if records else ExceptionRecord(type="", value="")
    if isinstance(name, str) and name:
        module, type_name = split_type(valid_text(name))
        outermost = msgspec.structs.replace(outermost, type=type_name, module=module)
    text = valid_text(message) if isinstance(message, str) else ""
    if outermost.is_group:
        text = without_member_count(text)
    if not outermost.value.startswith(text):
        is_parsed = bool(records and records[0].type)
        value = text if is_parsed else f"{text}\n{outermost.value}".rstrip("\n")
        outermost = msgspec.structs.replace(outermost, value=value)
    if not outermost.type and not outermost.value:
        outermost = msgspec.structs.replace(outermost, type="Error")
    return (outermost, *records[1:])


def _read(
    exception: CapturedException, source: SourceReader, in_app: InAppRules
) -> ExceptionRecord:
    frames: list[StackFrame] = []
    for code, lineno, module, local_variables in exception.frames:
        frame = source.frame(code, lineno, module, in_app)
        if frame is None:
            continue
        if local_variables is not None:
            frame = msgspec.structs.replace(frame, vars=local_variables)
        frames.append(frame)
    value = exception.message
    if exception.notes:
        value = "\n".join((value, *exception.notes))
    return ExceptionRecord(
        exception.type,
        valid_text(value),
        exception.module,
        tuple(frames),
        exception.relation,
        exception.group_index,
        exception.parent,
        exception.is_group,
        exception.omitted_frames,
        exception.omitted_exceptions,
        exception.errno,
    )


def _locate(record: ExceptionRecord, source: SourceReader, in_app: InAppRules) -> ExceptionRecord:
    frames = tuple(
        _locate_frame(frame, source, in_app) for frame in _without_wrappers(record.frames)
    )
    return msgspec.structs.replace(record, frames=frames)


def _without_wrappers(frames: tuple[StackFrame, ...]) -> list[StackFrame]:
    kept: list[StackFrame] = []
    wrappers: list[StackFrame] = []
    for frame in frames:
        if _WRAPPER_PATH.search(frame.filename or ""):
            wrappers.append(frame)
        else:
            wrappers.clear()
            kept.append(frame)
    return kept + wrappers  # those at the end raised it themselves


def _locate_frame(frame: StackFrame, source: SourceReader, in_app: InAppRules) -> StackFrame:
    path, lineno = frame.filename, frame.lineno
    if path is None or lineno is None:
        return frame
    module = module_of_path(path)
    written = frame.context_line
    context = SourceContext([], written, [])
    # The text may come from anywhere, so only importable files are opened, and another process
    # may run another version of the file: unless the line agrees, the text alone is believed.
    if module is not None and written is not None:
        found = source.context(path, lineno, module)
        if found.line is not None and found.line.strip() == written.strip():
            context = found
    located = located_frame(frame.function, path, module, lineno, context, in_app)
    if located.in_app is None and module is None and not _STDLIB_PATH.search(path):
        # Of a program elsewhere: neither its interpreter's nor an installed package's.
        located = msgspec.structs.replace(located, in_app=True)
    return located
