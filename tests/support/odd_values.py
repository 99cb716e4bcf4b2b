"""Values that pass for plain ones, as libraries make them, and one that fails at all it can."""

from __future__ import annotations

from typing import NoReturn


class Fraction(float):
    """As ``numpy.float64``."""


class Whole(int):
    """As an enumeration's member of old."""


class Text(str):
    """As ``markupsafe.Markup`` and ``numpy.str_``."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{super().__str__()}>"


class Hopeless:
    """Cannot be shown."""

    def __str__(self) -> NoReturn:
        raise ValueError("this has no text")

    __repr__ = __str__

    def __len__(self) -> int:
        return 0
