"""Sentry's own server code, which says what becomes of a payload."""

from __future__ import annotations

from typing import Any

from sentry_relay.processing import StoreNormalizer

_NORMALISER = StoreNormalizer(
    protocol_version="7", enable_trimming=True, remove_other=True, max_secs_in_past=30 * 86_400
)


def normalised(payload: Any) -> Any:
    """The event or transaction as Relay stores it."""
    return _NORMALISER.normalize_event(payload)


def errors_in(meta: Any, path: str = "") -> list[str]:
    """Every error in a ``_meta`` tree, each with its place."""
    found = []
    for key, value in (meta or {}).items():
        if key == "" and "err" in value:
            found.append(f"{path}: {value['err']}")
        elif key != "":
            found += errors_in(value, f"{path}.{key}")
    return found


def relay_errors(payload: Any) -> list[str]:
    """What Relay finds wrong with a payload; users see each as a processing error."""
    return errors_in(normalised(payload).get("_meta"))
