"""A module that the settings exclude from the application's own."""

from __future__ import annotations

from tests.contract.parity.programs.failing import divide
from tests.contract.parity.programs.program import Spans


def divide_for(spans: Spans, amount: int) -> None:
    with spans.span("divide"):
        divide(amount, 0)
