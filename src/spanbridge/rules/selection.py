"""What one destination wants of spans and traces: its ``match``, and rules with drop and keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from spanbridge.conventions.upstream import EXCEPTION_MESSAGE, EXCEPTION_TYPE
from spanbridge.model.rule import Circumstances
from spanbridge.rules.conditions import compile_condition
from spanbridge.rules.facts import EventFacts, ExceptionFacts, IssueFacts, LogFacts, SpanFacts
from spanbridge.rules.matching import Matching, by_name, matching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanbridge.model.log import LogRecord
    from spanbridge.model.rule import Condition, Rule, Subject
    from spanbridge.model.span import SpanEvent, SpanRecord
    from spanbridge.rules.facts import Facts, OpOf

MATCH: Final = "match"
"""What is said to have left out a span that does not meet the destination's own conditions."""
_EXCEPTION: Final = "exception"


class Selection:
    """Compiled for one destination. All rules that match apply in order; the last one counts.

    Args:
        destination: Its name.
        match: What a span has to be to go there; empty: everything.
        rules: Weakest first; those about other destinations are left aside.
        op_of: Tells Sentry's operation of a span.
    """

    def __init__(
        self,
        destination: str,
        match: Sequence[Condition],
        rules: Iterable[Rule],
        op_of: OpOf,
    ) -> None:
        self._op_of = op_of
        mine = [rule for rule in rules if rule.is_for(destination)]
        self._match = [compile_condition(condition) for condition in match]
        self._span_drops = _named(mine, "span", "drop")
        self._event_drops = _named(mine, "event", "drop")
        keeping = [rule for rule in mine if rule.keep is not None]
        self._span_keeps = _named(mine, "span", "keep")
        self._event_keeps = _named(mine, "event", "keep")
        self._exception_keeps = [matching(rule) for rule in keeping if rule.on == "exception"]
        self._log_keeps = [matching(rule) for rule in keeping if rule.on == "log"]
        self.has_match = bool(match)
        self.drops_spans = self.has_match or any(r.on == "span" and r.drop for r in mine)
        """Whether any span may be left out by itself."""
        self.drops_events = any(rule.on == "event" and rule.drop for rule in mine)
        self.keeps_traces = any(rule.keep for rule in mine)
        """Whether it shows only at the end of a local trace if that goes there."""

    def dropping(self, span: SpanRecord) -> str | None:
        """What leaves out the span: a rule's label or :data:`MATCH`; ``None`` if it goes."""
        facts = SpanFacts(span, self._op_of)
        if not self._meets_match(facts):
            return MATCH
        last = _last(self._span_drops(span.name), facts)
        return last.label if last is not None and last.drop else None

    def wants_issue(self, around: Circumstances) -> bool:
        """Whether an issue goes there, by the span it arose in and what told of it."""
        return self._meets_match(IssueFacts(around, self._op_of))

    def _meets_match(self, facts: Facts) -> bool:
        return all(holds(facts) for holds in self._match)

    def dropped_events(self, span: SpanRecord) -> frozenset[int]:
        """Positions of the span's events that are left out."""
        events = enumerate(span.events)
        return frozenset([at for at, event in events if self.drops_event(event, span)])

    def drops_event(self, event: SpanEvent, span: SpanRecord) -> bool:
        """Whether an event is left out; an exception never is, whatever a pattern fits."""
        if event.name == _EXCEPTION or not (rules := self._event_drops(event.name)):
            return False
        last = _last(rules, EventFacts(event, event.name, span))
        return last is not None and bool(last.drop)

    def keeping(self, span: SpanRecord) -> str | None:
        """The rule by which the span, or an event on it, keeps its local trace; else ``None``."""
        last = _last(self._span_keeps(span.name), SpanFacts(span, self._op_of))
        if last is not None and last.keep:
            return last.label
        for event in span.events:
            if event.name == _EXCEPTION:
                last = _last(self._exception_keeps, exception_facts(event, span))
            else:
                rules = self._event_keeps(event.name)
                last = _last(rules, EventFacts(event, event.name, span)) if rules else None
            if last is not None and last.keep:
                return last.label
        return None

    def keeping_by_log(self, log: LogRecord) -> str | None:
        """The rule by which a log record keeps the local trace it belongs to; else ``None``."""
        last = _last(self._log_keeps, LogFacts(log))
        if (last is None or not last.keep) and log.event_name:
            last = _last(self._event_keeps(log.event_name), EventFacts(log, log.event_name, None))
        return last.label if last is not None and last.keep else None


def exception_facts(event: SpanEvent, span: SpanRecord) -> ExceptionFacts:
    """What a rule that keeps traces can ask of an exception that an event tells of."""
    said = event.attributes
    names = (str(said.get(EXCEPTION_TYPE, "")),)
    message = str(said.get(EXCEPTION_MESSAGE, ""))
    return ExceptionFacts(Circumstances(event=event, span=span), names, message)


def _named(
    rules: Iterable[Rule], subject: Subject, effect: Literal["drop", "keep"]
) -> Callable[[str], Sequence[Matching]]:
    said = [rule for rule in rules if rule.on == subject and getattr(rule, effect) is not None]
    return by_name([matching(rule) for rule in said])


def _last(rules: Sequence[Matching], facts: Facts) -> Rule | None:
    for one in reversed(rules):
        if one.applies(facts):
            return one.rule
    return None
