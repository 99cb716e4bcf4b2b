"""What of a model's parameters tells nothing that was said."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from spanbridge.model.span import AttributeValue


def without_texts(value: AttributeValue) -> AttributeValue:
    """Parameters with only numbers, switches and the model's name; ``None`` if nothing is left.

    Args:
        value: A mapping, or the JSON text of one, as ``{"model": "gpt-5", "temperature": 0.5}``.
    """
    if isinstance(value, Mapping):
        kept = _told(value)
        return kept or None
    if not isinstance(value, str):
        return None
    try:
        parameters = msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    kept = _told(parameters) if isinstance(parameters, dict) else {}
    return msgspec.json.encode(kept).decode() if kept else None


def _told(parameters: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {
        key: value
        for key, value in parameters.items()
        if isinstance(value, bool | int | float) or (key == "model" and isinstance(value, str))
    }
