"""The rates that the settings and their rules ask for, as a sampling policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanbridge.process.ceiling import Ceiling
from spanbridge.process.sampling import SamplingPolicy
from spanbridge.rules.head import HeadRules
from spanbridge.runtime.guard import GUARD
from spanbridge.sentry.convert.op import op_at_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanbridge.destinations.shape import Destination
    from spanbridge.model.rule import Rule
    from spanbridge.model.span import SpanKind
    from spanbridge.settings import Settings


def make_sampling(destinations: Iterable[Destination], settings: Settings) -> SamplingPolicy:
    """The rates of the destinations that take traces, with what rules and ceilings make of them."""
    made = {destination.name for destination in destinations if destination.takes_spans}
    options = [options for options in settings.destinations if options.name in made]
    head = HeadRules(settings.rules, op_at_start)

    def rates_of(root: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Mapping[str, float]:
        rates: dict[str, float] = {}
        for rule in _matching(head, root, kind, attributes):
            concerned = rule.to or made
            rates |= {
                name: rule.sample for name in concerned if name in made and rule.sample is not None
            }
        return rates

    return SamplingPolicy(
        {one.name: one.sample_rate for one in options},
        sentry=[one.name for one in options if one.kind == "sentry"],
        follows_remote=settings.remote_decision == "honour",
        rates_of=None if head.is_empty else rates_of,
        ceilings={
            one.name: Ceiling(one.max_traces_per_s)
            for one in options
            if one.max_traces_per_s is not None
        },
    )


def _matching(
    head: HeadRules, root: str, kind: SpanKind, attributes: Mapping[str, Any]
) -> Sequence[Rule]:
    """The rules that apply; none if they fail on what the root was given."""
    try:
        return head.matching(root, kind, attributes)
    except Exception as error:
        GUARD.caught("rules.trace", error)
        return ()
