"""The text of a record of the standard library's logging, made without the application's code.

A handler that formats a record calls ``__str__`` of its arguments. Nobody knows yet whether one
will, so that is not ours to do: the caller may hold a lock that ``__str__`` waits for.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any, Final

from spanbridge.process.bounded_text import ClassName, body_of, stand_in

_TRACEBACK: Final = "Traceback (most recent call last)"
_TOLD: Final = (_TRACEBACK, "exc_type")
"""What the text of a formatted exception holds: Python's own, and structlog's as a structure."""


def message_of(record: logging.LogRecord) -> str:
    """What a record says.

    Where an argument's text cannot be made without its own code, it is the template below level
    ERROR; from there on its class is named in its place.
    """
    message: Any = record.msg
    if not issubclass(type(message), str):
        return body_of(message)
    template = str.__str__(message)
    args: Any = record.args
    if args is None or (type(args) is tuple and not args):
        return template
    try:
        return _formatted(record, template, args)
    except Exception:  # the arguments do not fit
        return template


def _formatted(record: logging.LogRecord, template: str, args: Any) -> str:
    kind = type(args)
    values: Any
    if kind is tuple:
        given: list[object] = list(args)
        shown = list(map(stand_in, given))
        values = tuple(shown)
    elif issubclass(kind, dict):
        given = [*dict.keys(args), *dict.values(args)]
        shown = list(map(stand_in, given))
        values = dict(zip(shown[: len(shown) // 2], shown[len(shown) // 2 :], strict=True))
    else:
        return template
    if type(record).getMessage is not logging.LogRecord.getMessage:
        # A class of the application's own, which formats in another way.
        is_plain = all(one is other for one, other in zip(shown, given, strict=True))
        return str(record.getMessage()) if is_plain else template
    if record.levelno < logging.ERROR and any(type(value) is ClassName for value in shown):
        return template
    return str(template % values)


def before_traceback(text: str) -> str:
    """The text without the exception that some loggers append to it."""
    return text.partition(_TRACEBACK)[0].rstrip() or text


def told_in_text(message: Any) -> BaseException | None:
    """The exception being handled, if the message is known to hold it as text.

    So it is where a formatter ran before the logging call, as structlog's do, and with
    ``logger.error(traceback.format_exc())``. The text must name its class and the line that raised
    it: a traceback that came from another process is not of the exception at hand.
    """
    error = sys.exc_info()[1]
    if error is None or (traceback := error.__traceback__) is None:
        return None
    while (deeper := traceback.tb_next) is not None:
        traceback = deeper
    code, line = traceback.tb_frame.f_code, traceback.tb_lineno
    name = type(error).__name__
    for text in _texts(message):
        if name in text and any(part in text for part in _TOLD):
            return error if _names_line(text, code.co_filename, line, code.co_name) else None
    return None


def _texts(message: Any) -> list[str]:
    """The message in parts, each as long as it is: the line that raised comes late."""
    if isinstance(message, str):
        return [message]
    if not issubclass(type(message), dict):
        return []
    values: list[Any] = list(dict.values(message))
    return [str.__str__(v) if issubclass(type(v), str) else body_of(v) for v in values]


def _names_line(text: str, path: str, line: int, function: str) -> bool:
    by_python = f'File "{path}", line {line}, in {function}'
    if by_python in text or json.dumps(by_python)[1:-1] in text:
        return True
    name = re.escape(function)
    # Rich may break the path to fit the terminal; in a structure it may be escaped in many ways.
    by_rich = rf":{line} in {name}\b"
    in_structure = rf"""["']lineno["']:\s*{line},\s*["']name["']:\s*["']{name}["']"""
    return re.search(f"{by_rich}|{in_structure}", text) is not None
