"""Which piece of instrumentation made a span, in Sentry's origin scheme."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MANUAL: Final = "manual"
"""Made by the application's own calls of the OpenTelemetry API."""

MAX_ORIGIN_CHARS: Final = 128

# Relay removes an origin with any other character.
_FORBIDDEN: Final = re.compile(r"[^a-zA-Z0-9_]+")
_PREFIXES: Final = re.compile(
    r"^(?:opentelemetry[.\-_/])?(?:instrumentation[.\-_/])?(?:genai[.\-_])?"
)
_CATEGORIES: Final = {"gen_ai": "ai", "mcp": "ai", "websocket": "http"}


@lru_cache(maxsize=512)
def origin_of(scope_name: str, op: str | None) -> str:
    """``auto.<category>.otel.<library>``, or ``manual`` for a tracer of the application's own.

    Args:
        scope_name: Name of the instrumentation scope. A library's says "instrumentation".
        op: The span's op; its first word is the category.

    Source: Sentry develop docs, "Trace Origin".
    """
    if "instrumentation" not in scope_name:
        return MANUAL
    first_word = (op or "function").partition(".")[0]
    category = _FORBIDDEN.sub("_", _CATEGORIES.get(first_word, first_word))
    library = _FORBIDDEN.sub("_", _PREFIXES.sub("", scope_name, count=1)).strip("_") or "unknown"
    return f"auto.{category}.otel.{library}"[:MAX_ORIGIN_CHARS]


def custom_origin(text: str) -> str:
    """An origin the application gave, in the characters Relay keeps."""
    parts = (_FORBIDDEN.sub("_", part) for part in text.split("."))
    return ".".join(parts)[:MAX_ORIGIN_CHARS]
