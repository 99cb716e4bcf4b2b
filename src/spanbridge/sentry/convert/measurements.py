"""Numbers Sentry can aggregate, with their unit."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import Final

from spanbridge.model.span import AttributeValue
from spanbridge.sentry.wire import Measurement

MAX_NAME_CHARS: Final = 200

# Relay drops a measurement with any other character in its name.
_FORBIDDEN_IN_NAME: Final = re.compile(r"[^a-z0-9._]")


@lru_cache(maxsize=512)
def measurement_name(text: str) -> str:
    """``text`` in the characters a measurement's name may have; it starts with a letter."""
    name = _FORBIDDEN_IN_NAME.sub("_", text.lower())
    return (name if name[:1].isalpha() else f"m{name}")[:MAX_NAME_CHARS]


def measurement(value: AttributeValue, unit: str) -> Measurement | None:
    """The measurement of ``value``, or ``None`` if it is no finite number."""
    if type(value) is float:  # as most are; the checks below would triple the cost
        return Measurement(value, unit) if isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return Measurement(number, unit) if isfinite(number) else None
