"""Exception classes and messages of every kind."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

from tests.contract.parity.programs.failing import ApplicationError, fail
from tests.contract.parity.programs.program import Spans, program


@program
def an_empty_message(spans: Spans) -> None:
    with spans.span("work"):
        raise ValueError


@program
def a_key_error_with_a_text(spans: Spans) -> None:
    prices: dict[str, int] = {"apple": 1}
    with spans.span("work"):
        assert prices['pear\'s "name"']


@program
def a_key_error_with_an_object(spans: Spans) -> None:
    prices: dict[object, int] = {}
    with spans.span("work"):
        assert prices[("a", 1, None, b"\xff")]


@program
def an_import_error(spans: Spans) -> None:
    with spans.span("work"):
        import not_a_module_of_parity  # type: ignore[import-not-found]  # noqa: F401


@program
def a_name_that_cannot_be_imported(spans: Spans) -> None:
    with spans.span("work"):
        from json import not_a_name  # type: ignore[attr-defined]  # noqa: F401


@program
def a_syntax_error(spans: Spans) -> None:
    with spans.span("work"):
        compile("x = = 1\n", "formula.py", "exec")


@program
def an_indentation_error(spans: Spans) -> None:
    with spans.span("work"):
        exec("def f():\nreturn 1")


@program
def a_name_error(spans: Spans) -> None:
    with spans.span("work"):
        undefined_name  # type: ignore[name-defined]  # noqa: B018, F821


@program
def a_type_error_of_a_call(spans: Spans) -> None:
    with spans.span("work"):
        fail(1, 2, 3)  # type: ignore[call-arg, arg-type]


@program
def a_failed_assertion(spans: Spans) -> None:
    total = 3
    with spans.span("work"):
        assert total == 4, f"total is {total}"


@program
def a_file_that_is_not_there(spans: Spans) -> None:
    with spans.span("work"):
        open("/nowhere/at/all")  # noqa: SIM115


@program
def a_unicode_error(spans: Spans) -> None:
    data = b"\xff\xfe"
    with spans.span("work"):
        data.decode("utf-8")


@program
def a_message_of_many_alphabets(spans: Spans) -> None:
    with spans.span("work"):
        fail("käse 数据 🧀 \u202e back \x00 nul \x1b[31m red \x7f")


@program
def a_lone_surrogate(spans: Spans) -> None:
    name = "file-\udc80.txt"
    with spans.span("work"):
        fail(f"no {name}")


@program
def a_huge_message(spans: Spans) -> None:
    with spans.span("work"):
        raise ValueError("0123456789" * 20_000)


@program
def a_message_of_many_lines(spans: Spans) -> None:
    with spans.span("work"):
        raise ValueError("\n".join(f"line {number}" for number in range(40)))


@program
def a_broken_str(spans: Spans) -> None:
    class BrokenTextError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with spans.span("work"):
        raise BrokenTextError("shown by repr")


@program
def a_broken_str_and_repr(spans: Spans) -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    with spans.span("work"):
        raise BrokenError


@program
def a_frozen_exception_with_slots(spans: Spans) -> None:
    class FrozenError(Exception):
        __slots__ = ("code",)

        def __init__(self, code: int) -> None:
            super().__init__(code)
            object.__setattr__(self, "code", code)

        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("__"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    with spans.span("work"):
        raise FrozenError(7)


@program
def an_init_of_its_own(spans: Spans) -> None:
    class PaymentError(Exception):
        def __init__(self, order: str, *, amount: int) -> None:
            super().__init__(f"{order} is {amount} short")
            self.order, self.amount = order, amount

    with spans.span("work"):
        raise PaymentError("order-7", amount=3)


@program
def a_message_attribute(spans: Spans) -> None:
    class ApiError(Exception):
        def __init__(self, status: int, message: str) -> None:
            super().__init__(status, message)
            self.message = message

    with spans.span("work"):
        raise ApiError(503, "overloaded")


@program
def a_class_inside_a_class(spans: Spans) -> None:
    class Outer:
        class InnerError(LookupError):
            pass

    with spans.span("work"):
        raise Outer.InnerError("nested class")


@program
def a_class_made_at_run_time(spans: Spans) -> None:
    made = type("MadeError", (ValueError,), {"__module__": "made.elsewhere"})
    with spans.span("work"):
        raise made("at run time")


@program
def a_pickled_exception(spans: Spans) -> None:
    try:
        fail("travels")
    except ApplicationError as error:
        travelled: Any = pickle.loads(pickle.dumps(error))
    with spans.span("work"):
        raise travelled


@program
def a_warning_as_an_error(spans: Spans) -> None:
    with warnings.catch_warnings(), spans.span("work"):
        warnings.simplefilter("error")
        warnings.warn("old way", DeprecationWarning, stacklevel=1)


@program
def a_stop_iteration_in_a_generator(spans: Spans) -> None:
    def broken() -> Iterator[int]:
        with spans.span("broken"):
            empty: list[int] = []
            yield next(iter(empty))

    list(broken())


@program
def not_implemented(spans: Spans) -> None:
    with spans.span("work"):
        raise NotImplementedError("later")
