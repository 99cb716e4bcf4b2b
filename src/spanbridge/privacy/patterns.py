"""Lists of names and values with ``*`` in them, as settings have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


def matcher(patterns: Iterable[str], *, at_last_part: bool = False) -> Callable[[str], bool]:
    """Whether a text is one of ``patterns``, in any case.

    Args:
        patterns: Texts in which ``*`` stands for anything.
        at_last_part: Its part behind the last dot may be one of them too.
    """
    written = ["".join(map(_written, re.split(r"(\*)", pattern))) for pattern in patterns]
    if not written:
        return lambda _text: False
    before = r"(?:.*\.)?" if at_last_part else ""
    whole = re.compile(f"{before}(?:{'|'.join(written)})", re.IGNORECASE | re.DOTALL)
    return lambda text: whole.fullmatch(text) is not None


def _written(part: str) -> str:
    return ".*" if part == "*" else re.escape(part)
