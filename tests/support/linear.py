"""Time that grows with the length of a text, and not faster."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time


def assert_linear(scrub: Callable[[str], str], unit: str, repeats: int = 10_000) -> None:
    def cost(repeats: int) -> float:
        text = unit * repeats
        started = process_time()
        scrub(text)
        return process_time() - started

    cost(repeats // 10)
    small = min(cost(repeats) for _ in range(3))
    large = min(cost(4 * repeats) for _ in range(3))
    assert large < 16 * small + 0.05
