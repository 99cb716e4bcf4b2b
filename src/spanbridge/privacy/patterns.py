"""Lists of names and values with ``*`` in them, as settings have them.

No regular expression: what is compared comes from outside, and many a ``*`` in one takes time that
grows with a power of the length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


def matcher(patterns: Iterable[str], *, at_last_part: bool = False) -> Callable[[str], bool]:
    """Whether a text is one of ``patterns``, in any case. It takes linear time.

    Args:
        patterns: Texts in which ``*`` stands for anything.
        at_last_part: Its part behind a dot may be one of them too.
    """
    folded = [pattern.casefold() for pattern in patterns]
    if not folded:
        return lambda _text: False
    whole = frozenset(pattern for pattern in folded if "*" not in pattern)
    endings = tuple(f".{pattern}" for pattern in whole) if at_last_part else ()
    pieces = [pattern.split("*") for pattern in folded if "*" in pattern]

    def matches(text: str) -> bool:
        text = text.casefold()
        return (
            text in whole
            or text.endswith(endings)
            or any(_has_in_order(text, one, at_last_part) for one in pieces)
        )

    return matches


def _has_in_order(text: str, pieces: list[str], at_last_part: bool) -> bool:
    """Whether the text begins with the first piece, ends with the last, and has all in order.

    The leftmost place of each piece leaves the most room for the next one.
    """
    first, *between, last = pieces
    start = 0
    if not text.startswith(first):
        start = text.find(f".{first}") + 1 if at_last_part else 0
        if not start:
            return False
    position = start + len(first)
    for piece in between:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return len(text) - len(last) >= position and text.endswith(last)
