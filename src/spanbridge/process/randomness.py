"""The number by which every service keeps or drops a trace alike."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING, Final

from spanbridge.process.tracestate import RANGE, random_value, threshold

if TYPE_CHECKING:
    from opentelemetry.trace import TraceState

    from spanbridge.process.upstream import Upstream

_MASK: Final = RANGE - 1
_MILLION: Final = 1_000_000
_ROUNDING: Final = 2 * RANGE // _MILLION
"""By how much :func:`sample_rand` may differ from the number that it tells."""


def randomness(trace_id: int, trace_state: TraceState | None, upstream: Upstream | None) -> int:
    """The number R in [0, 2**56) by which every service keeps or drops this trace alike.

    Taken from ``ot=rv`` of the tracestate, else from the incoming ``sentry-sample_rand``, else from
    the low 56 bits of the trace id. These come before Sentry's number too where ``ot=th`` tells
    that a caller has sampled by them. The low 64 bits would not do: Sentry's ids are UUID4, whose
    version and variant bits stand there.

    Source: OpenTelemetry, "TraceState: Probability Sampling"; Sentry, "Propagated Random Value".
    """
    if (rv := random_value(trace_state)) is not None:
        return rv
    by_id = trace_id & _MASK
    rand = upstream.sample_rand if upstream is not None else None
    if rand is None or threshold(trace_state) is not None:
        return by_id
    told = _MASK - min(int(rand * RANGE), _MASK)
    # A service of ours told Sentry's number by the id, and rounded it.
    return by_id if abs(told - by_id) <= _ROUNDING else told


def number_to_tell(
    trace_id: int, trace_state: TraceState | None, upstream: Upstream | None
) -> int | None:
    """The trace's :func:`randomness` where it has to be told as ``ot=rv``, as its id differs.

    An ``rv`` that is there is never changed, as OpenTelemetry has it.
    """
    r = randomness(trace_id, trace_state, upstream)
    return None if r == randomness(trace_id, trace_state, None) else r


def sample_rand(r: int, rate: float, is_kept: bool) -> str:
    """Sentry's ``sample_rand`` of a trace that starts here: six decimals, never rounded up to 1.

    Sentry's rule "kept if and only if ``sample_rand`` < ``sample_rate``" holds also where six
    decimals cannot tell the number from the rate. It cannot hold if the rate did not decide, as
    where a W3C caller said no; the number is left as it is then.

    Args:
        r: The trace's :func:`randomness`.
        rate: The rate as it is written beside it.
        is_kept: The decision.
    """
    millionths = (_MASK - r) * _MILLION // RANGE
    first_left_out = ceil(Decimal(str(rate)) * _MILLION)
    if is_kept and millionths == first_left_out:
        millionths -= 1
    elif not is_kept and millionths == first_left_out - 1 < _MILLION - 1:
        millionths += 1
    return f"{millionths / _MILLION:.6f}"
