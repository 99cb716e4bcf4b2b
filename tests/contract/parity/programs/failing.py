"""What the programs share: an exception class of the application's own, and code that raises."""

from __future__ import annotations


class ApplicationError(Exception):
    """An exception class of the application's own."""


def fail(message: str = "broken") -> None:
    wanted = len(message)
    raise ApplicationError(message if wanted else "no message")


def divide(amount: float, parts: int) -> float:
    share = amount / parts
    return share


def caught(message: str) -> Exception:
    try:
        fail(message)
    except ApplicationError as error:
        return error
    raise AssertionError
