r"""What errors of databases and of pydantic tell, in the Collector's expressions.

A value has the end that the library writes, or else one on its line that others may have written.
Each has an expression of its own: of a value that may end in two ways, Go looks for the far end
from every beginning and then takes the near one, which takes quadratic time.

As in ``spanbridge.privacy.rows``, the last end of a line counts, and an error that begins on a line
of its own ends what stands before it. So an innocent ``key (id)=(7)`` does not reach to the end of
an error some lines below.
"""

from __future__ import annotations

import re
from typing import Final

from spanbridge.privacy import rows

_GROUPS: Final = "()()()()"
"""With the beginning five, behind which ``end`` and ``dot`` come; see ``REPLACEMENT``."""
_UNBROKEN: Final = r"(?:[^\n\r\\]|\\+[^\\nr\n\r])*"
"""Without the end of a line, also as JSON has it."""
_BREAK: Final = r"(?:\\*[\n\r]|\\+[nr])"
_SAME_LINE: Final = r"(?:[^\n\\]|\\+[^\\nr\n])*"
_TO_END: Final = r"(?s:.*)"
_BRACKETS: Final = r"(?:[^()]|\([^()]*\)|\((?s:.*))*"
_QUOTED: Final = r"(?:[^'\\]|\\+[^'\\]|\\*'\w)*"

_INPUT_WORDS: Final = "[type="
_ROW_WORDS: Final = "ailing row"
"""What an error begins with, beside ``KEY`` and ``ENTRY``."""
_KEY: Final = r"ey \([^\n]*?\)=\("
_ROW: Final = re.escape(rows.ROW)
_ENTRY: Final = rf"{rows.ENTRY}\\*'"


def value_patterns() -> dict[str, str]:
    """Values in errors, by the names of their expressions."""
    entry_end = rf"\\*{rows.ENTRY_END}"
    input_end = _last(rows.INPUT_END, rf"{rows.INPUT_END}{_up_to(_INPUT_WORDS)}")
    # Neither the end of a line nor a statement follows an end that is not the last.
    row_end = _last(rows.ROW_END, rf"\)\.(?:[\"']|\\+[^\\nr\n]){_SAME_LINE}\\*?")
    known_row = rf"\[REDACTED\](?P<end>{rows.ROW_END})"
    sentence = rf"{_SAME_LINE}(?P<dot>\)\. )"
    key_value = _value(rows.KEY)
    forms = {
        # What has no end reaches to that of the text, where nothing begins any more.
        "inputs": (rows.INPUT_BEGIN, rf"(?:(?s:.*?){input_end}|{_TO_END})"),
        "existing_keys": (
            rf"{rows.EXISTING_KEY}\([^\n]*?\)=\(",
            key_value + row_end,
        ),
        "keys_of_rows": (_KEY, key_value + _last(rows.KEY_END, rows.KEY_END + _up_to(rows.KEY))),
        "closed_keys": (rf"[Kk]{_KEY}", _BRACKETS),
        "rows": (_ROW, _value(_ROW_WORDS) + row_end),
        "closed_rows": (_ROW, f"(?:{known_row}|{sentence}|{_TO_END})"),
        "entries": (
            _ENTRY,
            _value(rows.ENTRY) + _last(entry_end, entry_end + _up_to(rows.ENTRY)),
        ),
        "closed_entries": (_ENTRY, _QUOTED),
    }
    return {name: f"({begin}){_GROUPS}{value}" for name, (begin, value) in forms.items()}


SIGNS: Final = {"closed_keys": re.escape(rows.KEY)}
"""What is found faster than a letter of either case."""


def _value(own: str) -> str:
    """What stands before an end, without a line on which an error of its own begins."""
    piece, rest = _without(own)
    return rf"{_UNBROKEN}?(?:{_BREAK}{piece}*?{rest}|\\*?)"


def _up_to(own: str) -> str:
    """The rest of a line up to an error of its own, which JSON has on the same one."""
    piece, rest = _without(own, beside=r"\n")
    return rf"{_SAME_LINE}(?:\\+[nr]{piece}*{rest}|\\*?)"


def _last(end: str, others: str) -> str:
    """An end, or ``others`` with what is up to the last one."""
    return f"(?:{others})?(?P<end>{end})"


def _without(words: str, *, beside: str = "") -> tuple[str, str]:
    """A piece of a text without ``words``, and what may stand behind the last one.

    Args:
        words: The first character of them is in them once.
        beside: Characters that are left out as well.
    """
    first, *others = map(re.escape, words)
    begun = other = ""
    for letter in reversed(others):
        other = rf"(?:[^{first}{letter}{beside}]{f'|{letter}{other}' if other else ''})"
    for letter in reversed(others[:-1]):
        begun = f"(?:{letter}{begun})?"
    once = f"{first}(?:{begun}{first})*"
    return f"(?:[^{first}{beside}]|{once}{other})", f"(?:{once}{begun})?"
