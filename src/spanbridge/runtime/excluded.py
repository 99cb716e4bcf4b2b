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


def excluding(context: Context) -> Context:
    """The context for work that is to leave no span and no metric of an instrumentation."""
    for key in _SUPPRESS:
        context = set_value(key, True, context)
    return set_value(_EXCLUDED, True, context)


def is_excluded(context: Context | None) -> bool:
    """Whether work in a context, by default the current one, is left out."""
    return get_value(_EXCLUDED, context) is not None
