"""Which destinations keep a trace: one number per trace, one rate per destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from spanbridge.runtime.guard import GUARD

_RANGE: Final = 1 << 56
_MASK: Final = _RANGE - 1
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
    if trace_state and (members := trace_state.get("ot")):
        for member in members.split(";"):
            if member.startswith("rv:") and len(member) == 17:
                try:
                    return int(member[3:], 16)
                except ValueError:
                    break
    return trace_id & _MASK


def sample_rand(trace_id: int) -> str:
    """Sentry's ``sample_rand`` of a trace that starts here: six decimals, never rounded up to 1."""
    return f"{(_MASK - (trace_id & _MASK)) * 1_000_000 // _RANGE / 1_000_000:.6f}"


class SamplingPolicy:
    """The rates of all destinations.

    Args:
        rates: Rate between 0 and 1 by destination name.
        sentry: Names of the destinations that follow an incoming Sentry decision.
    """

    def __init__(self, rates: Mapping[str, float], sentry: Sequence[str] = ()) -> None:
        # R >= threshold keeps the trace, as in OpenTelemetry's consistent probability sampling.
        # The same product as for an incoming `sample_rand`, so that a number equal to the rate is
        # left out, as Sentry's SDKs do.
        self._thresholds = {name: _RANGE - int(rate * _RANGE) for name, rate in rates.items()}
        self._sentry = frozenset(sentry)
        self._everybody = frozenset(rates)
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
        upstream = upstream_of(context)
        if parent is None and upstream is None and self._keeps_everything:
            return self._everybody
        if parent is not None and not parent.trace_flags.sampled:
            kept = set()  # the caller said no, and a trace cut in half helps nobody
        else:
            r = randomness(trace_id, parent.trace_state if parent else None, upstream)
            kept = {name for name, threshold in self._thresholds.items() if r >= threshold}
        if upstream is not None and upstream.is_sampled is not None:
            kept = kept | self._sentry if upstream.is_sampled else kept - self._sentry
        return frozenset(kept)


class DelegatingSampler(Sampler):
    """A sampler that follows the current settings, since a provider can be set only once.

    A trace no destination keeps is still recorded (never exported), so that its errors are seen.
    Without any destination nothing is recorded at all.
    """

    def __init__(self) -> None:
        self.policy: SamplingPolicy | None = None

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
            if parent.is_valid and not parent.is_remote:
                sampled: object = parent.trace_flags & 1
            else:
                sampled = policy.keepers(
                    trace_id, parent if parent.is_valid else None, parent_context
                )
        except Exception as error:
            GUARD.caught("process.sampler", error)
            sampled = False
        decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.RECORD_ONLY
        return SamplingResult(decision, attributes, state)

    def get_description(self) -> str:
        """The name shown by tools."""
        return "SpanbridgeSampler"
