"""Tracebacks as several Pythons really printed them; see ``tracebacks/failing.py``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from spanbridge.model.failure import ExceptionRecord
from spanbridge.process.snapshot import take
from spanbridge.record.text_traceback import parse_traceback
from tests.support.failing import caught
from tests.unit.record.tracebacks import failing

TRACEBACKS = Path(__file__).with_name("tracebacks")
PRINTED_BY = ["3.11", "3.12", "3.13", "3.13-colour"]
CUT_WHEN_PRINTED = {"wide_group", "deep_group"}

Outline = tuple[Any, ...]


def sections(printed_by: str) -> dict[str, str]:
    text = (TRACEBACKS / f"{printed_by}.txt").read_text(encoding="utf-8")
    return dict(section.split("\n", 1) for section in text.split("#### ")[1:])


def read(printed_by: str, program: str) -> tuple[ExceptionRecord, ...]:
    return parse_traceback(sections(printed_by)[program])


def calls(functions: list[str]) -> list[str]:
    """The functions without repetition, and without what only one of the Pythons has."""
    return [name for name, _ in groupby(functions) if name not in ("main", "caught", "<listcomp>")]


def outline_of_live(program: str) -> list[Outline]:
    return [
        (
            taken.type,
            taken.relation,
            taken.group_index,
            taken.parent,
            taken.is_group,
            calls([frame.code.co_name for frame in taken.frames]),
        )
        for taken in take(caught(getattr(failing, program)), False)
    ]


@pytest.mark.parametrize("printed_by", PRINTED_BY)
@pytest.mark.parametrize(
    "program", [p.__name__ for p in failing.PROGRAMS if p.__name__ not in CUT_WHEN_PRINTED]
)
def test_what_each_python_prints_is_read_as_the_exception_itself(
    printed_by: str, program: str
) -> None:
    outline = [
        (
            record.type,
            record.relation,
            record.group_index,
            record.parent,
            record.is_group,
            calls([frame.function for frame in record.frames]),
        )
        for record in read(printed_by, program)
    ]
    assert outline == outline_of_live(program)


@pytest.mark.parametrize("printed_by", PRINTED_BY)
@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("fail", "broken"),
        ("cause", "'outer'"),
        ("notes", "message\nfirst\nsecond"),
        ("group", "several"),
        ("around_a_group", "around"),
        ("syntax", "invalid syntax (formula.py, line 1)"),
        ("several_lines", "a message over several lines"),
        ("wide_characters", 'can only concatenate str (not "int") to str'),
        ("many_lines", "line 1\n\nline: 3\n  indented"),
        ("local_class", ""),
        ("no_text", "<exception str() failed>"),
    ],
)
def test_messages_and_notes_are_read_without_carets_and_colours(
    printed_by: str, program: str, value: str
) -> None:
    assert read(printed_by, program)[0].value == value


@pytest.mark.parametrize("printed_by", PRINTED_BY)
def test_each_frame_has_its_first_source_line(printed_by: str) -> None:
    [record] = read(printed_by, "several_lines")
    assert [(frame.function, frame.context_line) for frame in record.frames[1:]] == [
        ("several_lines", "fail("),
        ("fail", "raise ValueError(message)"),
    ]
    [record] = read(printed_by, "operators")
    assert record.frames[-1].context_line == 'return left["key"]["other"] + right["key"]'
    assert all(frame.filename == "/app/failing.py" for frame in record.frames)


@pytest.mark.parametrize("printed_by", PRINTED_BY)
def test_folded_recursion_is_counted_in_full(printed_by: str) -> None:
    [record] = read(printed_by, "deep")
    assert (len(record.frames), record.omitted_frames) == (250, 604 - 250)


@pytest.mark.parametrize("printed_by", PRINTED_BY)
def test_what_is_too_wide_or_too_deep_to_be_printed_is_counted(printed_by: str) -> None:
    wide = read(printed_by, "wide_group")
    assert (len(wide), wide[0].value, wide[0].omitted_exceptions) == (16, "wide", 5)
    deep = read(printed_by, "deep_group")
    assert [record.value for record in deep] == [f"level {n}" for n in range(13, 3, -1)]
    assert deep[-1].omitted_exceptions == 1


def test_a_suggestion_for_a_mistyped_keyword_is_part_of_the_message() -> None:
    text = """\
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    compile("whille True:\\n    pass\\n", "formula.py", "exec")
    ~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "formula.py", line 1
    whille True:
    ^^^^^^
SyntaxError: invalid syntax. Did you mean 'while'?
"""  # as Python 3.14 prints it
    [record] = parse_traceback(text)
    assert record.value == "invalid syntax. Did you mean 'while'? (formula.py, line 1)"
    assert [frame.function for frame in record.frames] == ["<module>"]
