"""Which constitution this process follows, known by its hash."""

import os
from typing import Final

HASH_HEADER: Final = "x-constitutional-hash"
"""A caller may say here which constitution it expects."""


def constitution_hash() -> str:
    """The hash of the constitution in force, from ``CONSTITUTIONAL_HASH``."""
    return os.environ.get("CONSTITUTIONAL_HASH", "cdd01ef066bc6cf2")
