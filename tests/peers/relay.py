"""What Sentry's own server code finds wrong with a payload."""

from __future__ import annotations

from typing import Any

from sentry_relay.processing import StoreNormalizer

_NORMALISER = StoreNormalizer(
    protocol_version="7", enable_trimming=True, remove_other=True, max_secs_in_past=30 * 86_400
)


def errors_after_relay(payload: Any) -> list[str]:
    """The errors in ``_meta``, each with its place."""
    return _errors_in(_NORMALISER.normalize_event(payload).get("_meta"))


def _errors_in(meta: Any, path: str = "") -> list[str]:
    found = []
    for key, value in (meta or {}).items():
        if key == "" and "err" in value:
            found.append(f"{path}: {value['err']}")
        elif key != "":
            found += _errors_in(value, f"{path}.{key}")
    return found
