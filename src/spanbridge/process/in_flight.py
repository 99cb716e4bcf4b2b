"""The exception in flight when a span ends: is it the recorded one, where was it, seen before?

Everything here runs on the application's thread inside ``on_end``. It copies pointers and short
texts, reads no file, keeps no exception and no frame alive, and lets nothing out but what the
application's own code must see (``KeyboardInterrupt``, a gevent timeout).
"""

from __future__ import annotations

import reprlib
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from opentelemetry.trace import SpanKind, StatusCode

from spanbridge.model.failure import (
    FIRST_FRAMES,
    LAST_FRAMES,
    MAX_EXCEPTIONS,
    CapturedException,
    CapturedFrame,
    LocalVariables,
    Relation,
)
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MAX_MESSAGE_CHARS: Final = 65_536
MAX_NOTES: Final = 20
FRAMES_WITH_LOCALS_AT_EACH_END: Final = 25
"""Sentry's server keeps variables on 25 frames at each end of a stack trace."""
MAX_LOCALS_BYTES: Final = 2_000
"""JSON bytes of all variables of one frame; Sentry's server keeps about 2 KB."""

_WRAPPER_MODULES: Final = ("opentelemetry.", "spanbridge.instrument")
_BROKEN_TEXT: Final = "<exception str() failed>"
_MARK: Final = "__spanbridge_sighting__"


class Sighting:
    """One failure, shared by every exception object and span it is seen on.

    Ids are lower-case hex; they may be corrected by whoever knows an inner span.
    """

    __slots__ = ("span_id", "trace_id")

    def __init__(self, trace_id: str, span_id: str) -> None:
        self.trace_id = trace_id
        self.span_id = span_id

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # An exception may be pickled to a process without spanbridge: nothing of us travels.
        return type(None), ()


class InFlight(NamedTuple):
    """An exception that was in flight when a span ended because of it."""

    exceptions: tuple[CapturedException, ...]
    sighting: Sighting
    inner: tuple[Sighting, ...] = ()
    """Sightings of its causes, contexts and members, nearest first."""


def in_flight(
    error: BaseException, span: ReadableSpan, *, includes_locals: bool
) -> InFlight | None:
    """Snapshot and mark ``error`` if the ending of ``span`` speaks of it.

    It does if the last ``exception`` event of the span recorded it, or if nothing was recorded and
    a SERVER span ends with status ERROR while the framework handles it.

    Args:
        error: What ``sys.exc_info()`` shows while the span ends. It may be unrelated: a healthy
            span can end inside an ``except`` block.
        span: The span that ends.
        includes_locals: Whether to keep short texts of local variables.
    """
    recorded = next((event for event in reversed(span.events) if event.name == "exception"), None)
    if recorded is not None:
        if not is_recorded_by(error, recorded.attributes or {}):
            return None
    elif span.kind is not SpanKind.SERVER or span.status.status_code is not StatusCode.ERROR:
        return None
    context = span.get_span_context()
    if context is None:
        return None
    sighting = mark(error, f"{context.trace_id:032x}", f"{context.span_id:016x}")
    return InFlight(take(error, includes_locals), sighting, chain_marks(error))


def take(error: BaseException, include_locals: bool) -> tuple[CapturedException, ...]:
    """Snapshot an exception with its causes, contexts and group members.

    The outermost exception comes first and every other names its parent. At most
    50 are kept, each with its first 50 and last 200 frames; what is left out is counted on the
    exception it belongs to.
    Frames of OpenTelemetry and of spanbridge's helpers that merely wrap the caller's code are
    removed. No reference to an exception or a frame is kept. Never raises an ``Exception``.

    Args:
        error: The exception; its traceback is read as it stands.
        include_locals: Keep bounded texts of local variables, which calls their ``__repr__``.
    """
    try:
        return _take(error, include_locals)
    except Exception as failure:
        GUARD.caught("process.take_exception", failure)
        return ()


def is_recorded_by(error: BaseException, event_attributes: Mapping[str, Any]) -> bool:
    """Whether an ``exception`` span event speaks of ``error``.

    Type, message and innermost frame must be equal. Where an attribute length limit cut the
    stack trace before its innermost frame, the outermost own frame decides instead.

    Args:
        error: An exception in flight.
        event_attributes: The attributes as ``Span.record_exception`` writes them.
    """
    cls = type(error)
    module = _module_of(cls)
    name = f"{module}.{cls.__qualname__}" if module else cls.__qualname__
    if event_attributes.get("exception.type") != name:
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
    if text != message and not (
        is_cut and len(message) == len(stacktrace) and text.startswith(message)
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


def mark_of(error: BaseException) -> Sighting | None:
    """The sighting of this very exception object, if it was marked before."""
    reference = _marks.get(id(error))
    if reference is not None and reference() is error:
        return reference.sighting
    try:
        found = object.__getattribute__(error, _MARK)
    except Exception:
        return None
    return found if isinstance(found, Sighting) else None


def chain_marks(error: BaseException) -> tuple[Sighting, ...]:
    """The distinct sightings of causes, contexts and members inside ``error``, nearest first.

    A wrapper (``raise X from Y``) or a group is a new object, but the failure is the same one.
    """
    found: dict[int, Sighting] = {}
    seen = {id(error)}
    level = [error]
    while level and len(seen) <= MAX_EXCEPTIONS:
        inner: list[BaseException] = []
        for outer in level:
            for child, _, _ in _children(outer):
                if id(child) in seen:
                    continue
                seen.add(id(child))
                inner.append(child)
                if (sighting := mark_of(child)) is not None:
                    found.setdefault(id(sighting), sighting)
        level = inner
    return tuple(found.values())


def mark(error: BaseException, trace_id: str, span_id: str) -> Sighting:
    """The sighting of the failure that ``error`` belongs to, made now if it is the first.

    An exception that was seen before keeps its sighting; a wrapper or group shares the nearest
    one inside its chain (:func:`chain_marks` gives all); else a new one with these ids is made.
    An exception that takes no mark gets a sighting of its own each time.
    """
    sighting = mark_of(error)
    if sighting is not None:
        return sighting
    inner = chain_marks(error)
    sighting = inner[0] if inner else Sighting(trace_id, span_id)
    # An attribute would show in ``vars(error)``, which applications turn into JSON. Their own
    # classes can be weakly referenced; the built-in ones cannot, but nobody prints their dict.
    try:
        reference = _Marked(error, _forget)
    except TypeError:
        try:
            object.__setattr__(error, _MARK, sighting)
        except Exception:
            GUARD.report("an exception takes no mark", type(error).__qualname__)
        return sighting
    reference.key = id(error)
    reference.sighting = sighting
    _marks[reference.key] = reference
    return sighting


class _Marked(weakref.ref[BaseException]):
    __slots__ = ("key", "sighting")

    key: int
    sighting: Sighting


_marks: dict[int, _Marked] = {}


def _forget(reference: _Marked, pop: Callable[[int, None], _Marked | None] = _marks.pop) -> None:
    # Runs inside garbage collection on any thread: one dict operation, no lock. ``pop`` is bound
    # here because globals are gone when the interpreter ends.
    pop(reference.key, None)


class _Pending(NamedTuple):
    error: BaseException
    relation: Relation
    group_index: int | None
    parent: int | None


def _take(error: BaseException, include_locals: bool) -> tuple[CapturedException, ...]:
    captured: list[CapturedException] = []
    omitted: dict[int, int] = {}
    seen = {id(error)}
    pending = [_Pending(error, "", None, None)]
    while pending:
        current = pending.pop()
        if len(captured) == MAX_EXCEPTIONS:
            assert current.parent is not None
            omitted[current.parent] = omitted.get(current.parent, 0) + 1
            continue
        position = len(captured)
        captured.append(_snapshot(current, include_locals))
        children = []
        for child, relation, index in _children(current.error):
            if id(child) not in seen:
                seen.add(id(child))
                children.append(_Pending(child, relation, index, position))
        pending.extend(reversed(children))
    for position, count in omitted.items():
        captured[position] = captured[position]._replace(omitted_exceptions=count)
    return tuple(captured)


def _children(error: BaseException) -> Iterator[tuple[BaseException, Relation, int | None]]:
    cause = error.__cause__
    if cause is not None:
        yield cause, "__cause__", None
    elif not error.__suppress_context__ and (context := error.__context__) is not None:
        yield context, "__context__", None
    if isinstance(error, BaseExceptionGroup):
        for index, member in enumerate(error.exceptions):
            yield member, "exceptions", index


def _snapshot(pending: _Pending, include_locals: bool) -> CapturedException:
    error = pending.error
    cls = type(error)
    frames, omitted = _frames(error.__traceback__, include_locals)
    return CapturedException(
        cls.__qualname__,
        _module_of(cls),
        _message(error),
        frames,
        pending.relation,
        pending.group_index,
        pending.parent,
        isinstance(error, BaseExceptionGroup),
        _notes(error),
        omitted,
    )


def _module_of(cls: type[BaseException]) -> str | None:
    module = cls.__module__
    return module if isinstance(module, str) and module != "builtins" else None


def _message(error: BaseException) -> str:
    try:
        # Only an exact ``str`` is safe to keep: a subclass can carry anything along.
        return str.__str__(str(error))[:MAX_MESSAGE_CHARS]
    except Exception:
        return _BROKEN_TEXT


def _notes(error: BaseException) -> tuple[str, ...]:
    try:
        notes: object = error.__notes__
    except Exception:  # no notes, or a ``__getattr__`` of the application that fails
        return ()
    if not isinstance(notes, list):
        return ()
    return tuple(
        str.__str__(note)[:MAX_MESSAGE_CHARS] for note in notes[:MAX_NOTES] if isinstance(note, str)
    )


def _frames(
    traceback: TracebackType | None, include_locals: bool
) -> tuple[tuple[CapturedFrame, ...], int]:
    entries: list[TracebackType] = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    omitted = len(entries) - FIRST_FRAMES - LAST_FRAMES
    if omitted > 0:
        del entries[FIRST_FRAMES:-LAST_FRAMES]
    else:
        omitted = 0
    frames: list[CapturedFrame] = []
    visible = 0
    for entry in entries:
        frame = entry.tb_frame
        module: object = frame.f_globals.get("__name__")
        if not isinstance(module, str):
            module = None
        elif module.startswith(_WRAPPER_MODULES) or (
            module == "contextlib" and _is_wrapper_of_span(frame)
        ):
            frames.append(CapturedFrame(frame.f_code, entry.tb_lineno, module))
            continue
        if visible != len(frames):
            # Wrappers around what comes now; only those that raised themselves stay.
            del frames[visible:]
        frames.append(CapturedFrame(frame.f_code, entry.tb_lineno, module))
        visible += 1
    if include_locals:
        _add_locals(frames, entries)
    return tuple(frames), omitted


def _is_wrapper_of_span(frame: FrameType) -> bool:
    if frame.f_code.co_name != "inner":
        return False
    decorator = frame.f_locals.get("self")
    return type(decorator).__module__.startswith(_WRAPPER_MODULES)


def _outermost_own(traceback: TracebackType) -> TracebackType:
    entry: TracebackType | None = traceback
    while entry is not None:
        if not str(entry.tb_frame.f_globals.get("__name__")).startswith(_WRAPPER_MODULES):
            return entry
        entry = entry.tb_next
    return traceback


def _frame_line(entry: TracebackType) -> str:
    code = entry.tb_frame.f_code
    return f'File "{code.co_filename}", line {entry.tb_lineno}, in {code.co_name}'


def _short_repr() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxlevel = 3
    short.maxstring = short.maxother = short.maxlong = 200
    short.maxdict = short.maxlist = short.maxtuple = short.maxset = short.maxfrozenset = 10
    return short


_SHORT_REPR: Final = _short_repr()


def _add_locals(frames: list[CapturedFrame], entries: list[TracebackType]) -> None:
    # The frames are the entries in order, some left out.
    position = 0
    last = len(frames) - FRAMES_WITH_LOCALS_AT_EACH_END
    for entry in entries:
        if position == len(frames):
            return
        captured = frames[position]
        frame = entry.tb_frame
        if captured.code is not frame.f_code or captured.lineno != entry.tb_lineno:
            continue
        if position < FRAMES_WITH_LOCALS_AT_EACH_END or position >= last:
            frames[position] = captured._replace(local_variables=_local_variables(frame))
        position += 1


def _local_variables(frame: FrameType) -> LocalVariables:
    texts: LocalVariables = {}
    left = MAX_LOCALS_BYTES
    for name, value in list(frame.f_locals.items()):
        text = _text_of(value)
        left -= len(name) + 6 + len(msgspec.json.encode(text))
        if left < 0:
            break
        texts[name] = text
    return texts


def _text_of(value: object) -> str:
    try:
        text = _SHORT_REPR.repr(value)
        return text.encode("utf-8", "backslashreplace").decode()
    except Exception:
        return "<broken repr>"
