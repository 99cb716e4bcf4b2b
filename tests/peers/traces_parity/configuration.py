"""What both runs are told alike."""

from __future__ import annotations

from typing import Final

RELEASE: Final = "shop@1.0"
ENVIRONMENT: Final = "parity"
CACHE_PREFIXES: Final = ("order:", "profile:")
