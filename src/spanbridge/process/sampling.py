"""Which destinations keep a trace: one number per trace, one rate per destination."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

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

from spanbridge.process.head_decision import (
    BY_CALLER,
    BY_CEILING,
    BY_RATE,
    NO_RATES,
    NO_STATE,
    NOBODY,
    NOT_KEPT,
    HeadDecision,
)
from spanbridge.process.randomness import number_to_tell, randomness
from spanbridge.process.tracestate import (
    RANGE,
    threshold,
    threshold_of,
    with_random_value,
    with_threshold,
)
from spanbridge.process.upstream import Upstream, upstream_of
from spanbridge.runtime.excluded import is_excluded
from spanbridge.runtime.guard import GUARD

if TYPE_CHECKING:
    from spanbridge.model.span import SpanKind as KindWord
    from spanbridge.process.ceiling import Ceiling

_MASK: Final = RANGE - 1
NO_ATTRIBUTES: Final[Mapping[str, Any]] = MappingProxyType({})
_KINDS: Final[Mapping[SpanKind, KindWord]] = {
    SpanKind.INTERNAL: "internal",
    SpanKind.SERVER: "server",
    SpanKind.CLIENT: "client",
    SpanKind.PRODUCER: "producer",
    SpanKind.CONSUMER: "consumer",
}


RatesOf: TypeAlias = "Callable[[str, KindWord, Mapping[str, Any]], Mapping[str, float]]"
"""Rates by destination that rules give a trace, of its root's name, kind and attributes."""


class _Taken(threading.local):
    """A decision on its way from the sampler to the processor, which the same thread calls next."""

    trace_id = 0
    decision = NOT_KEPT


class SamplingPolicy:
    """The rates of all destinations.

    Args:
        rates: Rate between 0 and 1 by destination name.
        sentry: Names of the destinations that follow an incoming Sentry decision.
        follows_remote: Whether a caller's decisions count. Without it only the rates do, compared
            with the caller's random number all the same.
        rates_of: Rates that rules give a trace instead; ``None`` without such rules.
        ceilings: By destination name, where there is one.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        sentry: Sequence[str] = (),
        *,
        follows_remote: bool = True,
        rates_of: RatesOf | None = None,
        ceilings: Mapping[str, Ceiling] = MappingProxyType({}),
    ) -> None:
        self._rates = dict(rates)
        # R >= threshold keeps the trace, as in OpenTelemetry's consistent probability sampling.
        self._thresholds = {name: threshold_of(rate) for name, rate in rates.items()}
        self._sentry = frozenset(sentry)
        self._highest = max(rates.values(), default=0.0)
        self._follows_remote = follows_remote
        self._rates_of = rates_of
        self._ceilings = {name: ceilings[name] for name in ceilings if name in rates}
        self._has_only_rates = bool(rates) and rates_of is None and not self._ceilings
        self._keeps_everything = self._has_only_rates and not any(self._thresholds.values())
        self._taken = _Taken()
        # Made once: what leaves a trace out costs a reference where it is decided.
        self.by_rate: Mapping[str, str] = dict.fromkeys(rates, BY_RATE)
        """What leaves a trace out where nothing but the rates decides."""
        self._by_caller: Mapping[str, str] = dict.fromkeys(rates, BY_CALLER)
        self._cut: dict[frozenset[str], Mapping[str, str]] = {}
        """The same where ceilings cut it at some destinations: a few, as there are few ceilings."""
        self._sentry_by_caller: Mapping[str, str] = dict.fromkeys(self._sentry, BY_CALLER)
        # Whoever a trace comes to first decides on it by its number alone, in one of a few ways.
        by_threshold = sorted(rates, key=self._thresholds.__getitem__)
        self._steps = [self._thresholds[name] for name in by_threshold]
        self._usual = [self._by_rates(by_threshold[:n]) for n in range(len(by_threshold) + 1)]

    @property
    def rates(self) -> Mapping[str, float]:
        """The destinations' own rates."""
        return self._rates

    def decide(
        self,
        trace_id: int,
        parent: SpanContext | None,
        context: Context | None,
        name: str = "",
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> HeadDecision:
        """Which destinations keep the trace of a new local root.

        Args:
            trace_id: The trace's id.
            parent: The remote parent, if there is one.
            context: The context the root is started in, for what the caller decided.
            name: The root's name.
            kind: Its kind.
            attributes: What it is given at its start.
        """
        upstream = upstream_of(context, trace_id)
        state = parent.trace_state if parent is not None else NO_STATE
        if parent is None and upstream is None and self._has_only_rates:
            return self._usual[bisect_right(self._steps, trace_id & _MASK)]
        is_forbidden = (
            self._follows_remote and parent is not None and not parent.trace_flags.sampled
        )
        if not self._rates:
            return HeadDecision(NOBODY, NO_RATES, state, is_left_to_others=not is_forbidden)
        if is_forbidden:
            # The caller said no, and a trace cut in half helps nobody.
            kept, rates, reasons = NOBODY, NO_RATES, self._by_caller
        else:
            r = randomness(trace_id, state, upstream)
            ceilings = self._ceilings
            if ceilings and self._follows_remote and upstream and upstream.is_sampled is not None:
                # What a caller decides takes no room from what is decided here.
                ceilings = {n: one for n, one in ceilings.items() if n not in self._sentry}
            rates = self._rates_by_rules(name, kind, attributes)
            kept, reasons = self._kept(r, rates), self.by_rate
            if ceilings:
                wanted = kept
                kept, rates = self._below_ceilings(r, kept, rates, ceilings)
                if len(kept) < len(wanted):
                    reasons = self._by_ceiling(wanted - kept)
        if upstream is not None and upstream.is_sampled is not None and self._follows_remote:
            if upstream.is_sampled:
                kept = kept | self._sentry
            else:
                kept = kept - self._sentry
                reasons = {**reasons, **self._sentry_by_caller}
        before = self._before(parent, upstream)
        if state or rates or not self._keeps_everything:
            state = self._told(trace_id, state, kept, rates, before, upstream)
        return HeadDecision(kept, rates, state, before, left_out_by=reasons)

    def hand_over(self, trace_id: int, decision: HeadDecision) -> None:
        """Keep the sampler's decision for the processor."""
        self._taken.trace_id, self._taken.decision = trace_id, decision

    def take_over(self, trace_id: int) -> HeadDecision | None:
        """What the sampler has just decided on a trace, once; ``None`` if it was another's."""
        if self._taken.trace_id != trace_id:
            return None
        self._taken.trace_id = 0
        return self._taken.decision

    def _by_rates(self, kept: Sequence[str]) -> HeadDecision:
        """The decision on a trace that nobody decided on before, if the rates are all there is."""
        keepers = frozenset(kept)
        state = self._told(0, NO_STATE, keepers, NO_RATES, 0, None)
        return HeadDecision(keepers, NO_RATES, state, left_out_by=self.by_rate)

    def _rates_by_rules(
        self, name: str, kind: SpanKind | None, attributes: Mapping[str, Any] | None
    ) -> Mapping[str, float]:
        if self._rates_of is None:
            return NO_RATES
        word = _KINDS[kind or SpanKind.INTERNAL]
        return self._rates_of(name, word, attributes or NO_ATTRIBUTES)

    def _kept(self, r: int, rates: Mapping[str, float]) -> frozenset[str]:
        kept = self._usual[bisect_right(self._steps, r)].keepers
        if not rates:
            return kept
        special = {name for name, rate in rates.items() if r >= threshold_of(rate)}
        return kept.difference(rates) | special

    def _below_ceilings(
        self,
        r: int,
        kept: frozenset[str],
        rates: Mapping[str, float],
        ceilings: Mapping[str, Ceiling],
    ) -> tuple[frozenset[str], Mapping[str, float]]:
        """Of those that the rates keep it for, whose ceiling lets it pass, and the lowered rates.

        Every ceiling is asked for its rate: it counts the traces that start.
        """
        for name, ceiling in ceilings.items():
            usual = rates.get(name, self._rates[name])
            if (lowered := ceiling.rate(usual)) < usual:
                rates = {**rates, name: lowered}
            if name not in kept:
                continue
            is_cut = lowered < usual and r < threshold_of(lowered)
            if is_cut or not ceiling.admits():
                kept = kept - {name}
        return kept, rates

    def _by_ceiling(self, cut: frozenset[str]) -> Mapping[str, str]:
        if (known := self._cut.get(cut)) is None:
            known = self._cut[cut] = {**self.by_rate, **dict.fromkeys(cut, BY_CEILING)}
        return known

    def _before(self, parent: SpanContext | None, upstream: Upstream | None) -> int | None:
        if parent is None or not self._follows_remote:
            return 0
        told = threshold(parent.trace_state)
        if told is not None or upstream is None:
            return told
        # Of those that speak Sentry's protocol too, we tell a threshold where there is one.
        is_rated = upstream.sample_rate is not None and upstream.sample_rate < 1
        return None if is_rated else 0

    def _told(
        self,
        trace_id: int,
        state: TraceState,
        kept: frozenset[str],
        rates: Mapping[str, float],
        before: int | None,
        upstream: Upstream | None,
    ) -> TraceState:
        """The tracestate that tells at which rate the trace was sampled, as far as it is known.

        W3C's flag is set if any destination keeps the trace, so the highest rate is the one.
        """
        if not kept:
            return with_threshold(state, None) if state else state
        if before is None:
            return state  # sampled by a caller at a rate it did not tell
        decided = upstream if upstream is not None and upstream.is_sampled is not None else None
        if not self._follows_remote:
            decided = None
        if (rate := self._rate_of_flag(kept, rates, decided)) is None:
            return with_threshold(state, None)
        if rate >= 1:
            return state if self._follows_remote else with_threshold(state, None)
        told = with_threshold(state, max(before, threshold_of(rate)))
        number = number_to_tell(trace_id, state, upstream) if upstream is not None else None
        return told if number is None else with_random_value(told, number)

    def _rate_of_flag(
        self, kept: frozenset[str], rates: Mapping[str, float], decided: Upstream | None
    ) -> float | None:
        """The highest rate of those that decided; ``None`` if a caller did not tell its own.

        Args:
            kept: The destinations that keep the trace.
            rates: What rules and ceilings made of the rates.
            decided: The caller that decided for the destinations of Sentry's, if one did.
        """
        if decided is None and not rates:
            return self._highest
        own = {name: rates.get(name, usual) for name, usual in self._rates.items()}
        if decided is None:
            return max(own.values())
        others = [rate for name, rate in own.items() if name not in self._sentry]
        if kept.isdisjoint(self._sentry):
            return max(others)
        theirs = decided.sample_rate
        return None if theirs is None else max([*others, theirs])

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
        new = self._rates.keys() - before._rates.keys()
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
                remote = parent if parent.is_valid else None
                decided = policy.decide(trace_id, remote, parent_context, name, kind, attributes)
                policy.hand_over(trace_id, decided)
                sampled, state = decided.is_sampled, decided.trace_state
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
