"""What cannot be told of a recording, because conditions ask for what is redacted in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from spanbridge.model.rule import ATTRIBUTE_PREFIX
from spanbridge.rules.conditions import compile_condition, compile_tests, reader_of
from spanbridge.rules.facts import EventFacts, IssueFacts, SpanFacts, TraceFacts
from spanbridge.rules.selection import exception_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanbridge.model.rule import Circumstances, Condition, Rule, Subject
    from spanbridge.model.span import SpanEvent, SpanRecord
    from spanbridge.rules.facts import ExceptionFacts, Facts, OpAtStart, OpOf

_EXCEPTION: Final = "exception"
_PLACEHOLDER: Final = re.compile(r"\[(?:[A-Z_]+_)?REDACTED\]|\[[A-Z_]+:[0-9a-f]{12}\]")
_TRUNCATED: Final = re.compile(r"(?s).{0,4}…")


class Unreadable:
    """Tells, for one destination, which facts and attributes would have to be known.

    Each answer is empty if what the recording has is enough.

    Args:
        destination: Its name.
        match: What a span has to be to go there.
        rules: Weakest first; those about other destinations are left aside.
        op_of: Tells Sentry's operation of a span.
        op_at_start: Tells it of a root that starts.
    """

    def __init__(
        self,
        destination: str,
        match: Sequence[Condition],
        rules: Iterable[Rule],
        op_of: OpOf,
        op_at_start: OpAtStart,
    ) -> None:
        self._match = match
        self._mine = [rule for rule in rules if rule.is_for(destination)]
        self._op_of = op_of
        self._op_at_start = op_at_start

    def for_rate(self, root: SpanRecord) -> Sequence[str]:
        """For the rate that rules give a trace."""
        facts = TraceFacts(root.name, root.kind, root.attributes, self._op_at_start)
        return self._asked(facts, "trace", lambda rule: rule.sample).names

    def for_keeping(self, span: SpanRecord) -> Sequence[str]:
        """For whether the span, or an event on it, keeps its local trace."""
        facts = SpanFacts(span, self._op_of)
        names = [*self._asked(facts, "span", lambda rule: rule.keep).names]
        for event in span.events:
            if event.name == _EXCEPTION:
                names += self._asked(
                    exception_facts(event, span), "exception", lambda rule: rule.keep
                ).names
            else:
                names += self._asked_of_event(event, span, lambda rule: rule.keep)
        return names

    def for_going(self, span: SpanRecord) -> Sequence[str]:
        """For whether the span goes there, and the events on it."""
        facts = SpanFacts(span, self._op_of)
        of_match = unreadable(self._match, facts)
        is_dropped, of_rules = self._asked(facts, "span", lambda rule: rule.drop)
        if of_match is None or (is_dropped and not of_rules):
            return ()
        names = [*of_match, *of_rules]
        for event in span.events:
            if event.name != _EXCEPTION:
                names += self._asked_of_event(event, span, lambda rule: rule.drop)
        return names

    def for_issue(self, around: Circumstances) -> Sequence[str]:
        """For whether an issue goes there."""
        return unreadable(self._match, IssueFacts(around, self._op_of)) or ()

    def _asked_of_event(
        self, event: SpanEvent, span: SpanRecord, effect: Callable[[Rule], object]
    ) -> Sequence[str]:
        return self._asked(EventFacts(event, event.name, span), "event", effect).names

    def _asked(self, facts: Facts, on: Subject, effect: Callable[[Rule], object]) -> Asked:
        rules = [rule for rule in self._mine if rule.on == on]
        return ask(rules, facts, effect)


def unreadable_for_mode(rules: Iterable[Rule], facts: ExceptionFacts) -> Sequence[str]:
    """What would have to be known to tell when the exception is an issue by ``rules``."""
    return ask([one for one in rules if one.on == "exception"], facts, lambda one: one.mode).names


def unreadable_for_notice(
    rules: Iterable[Rule], span: SpanRecord, op_of: OpOf
) -> Iterable[tuple[str, Sequence[str]]]:
    """What would have to be known to tell if a span, or an event on it, is an issue by itself.

    Yields:
        The name of the span or event, and what of it.
    """
    on_spans = [rule for rule in rules if rule.on == "span"]
    yield span.name, ask(on_spans, SpanFacts(span, op_of), lambda rule: rule.is_issue).names
    on_events = [rule for rule in rules if rule.on == "event"]
    for event in span.events if on_events else ():
        if event.name != _EXCEPTION:
            facts = EventFacts(event, event.name, span)
            yield event.name, ask(on_events, facts, lambda rule: rule.is_issue).names


class Asked(NamedTuple):
    """What rules say together, as far as it can be told."""

    effect: object
    names: Sequence[str]
    """What would have to be known to tell; empty if it is sure."""


def ask(rules: Sequence[Rule], facts: Facts, effect: Callable[[Rule], object]) -> Asked:
    """What ``rules`` say of something.

    Args:
        rules: On what ``facts`` are of; weakest first.
        facts: What is asked.
        effect: Reads from a rule what it says; ``None`` if that is nothing.
    """
    settled: object = None
    open_ones: list[tuple[object, Sequence[str]]] = []
    for rule in reversed(rules):
        said = effect(rule)
        names = unreadable(rule.match, facts) if said is not None else None
        if names is None:
            continue
        if not names:
            settled = said
            break
        open_ones.append((said, names))
    # A rule that would say the same leaves nothing open; ``False`` is what holds without any.
    return Asked(
        settled,
        [
            name
            for said, names in open_ones
            if said != settled and not (said is False and settled is None)
            for name in names
        ],
    )


def unreadable(conditions: Sequence[Condition], facts: Facts) -> Sequence[str] | None:
    """The facts and attributes that conditions ask for and that are redacted.

    Returns:
        ``None`` if one of the others does not hold: then they do not matter.
    """
    names = []
    for condition in conditions:
        if _is_hidden(condition, reader_of(condition.key)(facts)):
            names.append(condition.key.removeprefix(ATTRIBUTE_PREFIX))
        elif not compile_condition(condition)(facts):
            return None
    return names


def _is_hidden(condition: Condition, value: object) -> bool:
    values = value if isinstance(value, tuple | list) else (value,)
    if not any(isinstance(one, str) and _holds_placeholder(one) for one in values):
        return False
    if any(test.operator in ("unlike", "!=") for test in condition.tests):
        return True
    if any(test.operator == "like" and test.operand == "*" for test in condition.tests):
        return False
    # What stands around a placeholder may be enough for a pattern.
    meets = compile_tests(condition.tests)
    return not any(meets(one) for one in values if not _is_placeholder(one))


def _holds_placeholder(text: str) -> bool:
    return _PLACEHOLDER.search(text) is not None or _is_placeholder(text)


def _is_placeholder(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return _PLACEHOLDER.fullmatch(value) is not None or _TRUNCATED.fullmatch(value) is not None
