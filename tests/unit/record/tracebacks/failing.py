"""Prints the tracebacks that the fixtures beside it hold, one section per program.

Run it with each Python: ``python3.13 failing.py > 3.13.txt``, with ``--colour`` for
``3.13-colour.txt``. It is kept so that a fixture for a newer Python is one command. Paths are
replaced by neutral ones.
"""
# ruff: noqa: B018, F821, F841
# mypy: ignore-errors

import os
import sys
import sysconfig
import traceback


def fail(message="broken"):
    raise ValueError(message)


def recurse(depth):
    if depth == 0:
        fail()
    recurse(depth - 1)


def deep():
    recurse(600)


def cause():
    try:
        fail("inner")
    except ValueError as error:
        raise KeyError("outer") from error


def context():
    try:
        fail("inner")
    except ValueError:
        1 / 0


def notes():
    error = ValueError("message")
    error.add_note("first\nsecond")
    raise error


def group():
    members = []
    for program in (fail, cause):
        try:
            program()
        except Exception as error:
            members.append(error)
    nested = ExceptionGroup("nested", [TypeError("no frames")])
    nested.add_note("a note\nof two lines")
    raise ExceptionGroup("several", [*members, nested])


def around_a_group():
    try:
        group()
    except ExceptionGroup as error:
        raise RuntimeError("around") from error


def wide_group():
    raise ExceptionGroup("wide", [ValueError(number) for number in range(20)])


def deep_group():
    error = ValueError("leaf")
    for level in range(14):
        error = ExceptionGroup(f"level {level}", [error])
    raise error


def syntax():
    compile("x = = 1\n", "some/formula.py", "exec")


def keyword_typo():
    compile("whille True:\n    pass\n", "some/formula.py", "exec")


def indentation():
    exec("def f():\nreturn 1")


def several_lines():
    # fmt: off
    return (
        fail(
            "a "
            "message "
            "over "
            "several "
            "lines",
        )
        + 1
    )
    # fmt: on


def operators():
    left, right = {"key": {"other": 1}}, None
    return left["key"]["other"] + right["key"]


def suggestion():
    undefined = 1
    undefind


def wide_characters():
    "käse数据" + 1


def many_lines():
    raise ValueError("line 1\n\nline: 3\n  indented")


def comprehension():
    return [fail(str(number)) for number in range(2)]


def local_class():
    class LocalError(Exception):
        pass

    raise LocalError


def no_text():
    class SilentError(Exception):
        def __str__(self):
            raise RuntimeError

    raise SilentError


PROGRAMS = (
    fail, deep, cause, context, notes, group, around_a_group, wide_group, deep_group, syntax,
    keyword_typo, indentation, several_lines, operators, suggestion, wide_characters, many_lines,
    comprehension, local_class, no_text,
)  # fmt: skip


def main():
    for program in PROGRAMS:
        try:
            program()
        except Exception as error:
            kwargs = {"colorize": True} if "--colour" in sys.argv else {}
            lines = traceback.TracebackException.from_exception(error).format(**kwargs)
            text = "".join(lines).replace(os.path.abspath(__file__), "/app/failing.py")
            text = text.replace(sysconfig.get_paths()["stdlib"], "/usr/lib/python")
            sys.stdout.write(f"#### {program.__name__}\n{text}")


if __name__ == "__main__":
    main()
