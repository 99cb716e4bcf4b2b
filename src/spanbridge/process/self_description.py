"""What an exception of the application's own says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.model.failure import MAX_EXCEPTIONS
from spanbridge.model.span import Attributes, AttributeValue
from spanbridge.runtime.guard import GUARD

NAME: Final = "telemetry_attributes"


def telemetry_attributes(error: BaseException) -> Attributes:
    """The attributes an exception, or the first in its group that has any, gives to its issue.

    A class can have ``telemetry_attributes``: OpenTelemetry attributes by name. Values of other
    types are left out. Never raises an ``Exception``.
    """
    pending, seen = [error], 0
    while pending and seen < MAX_EXCEPTIONS:
        current = pending.pop()
        seen += 1
        if isinstance(current, BaseExceptionGroup):
            pending.extend(reversed(current.exceptions[:MAX_EXCEPTIONS]))
        elif attributes := _own(current):
            return attributes
    return {}


def _own(error: BaseException) -> Attributes:
    if not hasattr(type(error), NAME):  # never asks a ``__getattr__`` of the application
        return {}
    try:
        attributes = getattr(error, NAME)
        if not isinstance(attributes, Mapping):
            return {}
        return {str(name): value for name, value in attributes.items() if _is_attribute(value)}
    except Exception as failure:
        GUARD.report(f"{NAME} of an exception failed", type(failure).__name__)
        return {}


def _is_attribute(value: AttributeValue) -> bool:
    if isinstance(value, tuple | list):
        return all(isinstance(item, str | bool | int | float) for item in value)
    return isinstance(value, str | bool | int | float)
