"""An exception as it stands when a span ends, without a reference to it or its frames.

Runs on the application's thread: it copies pointers and short texts and reads no file.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType, TracebackType
from typing import Final, NamedTuple, TypeAlias

from spanbridge.model.failure import (
    FIRST_FRAMES,
    LAST_FRAMES,
    MAX_EXCEPTIONS,
    CapturedException,
    CapturedFrame,
    LocalVariables,
    Relation,
)
from spanbridge.process.local_variables import BROKEN, read_local_variables
from spanbridge.runtime.guard import GUARD

MAX_MESSAGE_CHARS: Final = 65_536
MAX_NOTES: Final = 20
_MAX_ERRNO: Final = 2**31
FRAMES_WITH_LOCALS_AT_EACH_END: Final = 25
"""Sentry's server keeps variables on 25 frames at each end of a stack trace."""

WRAPPER_MODULES: Final = ("opentelemetry.", "spanbridge.instrument")
"""Modules whose frames merely wrap the application's code."""

LocalsByFrame: TypeAlias = dict[tuple[int, CodeType, int], LocalVariables]
"""Variables by the identity of a live frame and the line it failed in.

The code guards against a reused identity. A frame that goes on and fails in another line is read
again, for the exception that it raised there.
"""


def take(
    error: BaseException,
    include_locals: bool,
    known_locals: LocalsByFrame | None = None,
    own_modules: tuple[str, ...] = (),
) -> tuple[CapturedException, ...]:
    """Snapshot an exception with its causes, contexts and group members.

    The outermost exception comes first and every other names its parent. At most
    50 are kept, each with its first 50 and last 200 frames; what is left out is counted on the
    exception it belongs to.
    Frames of OpenTelemetry and of spanbridge's helpers that merely wrap the caller's code are
    removed. No reference to an exception or a frame is kept. Never raises an ``Exception``.

    Args:
        error: The exception; its traceback is read as it stands.
        include_locals: Keep local variables, bounded; this calls their ``__repr__``.
        known_locals: Variables taken before of the same exception, used again and added to, so that
            each frame is read once however many spans the exception leaves.
        own_modules: Modules whose frames are the application's own also where they are installed;
            variables of other installed packages are not read.
    """
    if known_locals is None:
        known_locals = {}
    try:
        return _take(error, _Locals(known_locals, own_modules) if include_locals else None)
    except Exception as failure:
        GUARD.caught("process.take_exception", failure)
        return ()


def inner_exceptions(error: BaseException) -> Iterator[tuple[BaseException, Relation, int | None]]:
    """The exceptions directly inside ``error``: how it holds each, and the place in a group.

    The cause, else the context unless it is suppressed, then the first 50 members.
    """
    cause = error.__cause__
    if cause is not None:
        yield cause, "__cause__", None
    elif not error.__suppress_context__ and (context := error.__context__) is not None:
        yield context, "__context__", None
    if isinstance(error, BaseExceptionGroup):
        for index, member in enumerate(error.exceptions[:MAX_EXCEPTIONS]):
            yield member, "exceptions", index


def module_of(cls: type[BaseException]) -> str | None:
    """The module of an exception class; ``None`` for built-in ones."""
    module = cls.__module__
    return module if isinstance(module, str) and module != "builtins" else None


class _Pending(NamedTuple):
    error: BaseException
    relation: Relation
    group_index: int | None
    parent: int | None


def _take(error: BaseException, wanted: _Locals | None) -> tuple[CapturedException, ...]:
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
        captured.append(_snapshot(current, wanted))
        children = []
        for child, relation, index in inner_exceptions(current.error):
            if id(child) not in seen:
                seen.add(id(child))
                children.append(_Pending(child, relation, index, position))
        pending.extend(reversed(children))
    for position, count in omitted.items():
        taken = captured[position]
        captured[position] = taken._replace(omitted_exceptions=taken.omitted_exceptions + count)
    return tuple(captured)


def _snapshot(pending: _Pending, wanted: _Locals | None) -> CapturedException:
    error = pending.error
    cls = type(error)
    frames, omitted_frames = _frames(error.__traceback__, wanted)
    members = len(error.exceptions) if isinstance(error, BaseExceptionGroup) else 0
    return CapturedException(
        cls.__qualname__,
        module_of(cls),
        _message(error),
        frames,
        pending.relation,
        pending.group_index,
        pending.parent,
        members > 0,
        _notes(error),
        omitted_frames,
        max(0, members - MAX_EXCEPTIONS),
        _errno(error),
    )


def _errno(error: BaseException) -> int | None:
    try:
        number: object = getattr(error, "errno", None)
    except Exception:  # a property of the application that fails
        return None
    return number if type(number) is int and abs(number) <= _MAX_ERRNO else None


def text_of(error: BaseException) -> str:
    """What ``str`` makes of an exception, or ``repr`` where that fails; bounded."""
    for text in (str, repr):
        try:
            # Only an exact ``str`` is safe to keep: a subclass can carry anything along.
            return str.__str__(text(error))[:MAX_MESSAGE_CHARS]
        except Exception:
            continue
    return BROKEN


def _message(error: BaseException) -> str:
    for name in ("message", "detail"):
        # As in Sentry's SDK: of a group it leaves out how many members there are.
        try:
            stated: object = getattr(error, name, None)
        except Exception:  # a property of the application that fails
            continue
        # By type, because ``isinstance`` and a truth value can run the application's code.
        if issubclass(type(stated), str) and (text := str.__str__(stated)):
            return text[:MAX_MESSAGE_CHARS]
    return text_of(error)


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
    traceback: TracebackType | None, wanted: _Locals | None
) -> tuple[tuple[CapturedFrame, ...], int]:
    entries: list[TracebackType] = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    if len(entries) > FIRST_FRAMES + LAST_FRAMES:
        # Without wrappers first, so that as many frames as there is room for are left.
        entries[:FIRST_FRAMES] = [
            entry
            for entry in entries[:FIRST_FRAMES]
            if not _is_wrapper(entry.tb_frame, _module_of(entry.tb_frame))
        ]
    omitted = max(0, len(entries) - FIRST_FRAMES - LAST_FRAMES)
    if omitted:
        del entries[FIRST_FRAMES:-LAST_FRAMES]
    frames: list[CapturedFrame] = []
    visible = 0
    for entry in entries:
        frame = entry.tb_frame
        module = _module_of(frame)
        if _is_wrapper(frame, module):
            frames.append(CapturedFrame(frame.f_code, entry.tb_lineno, module))
            continue
        if visible != len(frames):
            # Wrappers around what comes now; only those that raised themselves stay.
            del frames[visible:]
        frames.append(CapturedFrame(frame.f_code, entry.tb_lineno, module))
        visible += 1
    if wanted is not None:
        _add_locals(frames, entries, wanted)
    return tuple(frames), omitted


def _module_of(frame: FrameType) -> str | None:
    module: object = frame.f_globals.get("__name__")
    return module if isinstance(module, str) else None


def _is_wrapper(frame: FrameType, module: str | None) -> bool:
    return module is not None and (
        module.startswith(WRAPPER_MODULES)
        or (module == "contextlib" and _is_wrapper_of_span(frame))
    )


def _is_wrapper_of_span(frame: FrameType) -> bool:
    if frame.f_code.co_name != "inner":
        return False
    decorator = frame.f_locals.get("self")
    return str(type(decorator).__module__).startswith(WRAPPER_MODULES)


_STDLIB: Final = sysconfig.get_paths()["stdlib"] + os.sep
_INSTALLED: Final = re.compile(r"[\\/](?:site|dist)-packages[\\/]")


def _add_locals(frames: list[CapturedFrame], entries: list[TracebackType], wanted: _Locals) -> None:
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
        is_near_an_end = position < FRAMES_WITH_LOCALS_AT_EACH_END or position >= last
        is_own = not _is_of_a_library(frame.f_code.co_filename) or wanted.names(captured.module)
        if is_near_an_end and is_own:
            key = (id(frame), frame.f_code, entry.tb_lineno)
            if (variables := wanted.known.get(key)) is None:
                wanted.known[key] = variables = read_local_variables(frame)
            frames[position] = captured._replace(local_variables=variables)
        position += 1


class _Locals(NamedTuple):
    """Of which frames local variables are kept."""

    known: LocalsByFrame
    own_modules: tuple[str, ...]

    def names(self, module: str | None) -> bool:
        """Whether a module, or one above it, counts as the application's own wherever it lies."""
        return module is not None and any(
            module == own or module.startswith(f"{own}.") for own in self.own_modules
        )


@lru_cache(maxsize=4096)
def _is_of_a_library(path: str) -> bool:
    """Whether the file is the interpreter's or an installed package's.

    A web framework's locals hold whole requests: cookies, credentials, bodies.
    """
    return path.startswith(("<frozen", _STDLIB)) or bool(_INSTALLED.search(path))
