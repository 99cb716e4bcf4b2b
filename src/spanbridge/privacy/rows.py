"""Values of users that libraries tell in the messages of their errors: inputs, keys and rows.

A value is anybody's and may hold the very words that a library writes behind it. So of several ends
on a line the last one counts, but for those that belong to an error of its own. Beginnings and ends
are looked for once each: linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spanbridge.model.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Sequence

INPUT: Final = ", input_value="
KEY: Final = ")=("
ROW: Final = "ailing row contains ("
ENTRY: Final = "Duplicate entry "
"""Of which each form has one; the rest of it is looked for around."""

EXISTING_KEY: Final = r"conflicts with (?:existing )?key "
INPUT_BEGIN: Final = rf"\[type=[^\[\]\n]*?{INPUT}"
"""Types of an application's own errors may be any words."""
INPUT_END: Final = r", input_type=[\w.<>]+(?:\[[\w.,|' \[\]]*\])?\]"
"""Generic models have brackets in their names."""
KEY_END: Final = (
    rf"\) (?:already exists\.|is duplicated\.|{EXISTING_KEY}\("
    r"|is (?:not present in|(?:still )?referenced from) table \\*\")"
)
ROW_END: Final = r"\)\.(?:[\r\n\"'\\]|\z| *\[SQL: )"
"""A value may hold the end of a sentence, so only that of the line is one, or of the message."""
ENTRY_END: Final = r"' for key (?:\d+|\\*'[^'\n]*(?:'|\z))"
"""What the libraries write behind a value, as RE2 has it too."""

_UNBROKEN: Final = r"[^\r\n\\{}]|\\(?![nr])"
"""A character of the line, with the signs that are none."""


@dataclass(frozen=True, slots=True)
class _Form:
    """Where a value is.

    Args:
        begin: What is in front of it.
        end: What the library writes behind it.
        line: What ends the line on which the last end counts.
        closing: A value on one line that others than the library wrote, or cut the rest of.
    """

    begin: re.Pattern[str]
    end: re.Pattern[str]
    line: re.Pattern[str]
    closing: re.Pattern[str] | None = None


_LINE: Final = re.compile(r"\n")
_BREAK: Final = re.compile(r"[\r\n]|\\[nr]")
"""The end of a line, also as JSON has it."""
_STATEMENT: Final = re.compile(r"\n|\\[nr]|\[SQL: ")
"""Behind rows. What it holds may look like the end of one."""

_INPUT: Final = _Form(re.compile(INPUT_BEGIN), re.compile(INPUT_END), _LINE)
"""Pydantic writes the value as Python does, and cuts its middle out: quotes need not match."""
_KEY: Final = _Form(
    re.compile(r"[Kk]ey \((?:(?![Kk]ey \()[^\n])*?\)=\("),
    re.compile(KEY_END),
    _LINE,
    re.compile(
        rf"(?:{_UNBROKEN.format('()')}|\((?:{_UNBROKEN.format('()')})*+\))*+(?=\))",
    ),
)
"""PostgreSQL, of rows that must not be alike, and of those that are named by others."""
_EXISTING_KEY: Final = _Form(
    re.compile(rf"{EXISTING_KEY}\([^\n]*?\)=\("),
    re.compile(ROW_END.replace(r"\z", r"\Z")),
    _STATEMENT,
    _KEY.closing,
)
"""The other one of them, which ends its sentence."""
_ROW: Final = _Form(
    re.compile(re.escape(ROW)),
    re.compile(ROW_END.replace(r"\z", r"\Z")),
    _STATEMENT,
    re.compile(rf"(?:{_UNBROKEN.format('')})*(?=\)\. )"),
)
"""PostgreSQL."""
_ENTRY: Final = _Form(
    re.compile(rf"{ENTRY}\\*+'"),
    re.compile(rf"(?<!\\)\\*+{ENTRY_END}".replace(r"\z", r"\Z")),
    _LINE,
    re.compile(rf"(?:{_UNBROKEN.format('')})*?(?=(?<!\\)\\*+'(?!\w))"),
)
"""MySQL."""


def redact_rows(text: str) -> str:
    """``text`` without the values that errors of pydantic, PostgreSQL and MySQL tell."""
    # A single character is found twenty times as fast as words.
    if "=" in text and INPUT in text:
        text = _masked(text, _INPUT)
    if "(" in text:
        if "=" in text and KEY in text:
            text = _masked(_masked(text, _EXISTING_KEY), _KEY)
        if ROW in text:
            text = _masked(text, _ROW)
    if "'" in text and ENTRY in text:
        text = _masked(text, _ENTRY)
    return text


def _masked(text: str, form: _Form) -> str:
    begins = [found.span() for found in form.begin.finditer(text)]
    if not begins:
        return text
    ends = [found.start() for found in form.end.finditer(text)]
    errors = _errors(text, begins, ends)
    pieces: list[str] = []
    done = 0
    for begin, value in begins:
        if begin >= done:
            pieces += text[done:value], REDACTED
            done = _end(text, value, form, ends, errors)
    return "".join([*pieces, text[done:]])


def _errors(text: str, begins: Sequence[tuple[int, int]], ends: Sequence[int]) -> list[int]:
    """Which of the beginnings are on a line of their own: no other error's value holds them."""
    found: list[int] = []
    former = 0
    for begin, value in begins:
        last = bisect_left(ends, begin) - 1
        if _BREAK.search(text, max(former, ends[last] if last >= 0 else 0), begin):
            found.append(begin)
        former = value
    return found


def _end(text: str, value: int, form: _Form, ends: Sequence[int], errors: Sequence[int]) -> int:
    """Where the value ends that begins there."""
    number = bisect_left(ends, value)
    first = ends[number] if number < len(ends) else len(text)
    own = bisect_left(errors, value)
    is_anothers = number == len(ends) or (own < len(errors) and errors[own] < first)
    if is_anothers and form.closing and (closed := form.closing.match(text, value)):
        return closed.end()
    if number == len(ends):
        return len(text)
    next_error = bisect_left(errors, first)
    after = errors[next_error] if next_error < len(errors) else len(text)
    line = form.line.search(text, first, after)
    return ends[max(bisect_left(ends, line.start() if line else after) - 1, number)]
