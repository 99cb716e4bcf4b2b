"""Where code comes from, and how deep it calls."""

from __future__ import annotations

import configparser
import importlib
import os
import py_compile
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.parity.programs import vendored
from tests.contract.parity.programs.failing import divide, fail
from tests.contract.parity.programs.program import Spans, program

MODULES = Path(os.environ.get("PARITY_MODULES", "."))
"""Where the programs put modules that they make."""
DIVISION = (
    "def divide(amount, parts):\n    # shares\n    share = amount / parts\n    return share\n"
)


@contextmanager
def importable(place: Path) -> Iterator[None]:
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path.remove(str(place))
        importlib.invalidate_caches()


@program
def a_lambda(spans: Spans) -> None:
    shares = [4, 0]
    with spans.span("work"):
        max(shares, key=lambda parts: divide(1, parts))


@program
def a_comprehension(spans: Spans) -> None:
    with spans.span("work"):
        shares = [divide(1, parts) for parts in (2, 1, 0)]
        assert shares


@program
def comprehensions_in_each_other(spans: Spans) -> None:
    rows = [[1, 2], [3, 0]]
    with spans.span("work"):
        table = {row[0]: {divide(1, cell) for cell in row} for row in rows}
        assert table


@program
def a_generator_expression(spans: Spans) -> None:
    with spans.span("work"):
        total = sum(divide(1, parts) for parts in (2, 1, 0))
        assert total


@program
def functions_in_each_other(spans: Spans) -> None:
    outermost = 1

    def middle(argument: int) -> None:
        captured = outermost + argument

        def inner() -> None:
            fail(f"captured {captured}")

        with spans.span("middle"):
            inner()

    middle(2)


@program
def a_sort_key(spans: Spans) -> None:
    def key(word: str) -> float:
        return divide(1, len(word))

    with spans.span("sort"):
        sorted(["a", ""], key=key)


@program
def generated_code(spans: Spans) -> None:
    with spans.span("generated"):
        exec("def f(x):\n    y = x + 1\n    raise ValueError(y)\nf(1)", {"__name__": "generated"})


@program
def generated_code_in_the_module(spans: Spans) -> None:
    with spans.span("generated"):
        exec(compile("divide(1, 0)", "<formula>", "exec"), globals(), {})


@program
def an_evaluated_formula(spans: Spans) -> None:
    with spans.span("formula"):
        eval("a / b", {"__builtins__": {}}, {"a": 1, "b": 0})


@program
def a_call_over_several_lines(spans: Spans) -> None:
    with spans.span("work"):
        fail(
            "a message over several lines",
        )


def zipped() -> Path:
    archive = MODULES / "zipped.zip"
    if not archive.exists():
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("parity_zipped.py", DIVISION)
    return archive


def compiled_without_source() -> None:
    source = MODULES / "parity_sourceless.py"
    source.write_text(DIVISION)
    py_compile.compile(str(source), str(source.with_suffix(".pyc")))
    source.unlink()


@program
def a_module_in_a_zip_file(spans: Spans) -> None:
    with importable(zipped()), spans.span("work"):
        importlib.import_module("parity_zipped").divide(1, 0)


@program
def a_module_without_source(spans: Spans) -> None:
    compiled_without_source()
    with importable(MODULES), spans.span("work"):
        importlib.import_module("parity_sourceless").divide(1, 0)


@program
def a_module_that_fails_to_import(spans: Spans) -> None:
    (MODULES / "parity_failing.py").write_text(f"{DIVISION}\ndivide(1, 0)\n")
    with importable(MODULES), spans.span("import"):
        importlib.import_module("parity_failing")


@program
def a_module_with_very_long_lines(spans: Spans) -> None:
    source = f"short = 1\nbroken = 1 / 0; text = '{'x' * 2_000}'\nshort = 2\n"
    (MODULES / "parity_minified.py").write_text(source)
    with importable(MODULES), spans.span("import"):
        importlib.import_module("parity_minified")


@program
def a_module_that_is_not_utf_8(spans: Spans) -> None:
    source = "# coding: latin-1\nname = 'käse'\nbroken = 1 / 0  # größe\n"
    (MODULES / "parity_latin.py").write_bytes(source.encode("latin-1"))
    with importable(MODULES), spans.span("import"):
        importlib.import_module("parity_latin")


@program
def an_excluded_module(spans: Spans) -> None:
    with spans.span("vendored"):
        vendored.divide_for(spans, 3)


@program
def an_included_module(spans: Spans) -> None:
    with spans.span("parse"):
        configparser.ConfigParser().read_string("no section")


@program
def hidden_frames(spans: Spans) -> None:
    def assert_good(good: bool) -> None:
        __tracebackhide__ = True
        if not good:
            fail("not good")

    with spans.span("check"):
        assert_good(good=False)


def recurse(depth: int) -> None:
    if depth == 0:
        fail("bottom")
    recurse(depth - 1)


@program
def recursion_of_20_frames(spans: Spans) -> None:
    with spans.span("deep"):
        recurse(20)


@program
def recursion_of_150_frames(spans: Spans) -> None:
    with spans.span("deep"):
        recurse(150)


@program
def recursion_of_400_frames(spans: Spans) -> None:
    with spans.span("deep"):
        recurse(400)


@program
def recursion_without_end(spans: Spans) -> None:
    def endless(count: int) -> int:
        return endless(count + 1) + 1

    with spans.span("deep"):
        endless(0)


@program
def recursion_of_10_000_frames(spans: Spans) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        with spans.span("deep"):
            recurse(10_000)
    finally:
        sys.setrecursionlimit(limit)
