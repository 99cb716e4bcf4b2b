"""What may be looked for in values, and what may become of it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "email", "phone", "iban", "credit_card", "jwt", "api_key", "private_key", "ip_address"
]
KINDS: Final[tuple[Kind, ...]] = (
    "email", "phone", "iban", "credit_card", "jwt", "api_key", "private_key", "ip_address",
)  # fmt: skip
DEFAULT_KINDS: Final[tuple[Kind, ...]] = KINDS[:-1]
"""Addresses of servers are what traces are about, so they are not looked for unless asked."""

Action: TypeAlias = Literal["mask", "hash", "truncate", "drop"]
ACTIONS: Final[tuple[Action, ...]] = ("mask", "hash", "truncate", "drop")

REDACTED: Final = "[REDACTED]"
"""What becomes of a value that was recognised by its name."""
