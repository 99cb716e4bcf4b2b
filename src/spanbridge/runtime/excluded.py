"""Work that telemetry was told to leave out: its spans are dropped, its errors are not."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    create_key,
    get_value,
    set_value,
)

_EXCLUDED: Final = create_key("spanbridge.excluded")
_SUPPRESS: Final = (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")
"""What ``opentelemetry.instrumentation.utils.suppress_instrumentation`` sets: the key has changed
once, and instrumentations look for both."""


class Exclusion:
    """One piece of work that is left out, as long as it lasts.

    A task that the work has started keeps its context for good, maybe for the life of the process.
    """

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


def excluding(context: Context, exclusion: Exclusion) -> Context:
    """The context for work that is to leave no span and no metric of an instrumentation.

    What OpenTelemetry's instrumentations look for cannot be taken back: they stay silent in a task
    that outlives the work.
    """
    for key in _SUPPRESS:
        context = set_value(key, True, context)
    return set_value(_EXCLUDED, exclusion, context)


def is_excluded(context: Context | None) -> bool:
    """Whether work in a context, by default the current one, is left out."""
    exclusion = get_value(_EXCLUDED, context)
    return isinstance(exclusion, Exclusion) and not exclusion.is_over
