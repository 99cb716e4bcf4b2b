"""Whether two texts of an exception tell of the same one, where no live object can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanbridge.conventions.upstream import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)

if TYPE_CHECKING:
    from spanbridge.model.failure import CapturedException
    from spanbridge.model.span import Attributes


def tell_of_the_same(one: Attributes, other: Attributes) -> bool:
    """Whether two ``exception`` events of one span record the same, by hand and when it left.

    The message of one may be the caller's own, but stack traces end with the raising line.
    """
    if one.get(EXCEPTION_TYPE) != other.get(EXCEPTION_TYPE):
        return False
    if one.get(EXCEPTION_MESSAGE) == other.get(EXCEPTION_MESSAGE):
        return True
    raised = _raising_end(one.get(EXCEPTION_STACKTRACE))
    return raised != "" and raised == _raising_end(other.get(EXCEPTION_STACKTRACE))


def raising_line(stacktrace: object) -> str:
    """File, line and function of the innermost frame of a Python stack trace; or empty."""
    return _raising_end(stacktrace).partition("\n")[0]


def whole_raising_line(stacktrace: object) -> str:
    """The same, but empty if the text was cut, as then its last frame need not be the innermost."""
    line, _, rest = _raising_end(stacktrace).partition("\n")
    is_whole = any(text and not text.startswith(" ") for text in rest.split("\n"))
    return line if is_whole else ""


def captured_raising_line(captured: tuple[CapturedException, ...]) -> str:
    """What :func:`raising_line` is of the text of a captured exception."""
    if not captured or not captured[0].frames:
        return ""
    frame = captured[0].frames[-1]
    return f'File "{frame.code.co_filename}", line {frame.lineno}, in {frame.code.co_name}'


def _raising_end(stacktrace: object) -> str:
    """The innermost frame of a Python stack trace and what follows it; empty if there is none."""
    if not isinstance(stacktrace, str):
        return ""
    start = stacktrace.rfind('\n  File "')
    return stacktrace[start + len("\n  ") :] if start >= 0 else ""
