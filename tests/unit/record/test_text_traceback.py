from __future__ import annotations

import time
import traceback
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanbridge.model.failure import ExceptionRecord
from spanbridge.process.snapshot import take
from spanbridge.record.text_traceback import parse_traceback, split_type
from tests.support.failing import caught

Outline = tuple[str, str, str, int | None, int | None, bool, tuple[tuple[str, int | None], ...]]


class ApplicationError(Exception):
    """An exception class of the application's own."""


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def outline(record: ExceptionRecord) -> Outline:
    return (
        f"{record.module or ''}:{record.type}",
        record.value,
        record.relation,
        record.group_index,
        record.parent,
        record.is_group,
        tuple((frame.function, frame.lineno) for frame in record.frames),
    )


def outlines_by_object(error: BaseException) -> list[Outline]:
    """What the exception object itself says, in the same words."""
    return [
        (
            f"{taken.module or ''}:{taken.type}",
            "\n".join((taken.message, *taken.notes)),
            taken.relation,
            taken.group_index,
            taken.parent,
            taken.is_group,
            tuple((frame.code.co_name, frame.lineno) for frame in taken.frames),
        )
        for taken in take(error, False)
    ]


def fail(message: str = "broken") -> None:
    raise ValueError(message)


def recurse(depth: int) -> None:
    if depth == 0:
        fail()
    recurse(depth - 1)


def chain(message: str = "inner") -> None:
    try:
        try:
            fail(message)
        except ValueError as error:
            raise ApplicationError("middle") from error
    except ApplicationError:
        raise KeyError("outer")  # noqa: B904


def group() -> None:
    nested = BaseExceptionGroup("nested", [caught(chain), TypeError("no frames")])
    nested.add_note("a note\nof two lines")
    try:
        raise BaseExceptionGroup("group", [nested, caught(int, "x")])
    except BaseExceptionGroup as error:
        raise ApplicationError("around the group") from error


def group_after_group() -> None:
    try:
        raise ExceptionGroup("first", [ValueError("1")])
    except ExceptionGroup:
        raise BaseExceptionGroup("second", [caught(chain)])  # noqa: B904


def with_notes() -> None:
    error = ValueError("message")
    error.add_note("first\nsecond")
    raise error


def with_remote_traceback() -> None:
    try:
        raise RuntimeError(f'\n"""\n{text_of(caught(fail))}"""')
    except RuntimeError as error:
        raise ValueError("broken") from error


PROGRAMS: list[Callable[[], object]] = [
    fail,
    chain,
    group,
    group_after_group,
    with_notes,
    with_remote_traceback,
    lambda: recurse(2),
    lambda: recurse(100),
    lambda: recurse(600),
    lambda: fail(""),
    lambda: fail("several\n\nlines: here\n  indented"),
    lambda: chain("several\n\nlines: here\n  | looks like a group"),
    lambda: compile("x = = 1", "some/file.py", "exec"),
    lambda: compile("def f():\nx", "file.py", "exec"),
    lambda: eval("1 / 0"),
    lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    lambda: (_ for _ in ()).throw(BaseExceptionGroup("b", [KeyboardInterrupt()])),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_printed_traceback_says_the_same_as_the_exception_itself(
    program: Callable[[], object],
) -> None:
    error = caught(program)
    assert [outline(record) for record in parse_traceback(text_of(error))] == outlines_by_object(
        error
    )


# Inside a group Python also puts a margin after rarer line ends, so they cannot be told apart.
RARE_LINE_ENDS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
# A terminal's colours are taken out wherever they stand.
ESCAPE = "\x1b"
messages = st.text(
    st.characters(codec="utf-8", exclude_characters=RARE_LINE_ENDS + ESCAPE), max_size=30
).map(str.rstrip)


@st.composite
def exceptions(draw: st.DrawFn, depth: int = 3) -> Exception:
    error: Exception
    if depth and draw(st.booleans()):
        members = draw(st.lists(exceptions(depth=depth - 1), min_size=1, max_size=3))
        error = ExceptionGroup(draw(messages), members)
    else:
        error = ApplicationError(draw(messages))
    if draw(st.booleans()):
        try:
            raise error
        except Exception:
            pass
    if depth and draw(st.booleans()):
        inner = draw(exceptions(depth=depth - 1))
        if draw(st.booleans()):
            error.__cause__ = inner
        else:
            error.__context__ = inner
    return error


@given(exceptions())
@settings(deadline=None, max_examples=200)
def test_any_chain_of_groups_is_read_as_it_was_printed(error: Exception) -> None:
    expected = outlines_by_object(error)
    assert [outline(record) for record in parse_traceback(text_of(error))] == expected


def test_frames_carry_path_and_source_line() -> None:
    [record] = parse_traceback(text_of(caught(fail)))
    frame = record.frames[-1]
    assert (frame.filename, frame.context_line) == (__file__, "raise ValueError(message)")


def test_a_traceback_after_a_log_preamble_is_found() -> None:
    [record] = parse_traceback("2026-01-01 12:00 went wrong\n" + text_of(caught(fail)))
    assert (record.type, record.value) == ("ValueError", "broken")
    assert record.frames


def test_windows_line_ends_are_read() -> None:
    [record] = parse_traceback(text_of(caught(fail)).replace("\n", "\r\n"))
    assert (record.type, record.value, record.frames[-1].function) == (
        "ValueError",
        "broken",
        "fail",
    )


def test_members_that_were_not_printed_are_counted() -> None:
    records = parse_traceback(text_of(ExceptionGroup("g", [ValueError(n) for n in range(20)])))
    assert len(records) == 16
    assert records[0].omitted_exceptions == 5


def test_the_many_lines_of_newer_pythons_carets_are_no_part_of_the_message() -> None:
    text = """\
Traceback (most recent call last):
  File "/app/main.py", line 3, in handler
    return call(
        first,
    ...<2 lines>...
    )
  File "/app/main.py", line 9, in call
    raise ValueError(
    ~~~~~^^^^^^^^^^^
ValueError: broken
"""
    [record] = parse_traceback(text)
    assert [(f.function, f.context_line) for f in record.frames] == [
        ("handler", "return call("),
        ("call", "raise ValueError("),
    ]
    assert record.value == "broken"


@pytest.mark.parametrize(
    "text",
    [
        "something went wrong",
        "goroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:4 +0x39",
        "Traceback (most recent call last):",
        "",
        "  +-+---------------- 1 ----------------\n    | lost member",
    ],
)
def test_text_that_is_no_python_traceback_is_kept_as_it_is(text: str) -> None:
    [record] = parse_traceback(text)
    assert (record.type, record.value, record.frames) == ("", text.strip(), ())


def test_a_folded_recursion_is_unfolded_within_the_limit() -> None:
    text = """\
Traceback (most recent call last):
  File "/app/main.py", line 3, in f
    f()
  [Previous line repeated 999999999 more times]
RecursionError: deep
"""
    [record] = parse_traceback(text)
    assert len(record.frames) == 250
    assert record.omitted_frames == 1_000_000_000 - 250


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ValueError", (None, "ValueError")),
        ("json.decoder.JSONDecodeError", ("json.decoder", "JSONDecodeError")),
        (f"{__name__}.fail.<locals>.Local", (__name__, "fail.<locals>.Local")),
        (f"{__name__}.Outer.Inner", (__name__, "Outer.Inner")),
        ("unknown.module.SomeError", ("unknown.module", "SomeError")),
    ],
)
def test_a_printed_type_is_split_where_its_module_ends(
    name: str, expected: tuple[str | None, str]
) -> None:
    assert split_type(name) == expected


FRAGMENTS = [
    "Traceback (most recent call last):",
    "  + Exception Group Traceback (most recent call last):",
    '  File "a.py", line 1, in f',
    '  File "a.py", line 1',
    "    source",
    "  [Previous line repeated 99999 more times]",
    "ValueError: x",
    "",
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
    "  +-+---------------- 1 ----------------",
    "    +---------------- 2 ----------------",
    "    +---------------- ... ----------------",
    "    | and 5 more exceptions",
    "    +-+---------------- 1 ----------------",
    "      +------------------------------------",
    "  | ExceptionGroup: x",
    "    | ValueError: x",
    "      | ",
]


@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=20)), max_size=60))
@example(["ValueError: x", *["", FRAGMENTS[8], "", "ValueError: x"] * 60])
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_into_a_bounded_well_formed_tree(lines: list[str]) -> None:
    records = parse_traceback("\n".join(lines))
    assert 1 <= len(records) <= 50
    assert records[0].parent is None
    for position, record in enumerate(records):
        assert record.parent is None if position == 0 else record.parent in range(position)
        assert len(record.frames) <= 250
        record.value.encode()


@pytest.mark.parametrize(
    "unit",
    [
        '  File "' + '", line 1' * 50 + "\n",
        '", line 1' * 50,
        "  " * 200 + "| x\n",
        "  | " * 100 + "\n",
        "  +-+---------------- 1 ----------------\n",
        "\nDuring handling of the above exception, another exception occurred:\n\nE: x\n",
        '  File "a.py", line 1, in f\n',
        "a." * 200,
        "x\n",
    ],
)
def test_hostile_text_costs_time_in_proportion_to_its_length(unit: str) -> None:
    def cost_s(chars: int) -> float:
        text = "Traceback (most recent call last):\n" + unit * (chars // len(unit))
        started = time.process_time()
        parse_traceback(text)
        return time.process_time() - started

    small = max(min(cost_s(20_000) for _ in range(3)), 0.001)
    assert min(cost_s(200_000) for _ in range(3)) < 40 * small
