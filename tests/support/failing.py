"""Functions that fail in known ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ApplicationError(Exception):
    """An exception class of the application's own."""


def caught(call: Callable[..., Any], *args: object) -> BaseException:
    try:
        call(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail(message: str = "broken") -> None:
    raise ValueError(message)


def recurse(depth: int) -> None:
    if depth == 0:
        fail()
    recurse(depth - 1)


def fail_with_cause() -> None:
    try:
        fail("inner")
    except ValueError as error:
        raise ApplicationError("outer") from error


def fail_while_handling() -> None:
    try:
        fail("inner")
    except ValueError:
        raise ApplicationError("outer")  # noqa: B904
