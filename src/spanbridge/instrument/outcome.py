"""How a piece of work ended, read from the exception that ended it."""

from __future__ import annotations

from concurrent.futures import CancelledError as FutureCancelledError
from typing import Final

from spanbridge.conventions import MultiAgentTaskOutcome, SpanbridgeOutcome

_TIMEOUT_NAMES: Final = ("Timeout", "TimeoutError", "TimeoutException")
_WORST_FIRST: Final[tuple[MultiAgentTaskOutcome, ...]] = ("error", "timeout", "cancelled")


def outcome_of(error: BaseException | None) -> MultiAgentTaskOutcome:
    """The outcome that an exception stands for.

    Everything that is not an ``Exception`` stops work from outside: ``asyncio.CancelledError``,
    ``GeneratorExit``, ``KeyboardInterrupt``, ``SystemExit``. A timeout is a ``TimeoutError`` or
    a class named like one, because most clients (httpx, requests, redis, openai) have their own.
    A group counts as its worst member.
    """
    if error is None:
        return "ok"
    if isinstance(error, BaseExceptionGroup):
        outcomes = {outcome_of(member) for member in error.exceptions}
        return next(outcome for outcome in _WORST_FIRST if outcome in outcomes)
    if isinstance(error, FutureCancelledError) or not isinstance(error, Exception):
        return "cancelled"
    if any(kind.__name__.endswith(_TIMEOUT_NAMES) for kind in type(error).__mro__):
        return "timeout"
    return "error"


def ending_of(error: BaseException) -> SpanbridgeOutcome | None:
    """The word for work that was stopped from outside; ``None`` for a failure of its own."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted"
    return "cancelled" if outcome_of(error) == "cancelled" else None


def error_type_of(error: BaseException) -> str:
    """The value of ``error.type`` and ``exception.type``: the class with its module."""
    module, name = type(error).__module__, type(error).__qualname__
    return name if module == "builtins" else f"{module}.{name}"


def description_of(error: BaseException) -> str:
    """The status description, as OpenTelemetry's own context manager writes it."""
    try:
        text = str(error)
    except Exception:  # an exception whose text cannot be made is still an exception
        text = ""
    return f"{type(error).__name__}: {text}"
