"""OpenTelemetry's own member of the W3C tracestate: the threshold and the random number.

Source: OpenTelemetry, "TraceState: Probability Sampling".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from opentelemetry.trace import TraceState

RANGE: Final = 1 << 56
"""Random numbers and thresholds lie in [0, RANGE)."""
_RV: Final = re.compile(r"rv:([0-9a-f]{14})")
_TH: Final = re.compile(r"th:([0-9a-f]{1,14})")
_OT: Final = "ot"
_MAX_MEMBERS: Final = 32
_MAX_VALUE_CHARS: Final = 256
"""Of a tracestate, and of one member's value; source: W3C Trace Context."""


def threshold_of(rate: float) -> int:
    """The least random number that a rate between 0 and 1 keeps; ``RANGE`` for a rate of 0."""
    # The same product as for an incoming `sample_rand`, so that a number equal to the rate is left
    # out, as Sentry's SDKs do.
    return RANGE - int(rate * RANGE)


def random_value(state: TraceState | None) -> int | None:
    """The trace's random number, if the tracestate tells it: ``ot=rv``."""
    return _read(state.get(_OT, ""))[1] if state else None


def threshold(state: TraceState | None) -> int | None:
    """The threshold by which the caller sampled, if the tracestate tells it: ``ot=th``."""
    return _read(state.get(_OT, ""))[0] if state else None


def remote_rate(state: TraceState | None) -> float | None:
    """The rate at which the caller sampled, if the tracestate tells it."""
    th = threshold(state)
    return None if th is None else 1 - th / RANGE


def with_threshold(state: TraceState, threshold: int | None) -> TraceState:
    """The tracestate with the threshold by which the trace was sampled; all other members stay.

    ``None`` removes what stands there, as for a trace that was not sampled.
    """
    said = "" if threshold is None else f"th:{f'{threshold:014x}'.rstrip('0') or '0'}"
    return _with_own(state, "th:", said)


def with_random_value(state: TraceState, random_value: int) -> TraceState:
    """The tracestate with the trace's random number; one that is there stays, as all else."""
    if _read(state.get(_OT, ""))[1] is not None:
        return state
    return _with_own(state, "rv:", f"rv:{random_value:014x}")


def _with_own(state: TraceState, prefix: str, own: str) -> TraceState:
    """The tracestate with one of the members of our member exchanged, or removed if empty."""
    if not state:
        return _new(own)
    kept = [member for member in _members(state) if not member.startswith(prefix)]
    said = ";".join([*kept, own] if own else kept)
    if said == state.get(_OT, ""):
        return state
    return _with_member(state, said) if said else state.delete(_OT)


def _with_member(state: TraceState, said: str) -> TraceState:
    changed = state.update(_OT, said)
    if changed.get(_OT) == said:
        return changed
    # It is full, or what others put into our member makes that too long: then the last member goes,
    # as W3C says, and what we do not know of our own.
    if len(said) > _MAX_VALUE_CHARS:
        said = ";".join([m for m in said.split(";") if m.startswith(("th:", "rv:"))])
    others = [(key, value) for key, value in state.items() if key != _OT]
    return TraceState([(_OT, said), *others[: _MAX_MEMBERS - 1]])


@lru_cache(maxsize=64)
def _new(said: str) -> TraceState:
    return TraceState([(_OT, said)]) if said else TraceState()


# One decision asks several times, and most traces that a caller sampled say the same.
@lru_cache(maxsize=64)
def _read(said: str) -> tuple[int | None, int | None]:
    """The threshold and the random number in our member, as far as they are there."""
    th = rv = None
    for member in said.split(";"):
        if th is None and (match := _TH.fullmatch(member)) is not None:
            th = int(match[1].ljust(14, "0"), 16)
        elif rv is None and (match := _RV.fullmatch(member)) is not None:
            rv = int(match[1], 16)
    return th, rv


def _members(state: TraceState) -> list[str]:
    members = state.get(_OT)
    return members.split(";") if members else []
