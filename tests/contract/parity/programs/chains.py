"""Causes, contexts, groups and notes."""

from __future__ import annotations

from tests.contract.parity.programs.failing import ApplicationError, caught, divide, fail
from tests.contract.parity.programs.program import Spans, program


@program
def raised_from(spans: Spans) -> None:
    try:
        with spans.span("work"):
            fail("inner")
    except ApplicationError as error:
        raise ValueError("outer") from error


@program
def raised_while_handling(spans: Spans) -> None:
    try:
        with spans.span("work"):
            fail("inner")
    except ApplicationError:
        divide(1, 0)


@program
def raised_from_none(spans: Spans) -> None:
    try:
        with spans.span("work"):
            fail("hidden")
    except ApplicationError:
        raise ValueError("only this") from None


@program
def raised_from_an_exception_that_never_was_raised(spans: Spans) -> None:
    with spans.span("work"):
        raise ValueError("outer") from ApplicationError("never raised")


@program
def a_chain_of_four(spans: Spans) -> None:
    def wrap(depth: int) -> None:
        try:
            if depth == 0:
                fail("innermost")
            wrap(depth - 1)
        except Exception as error:
            raise RuntimeError(f"level {depth}") from error

    with spans.span("work"):
        wrap(3)


@program
def cause_and_context_in_turn(spans: Spans) -> None:
    with spans.span("work"):
        try:
            try:
                fail("first")
            except ApplicationError:
                divide(1, 0)
        except ZeroDivisionError as error:
            raise RuntimeError("third") from error


@program
def a_circle_of_causes(spans: Spans) -> None:
    first, second = caught("first"), caught("second")
    first.__cause__, second.__cause__ = second, first
    with spans.span("work"):
        raise first


@program
def raised_again(spans: Spans) -> None:
    try:
        with spans.span("work"):
            fail()
    except ApplicationError:
        raise


@program
def raised_again_by_name(spans: Spans) -> None:
    with spans.span("outer"):
        try:
            fail()
        except ApplicationError as error:
            kept = error
        raise kept


@program
def raised_with_the_traceback_of_another(spans: Spans) -> None:
    earlier = caught("earlier")
    with spans.span("work"):
        raise ValueError("later").with_traceback(earlier.__traceback__)


@program
def raised_without_its_traceback(spans: Spans) -> None:
    earlier = caught("earlier")
    with spans.span("work"):
        raise earlier.with_traceback(None)


@program
def a_note(spans: Spans) -> None:
    try:
        with spans.span("work"):
            fail()
    except ApplicationError as error:
        error.add_note("seen by the caller")
        error.add_note("twice")
        raise


@program
def a_group(spans: Spans) -> None:
    with spans.span("work"):
        raise ExceptionGroup("several", [caught("a"), ValueError("b"), caught("c")])


@program
def groups_in_groups(spans: Spans) -> None:
    with spans.span("work"):
        inner = ExceptionGroup("inner", [caught("b"), caught("c")])
        inner.add_note("with a note")
        raise ExceptionGroup("outer", [caught("a"), inner])


@program
def a_group_with_a_cause(spans: Spans) -> None:
    with spans.span("work"):
        try:
            fail("the cause")
        except ApplicationError as error:
            raise ExceptionGroup("several", [caught("a"), caught("b")]) from error


@program
def a_group_of_chains(spans: Spans) -> None:
    member = caught("b")
    member.__cause__ = caught("why")
    with spans.span("work"):
        raise ExceptionGroup("several", [caught("a"), member])


@program
def a_group_as_a_cause(spans: Spans) -> None:
    with spans.span("work"):
        try:
            raise ExceptionGroup("several", [caught("a"), caught("b")])
        except ExceptionGroup as group:
            raise RuntimeError("all failed") from group


@program
def what_except_star_leaves(spans: Spans) -> None:
    with spans.span("work"):
        try:
            raise ExceptionGroup("several", [caught("a"), TypeError("b")])
        except* TypeError:
            handled = True
            assert handled


@program
def a_group_class_of_the_application(spans: Spans) -> None:
    class PartsFailedError(ExceptionGroup[Exception]):
        pass

    with spans.span("work"):
        raise PartsFailedError("parts", [caught("a")])
