"""Feature flags as spans and logs tell of their evaluation.

Source: OpenTelemetry semantic conventions 1.44.0, "Feature flags" (event
``feature_flag.evaluation``, on spans formerly ``feature_flag``); Sentry's span attributes
``flag.evaluation.<name>``.
"""

from __future__ import annotations

from typing import Final

from spanbridge.model.failure import FeatureFlag
from spanbridge.model.span import Attributes

FLAG_EVENTS: Final = frozenset({"feature_flag.evaluation", "feature_flag"})
"""Names of the events that tell of an evaluation."""
FLAG_PREFIX: Final = "flag.evaluation."

_RESULTS: Final = (
    "feature_flag.result.value",
    "feature_flag.result.variant",
    "feature_flag.variant",
)


def evaluated_flag(attributes: Attributes) -> FeatureFlag | None:
    """The flag of an evaluation event; ``None`` if it tells no name or no plain result."""
    name = attributes.get("feature_flag.key")
    if not isinstance(name, str) or not name:
        return None
    for key in _RESULTS:
        if isinstance(result := attributes.get(key), str | bool | int | float):
            return FeatureFlag(name, result)
    return None


def flags_among(attributes: Attributes) -> list[FeatureFlag]:
    """The flags that the attributes of a span tell."""
    return [
        FeatureFlag(flag, result)
        for name, result in attributes.items()
        if name.startswith(FLAG_PREFIX)
        and (flag := name.removeprefix(FLAG_PREFIX))
        and isinstance(result, str | bool | int | float)
    ]
