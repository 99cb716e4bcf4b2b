"""Which destinations keep a trace: one number per trace, one rate per destination."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import ceil
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    TraceState,
    get_current_span,
)
from opentelemetry.util.types import Attributes

from spanbridge.process.upstream import Upstream, upstream_of
from spanbridge.runtime.excluded import is_excluded
from spanbridge.runtime.guard import GUARD

_RANGE: Final = 1 << 56
_MASK: Final = _RANGE - 1
_MILLION: Final = 1_000_000
_RV: Final = re.compile(r"rv:([0-9a-f]{14})")
_TH: Final = re.compile(r"th:([0-9a-f]{1,14})")
NOBODY: Final[frozenset[str]] = frozenset()


def randomness(trace_id: int, trace_state: TraceState | None, upstream: Upstream | None) -> int:
    """The number R in [0, 2**56) by which every service keeps or drops this trace alike.

    Taken from the incoming ``sentry-sample_rand``, else ``ot=rv`` of the tracestate, else the low
    56 bits of the trace id. The low 64 bits would not do: Sentry's ids are UUID4, whose version
    and variant bits stand there.

    Source: OpenTelemetry, "TraceState: Probability Sampling"; Sentry, "Propagated Random Value".
    """
    if upstream is not None and (rand := upstream.sample_rand) is not None:
        return _MASK - min(int(rand * _RANGE), _MASK)
    if (rv := _hex_of(_RV, trace_state)) is not None:
        return int(rv, 16)
    return trace_id & _MASK


def remote_rate(trace_state: TraceState | None) -> float | None:
    """The rate at which the caller sampled, if its tracestate tells: ``ot=th``.

    Source: OpenTelemetry, "TraceState: Probability Sampling".
    """
    th = _hex_of(_TH, trace_state)
    return None if th is None else 1 - int(th.ljust(14, "0"), 16) / _RANGE


def _hex_of(pattern: re.Pattern[str], trace_state: TraceState | None) -> str | None:
    if trace_state and (members := trace_state.get("ot")):
        for member in members.split(";"):
            if (match := pattern.fullmatch(member)) is not None:
                return match[1]
    return None


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
    millionths = (_MASK - r) * _MILLION // _RANGE
    first_left_out = ceil(Decimal(str(rate)) * _MILLION)
    if is_kept and millionths == first_left_out:
        millionths -= 1
    elif not is_kept and millionths == first_left_out - 1 < _MILLION - 1:
        millionths += 1
    return f"{millionths / _MILLION:.6f}"


class SamplingPolicy:
    """The rates of all destinations.

    Args:
        rates: Rate between 0 and 1 by destination name.
        sentry: Names of the destinations that follow an incoming Sentry decision.
        follows_remote: Whether a caller's decisions count. Without it only the rates do, compared
            with the caller's random number all the same.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        sentry: Sequence[str] = (),
        *,
        follows_remote: bool = True,
    ) -> None:
        # R >= threshold keeps the trace, as in OpenTelemetry's consistent probability sampling.
        # The same product as for an incoming `sample_rand`, so that a number equal to the rate is
        # left out, as Sentry's SDKs do.
        self._thresholds = {name: _RANGE - int(rate * _RANGE) for name, rate in rates.items()}
        self._sentry = frozenset(sentry)
        self._everybody = frozenset(rates)
        self._follows_remote = follows_remote
        self._keeps_everything = all(threshold == 0 for threshold in self._thresholds.values())

    def keepers(
        self, trace_id: int, parent: SpanContext | None, context: Context | None
    ) -> frozenset[str]:
        """The destinations that keep the trace of a new local root.

        Args:
            trace_id: The trace's id.
            parent: The remote parent, if there is one.
            context: The context the root is started in, for what the caller decided.
        """
        upstream = upstream_of(context, trace_id)
        if parent is None and upstream is None and self._keeps_everything:
            return self._everybody
        if self._follows_remote and parent is not None and not parent.trace_flags.sampled:
            kept = set()  # the caller said no, and a trace cut in half helps nobody
        else:
            r = randomness(trace_id, parent.trace_state if parent else None, upstream)
            kept = {name for name, threshold in self._thresholds.items() if r >= threshold}
        if upstream is not None and upstream.is_sampled is not None and self._follows_remote:
            kept = kept | self._sentry if upstream.is_sampled else kept - self._sentry
        return frozenset(kept)

    def goes_on_with(
        self,
        keepers: frozenset[str],
        before: SamplingPolicy,
        trace_id: int,
        trace_state: TraceState | None,
        upstream: Upstream | None,
    ) -> frozenset[str]:
        """Who keeps the rest of a trace that is under way when this policy follows another.

        What was decided stays. A destination that is new keeps it if its rate does, unless nobody
        kept it so far.

        Args:
            keepers: Who kept it.
            before: The policy that decided so.
            trace_id: The trace's id.
            trace_state: The caller's.
            upstream: What else the caller said.
        """
        new = self._everybody - before._everybody
        if not keepers or not new:
            return keepers
        r = randomness(trace_id, trace_state, upstream)
        return keepers | {name for name in new if r >= self._thresholds[name]}


class DelegatingSampler(Sampler):
    """A sampler that follows the current settings, since a provider can be set only once.

    A trace no destination keeps is still recorded (never exported), so that its errors are seen.
    Without any destination nothing is recorded at all.
    """

    def __init__(self) -> None:
        self.policy: SamplingPolicy | None = None
        self.is_upload: Callable[[Mapping[str, object]], bool] | None = None
        """Whether a CLIENT span with these attributes sends telemetry: nobody wants it traced."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on a new span. Never raises: a failure of ours records without sampling."""
        parent = get_current_span(parent_context).get_span_context()
        state = parent.trace_state
        if (policy := self.policy) is None:
            return SamplingResult(Decision.DROP, attributes, state)
        try:
            if kind is SpanKind.CLIENT and attributes and self._sends_telemetry(attributes):
                return SamplingResult(Decision.DROP, attributes, state)
            if parent.is_valid and not parent.is_remote:
                sampled: object = parent.trace_flags & 1
            elif is_excluded(parent_context):
                sampled = False
            else:
                sampled = policy.keepers(
                    trace_id, parent if parent.is_valid else None, parent_context
                )
        except Exception as error:
            GUARD.caught("process.sampler", error)
            sampled = False
        decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.RECORD_ONLY
        return SamplingResult(decision, attributes, state)

    def _sends_telemetry(self, attributes: Mapping[str, object]) -> bool:
        return self.is_upload is not None and self.is_upload(attributes)

    def get_description(self) -> str:
        """The name shown by tools."""
        return "SpanbridgeSampler"
