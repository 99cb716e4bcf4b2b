"""The exception in flight when a span ends: is it the one the span speaks of?

Runs on the application's thread inside ``on_end``. It lets nothing out but what the
application's own code must see (``KeyboardInterrupt``, a gevent timeout).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from spanbridge.model.ending import EndingWord, ending_word
from spanbridge.model.failure import CapturedException
from spanbridge.model.span import Attributes
from spanbridge.process.self_description import telemetry_attributes
from spanbridge.process.sighting import Sighting, chain_marks, mark
from spanbridge.process.snapshot import WRAPPER_MODULES, module_of, take

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

_INSTRUMENTATION: Final = "opentelemetry.instrumentation."
_EXITS: Final = frozenset({"__exit__", "__aexit__"})
_IS_GENERATOR: Final = CO_GENERATOR | CO_ASYNC_GENERATOR
_SPAN_END: Final = Span.end.__code__

Ending: TypeAlias = Literal["left", "clean", "by_hand"]
"""How code ended a span while an exception was in flight: because it left a ``with`` block or a
wrapper, at the regular end of a ``with`` block, or by a call of ``end``."""


class InFlight(NamedTuple):
    """An exception that was in flight when a span ended because of it."""

    exceptions: tuple[CapturedException, ...]
    sighting: Sighting
    inner: tuple[Sighting, ...] = ()
    """Sightings of its causes, contexts and members, nearest first."""
    is_leaving: bool = True
    """Whether it was seen to leave the span. If not, the span ended where it was caught."""
    has_ended_parent: bool = False
    """Whether the parent of the span is known to have ended before."""
    attributes: Attributes | None = None
    """What the exception says about itself."""


class Left(NamedTuple):
    """A span was left by an exception that is no failure: a cancellation, an orderly exit."""

    outcome: EndingWord


def left_by(error: BaseException) -> Left | None:
    """What the span that ends now was left by, if that is no ``Exception``.

    OpenTelemetry records nothing of it, and the span looks like one that ended well.
    """
    if isinstance(error, Exception):
        return None
    for cls in type(error).__mro__:
        if (word := ending_word(qualified_name(cls))) is not None:
            return Left(word) if _ending(error) == "left" else None
    return None


def in_flight(
    error: BaseException,
    span: ReadableSpan,
    *,
    includes_locals: bool,
    own_modules: tuple[str, ...] = (),
) -> InFlight | None:
    """Snapshot and mark ``error`` if the ending of ``span`` speaks of it.

    It does if the span has status ERROR, and its last ``exception`` event recorded it, or nothing
    was recorded and a SERVER span ends while the framework handles it.

    Args:
        error: What ``sys.exc_info()`` shows while the span ends. It may be unrelated: a healthy
            span can end inside an ``except`` block.
        span: The span that ends.
        includes_locals: Whether to keep local variables.
        own_modules: Installed modules whose frames have variables all the same.
    """
    if span.status.status_code is not StatusCode.ERROR:
        return None
    recorded = next((event for event in reversed(span.events) if event.name == "exception"), None)
    ending: Ending
    if recorded is not None:
        if not is_recorded_by(error, recorded.attributes or {}):
            return None
        ending = _ending(error)
    elif span.kind is not SpanKind.SERVER:
        return None
    else:
        ending = _ending(error)
        if ending == "clean" or (ending == "by_hand" and _is_older_than_request(error)):
            return None
    context = span.get_span_context()
    if context is None:
        return None
    span_id = f"{context.span_id:016x}"
    sighting = mark(error, f"{context.trace_id:032x}", span_id)
    known = sighting.known_locals(span_id, f"{span.parent.span_id:016x}" if span.parent else "")
    return InFlight(
        take(error, includes_locals, known, own_modules),
        sighting,
        chain_marks(error),
        ending == "left",
        _has_ended(span.parent),
        telemetry_attributes(error),
    )


def is_recorded_by(error: BaseException, event_attributes: Mapping[str, Any]) -> bool:
    """Whether an ``exception`` span event speaks of ``error``.

    Type, innermost frame and message must be equal. A message of the caller's own is looked past:
    the stack trace ends with the true one. Where an attribute length limit cut the stack trace
    before its innermost frame, the outermost own frame decides instead.

    Args:
        error: An exception in flight.
        event_attributes: The attributes as ``Span.record_exception`` writes them.
    """
    cls = type(error)
    if event_attributes.get("exception.type") != qualified_name(cls):
        return False
    message = event_attributes.get("exception.message")
    stacktrace = event_attributes.get("exception.stacktrace")
    if not isinstance(message, str) or not isinstance(stacktrace, str):
        return False
    try:
        text = str(error)
    except Exception:
        return False
    is_cut = not stacktrace.endswith("\n")
    if (
        text != message
        and not (is_cut and len(message) == len(stacktrace) and text.startswith(message))
        and f"{cls.__qualname__}{': ' if text else ''}{text}\n" not in stacktrace
    ):
        return False
    traceback = error.__traceback__
    if traceback is None:
        return False
    innermost = traceback
    while (deeper := innermost.tb_next) is not None:
        innermost = deeper
    if _frame_line(innermost) in stacktrace:
        return True
    return is_cut and _frame_line(_outermost_own(traceback)) in stacktrace


def qualified_name(cls: type) -> str:
    """The name of a class with its module, as ``exception.type`` has it."""
    module = module_of(cls)
    return f"{module}.{cls.__qualname__}" if module else cls.__qualname__


def _outermost_own(traceback: TracebackType) -> TracebackType:
    entry: TracebackType | None = traceback
    while entry is not None:
        if not str(entry.tb_frame.f_globals.get("__name__")).startswith(WRAPPER_MODULES):
            return entry
        entry = entry.tb_next
    return traceback


def _frame_line(entry: TracebackType) -> str:
    code = entry.tb_frame.f_code
    return f'File "{code.co_filename}", line {entry.tb_lineno}, in {code.co_name}'


def _ending(error: BaseException) -> Ending:
    """What the frames that are ending a span tell about ``error``.

    The traceback alone cannot tell: a ``with`` statement leaves no frame of its own in it.
    """
    traceback = error.__traceback__
    passed = traceback.tb_frame if traceback is not None else None
    is_instrumented = False
    for frame in _frames_above_end():
        name = frame.f_code.co_name
        if name in _EXITS:
            return "left" if _is_given(frame, error) else "clean"
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(WRAPPER_MODULES):
            if frame is passed:  # it caught the exception, to pass it on
                return "left"
            is_instrumented = module.startswith(_INSTRUMENTATION)
        elif module != "contextlib" and name != "end":  # a span class may wrap the SDK's
            if frame.f_code.co_flags & _IS_GENERATOR:
                return "left" if _is_thrown_into(frame, error) else "by_hand"
            is_reported = is_instrumented and _passed_a_middleware(traceback)
            return "left" if is_reported else "by_hand"
    return "by_hand"


def _frames_above_end() -> Iterator[FrameType]:
    """The frames that called ``Span.end``, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _SPAN_END:
        frame = frame.f_back
    while frame is not None and (frame := frame.f_back) is not None:
        yield frame


def _is_given(exit_frame: FrameType, error: BaseException) -> bool:
    return any(
        value is error or (type(value) is tuple and any(item is error for item in value))
        for value in exit_frame.f_locals.values()
    )


def _is_thrown_into(generator: FrameType, error: BaseException) -> bool:
    """Whether a generator is a context manager whose block ``error`` left."""
    caller = generator.f_back
    return (
        caller is not None
        and caller.f_code.co_name in _EXITS
        and caller.f_globals.get("__name__") == "contextlib"
        and _is_given(caller, error)
    )


def _passed_a_middleware(traceback: TracebackType | None) -> bool:
    """Whether an exception left the application, so that the server answers for it.

    The ASGI instrumentation ends its span when the last of the answer is sent, which is before
    the exception reaches it. Its frame for exceptions is further inside.
    """
    while traceback is not None:
        if _is_middleware(traceback.tb_frame):
            return True
        traceback = traceback.tb_next
    return False


def _is_middleware(frame: FrameType) -> bool:
    return frame.f_code.co_name == "__call__" and str(frame.f_globals.get("__name__")).startswith(
        _INSTRUMENTATION
    )


def _is_older_than_request(error: BaseException) -> bool:
    """Whether ``error`` is handled by a caller of the instrumentation that serves the request."""
    if (traceback := error.__traceback__) is None:
        return False
    for frame in _frames_above_end():
        if frame is traceback.tb_frame:  # the frame that caught it
            return False
        if _is_middleware(frame):
            return True
    return False


def _has_ended(parent: SpanContext | None) -> bool:
    """Whether the parent is current and has ended: a task outlived it."""
    current = get_current_span()
    return (
        parent is not None
        and isinstance(current, ReadableSpan)
        and current.end_time is not None
        and current.get_span_context() == parent
    )
