"""What is decided on a trace when its local root starts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from opentelemetry.trace import TraceState

NOBODY: Final[frozenset[str]] = frozenset()
NO_RATES: Final[Mapping[str, float]] = MappingProxyType({})
NO_REASONS: Final[Mapping[str, str]] = MappingProxyType({})
NO_STATE: Final = TraceState()

BY_RATE: Final = "rate"
"""The trace's number is not below the rate, the destination's own or a rule's."""
BY_CEILING: Final = "ceiling"
"""It is below that rate, but the ceiling lowered the rate or had no room left."""
BY_CALLER: Final = "caller"
"""Whoever called left the trace out."""


class HeadDecision(NamedTuple):
    """What becomes of a trace whose local root starts."""

    keepers: frozenset[str]
    """The destinations that keep it."""
    rates: Mapping[str, float] = NO_RATES
    """The rates that decided, by destination, where they are not the destination's own."""
    trace_state: TraceState = NO_STATE
    """What its spans carry to the next service."""
    before: int | None = 0
    """The threshold by which others sampled it before the rates did; ``None`` if nobody knows."""
    is_left_to_others: bool = False
    """Whether nobody here keeps any trace, so that W3C's flag must not forbid it to others."""
    left_out_by: Mapping[str, str] = NO_REASONS
    """By destination: what left it out where it is not kept, as far as that is known."""

    @property
    def is_sampled(self) -> bool:
        """W3C's flag."""
        return bool(self.keepers) or self.is_left_to_others


NOT_KEPT: Final = HeadDecision(NOBODY)
