"""What cannot be told of a recording, because conditions ask for what is redacted in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.model.rule import ATTRIBUTE_PREFIX
from spanbridge.rules.conditions import compile_tests, reader_of
from spanbridge.rules.facts import EventFacts, IssueFacts, SpanFacts, TraceFacts
from spanbridge.rules.selection import exception_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanbridge.model.rule import Circumstances, Condition, Rule, Subject
    from spanbridge.model.span import SpanRecord
    from spanbridge.rules.conditions import Meets, Read
    from spanbridge.rules.facts import ExceptionFacts, Facts, OpAtStart, OpOf

_EXCEPTION: Final = "exception"
_PLACEHOLDER: Final = re.compile(r"\[(?:[A-Z_]+_)?REDACTED\]|\[[A-Z_]+:[0-9a-f]{12}\]")
_TRUNCATED: Final = re.compile(r"(?s).{0,4}…")

Unread: TypeAlias = "Callable[[Facts], Sequence[str] | None]"
"""Names the facts and attributes that are asked for and redacted.

``None`` if they do not matter, as something else that is asked for does not hold.
"""


class Asked(NamedTuple):
    """What rules say together, as far as it can be told."""

    effect: object
    names: Sequence[str]
    """What would have to be known to tell; empty if it is sure."""


Ask: TypeAlias = "Callable[[Facts], Asked]"


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
        mine = [rule for rule in rules if rule.is_for(destination)]
        self._match = compile_unread(match)
        self._rates = compile_ask(mine, "trace", lambda rule: rule.sample)
        self._span_keeps = compile_ask(mine, "span", lambda rule: rule.keep)
        self._event_keeps = compile_ask(mine, "event", lambda rule: rule.keep)
        self._exception_keeps = compile_ask(mine, "exception", lambda rule: rule.keep)
        self._span_drops = compile_ask(mine, "span", lambda rule: rule.drop)
        self._event_drops = compile_ask(mine, "event", lambda rule: rule.drop)
        self._op_of = op_of
        self._op_at_start = op_at_start

    def for_rate(self, root: SpanRecord) -> Sequence[str]:
        """For the rate that rules give a trace."""
        facts = TraceFacts(root.name, root.kind, root.attributes, self._op_at_start)
        return self._rates(facts).names

    def for_keeping(self, span: SpanRecord) -> Sequence[str]:
        """For whether the span, or an event on it, keeps its local trace."""
        names = [*self._span_keeps(SpanFacts(span, self._op_of)).names]
        for event in span.events:
            if event.name == _EXCEPTION:
                names += self._exception_keeps(exception_facts(event, span)).names
            else:
                names += self._event_keeps(EventFacts(event, event.name, span)).names
        return names

    def for_going(self, span: SpanRecord) -> Sequence[str]:
        """For whether the span goes there, and the events on it."""
        facts = SpanFacts(span, self._op_of)
        of_match = self._match(facts)
        is_dropped, of_rules = self._span_drops(facts)
        if of_match is None or (is_dropped and not of_rules):
            return ()
        names = [*of_match, *of_rules]
        for event in span.events:
            if event.name != _EXCEPTION:
                names += self._event_drops(EventFacts(event, event.name, span)).names
        return names

    def for_issue(self, around: Circumstances) -> Sequence[str]:
        """For whether an issue goes there."""
        return self._match(IssueFacts(around, self._op_of)) or ()


class UnreadableIssues:
    """Tells which facts and attributes would have to be known to tell what is an issue.

    Args:
        rules: Weakest first.
        op_of: Tells Sentry's operation of a span.
    """

    def __init__(self, rules: Sequence[Rule], op_of: OpOf) -> None:
        self._modes = compile_ask(rules, "exception", lambda rule: rule.mode)
        self._spans = compile_ask(rules, "span", lambda rule: rule.is_issue)
        self._events = compile_ask(rules, "event", lambda rule: rule.is_issue)
        self._op_of = op_of

    def for_mode(self, facts: ExceptionFacts) -> Sequence[str]:
        """For when the exception is an issue."""
        return self._modes(facts).names

    def for_notice(self, span: SpanRecord) -> Iterable[tuple[str, Sequence[str]]]:
        """For whether the span, or an event on it, is an issue by itself.

        Yields:
            The name of the span or event, and what of it.
        """
        yield span.name, self._spans(SpanFacts(span, self._op_of)).names
        for event in span.events:
            if event.name != _EXCEPTION:
                yield event.name, self._events(EventFacts(event, event.name, span)).names


def compile_ask(rules: Iterable[Rule], on: Subject, effect: Callable[[Rule], object]) -> Ask:
    """What those of ``rules`` that are ``on`` something say of it.

    Args:
        rules: Weakest first.
        on: What the rules to be asked are about.
        effect: Reads from a rule what it says; ``None`` if that is nothing.
    """
    saying = [
        (effect(rule), compile_unread(rule.match))
        for rule in rules
        if rule.on == on and effect(rule) is not None
    ]

    def ask(facts: Facts) -> Asked:
        settled: object = None
        open_ones: list[tuple[object, Sequence[str]]] = []
        for said, unread in reversed(saying):
            names = unread(facts)
            if names is None:
                continue
            if not names:
                settled = said
                break
            open_ones.append((said, names))
        # One that would say the same leaves nothing open; ``False`` is what holds without any.
        return Asked(
            settled,
            [
                name
                for said, names in open_ones
                if said != settled and not (said is False and settled is None)
                for name in names
            ],
        )

    return ask


def compile_unread(conditions: Sequence[Condition]) -> Unread:
    """What of ``conditions`` cannot be told."""
    asked = [_Asking.of(condition) for condition in conditions]

    def unread(facts: Facts) -> Sequence[str] | None:
        names = []
        for one in asked:
            value = one.read(facts)
            if one.is_hidden(value):
                names.append(one.name)
            elif not one.meets(value):
                return None
        return names

    return unread


class _Asking(NamedTuple):
    """A condition whose tests are compiled."""

    name: str
    read: Read
    meets: Meets
    is_negative: bool
    """Whether one of its tests asks what a value is not."""
    takes_any: bool
    """Whether any value meets one of them."""

    @classmethod
    def of(cls, condition: Condition) -> _Asking:
        tests = condition.tests
        return cls(
            condition.key.removeprefix(ATTRIBUTE_PREFIX),
            reader_of(condition.key),
            compile_tests(tests),
            any(test.operator in ("unlike", "!=") for test in tests),
            any(test.operator == "like" and test.operand == "*" for test in tests),
        )

    def is_hidden(self, value: object) -> bool:
        """Whether what would decide is redacted in ``value``."""
        values = value if isinstance(value, tuple | list) else (value,)
        if not any(isinstance(one, str) and _holds_placeholder(one) for one in values):
            return False
        if self.is_negative:
            return True
        if self.takes_any:
            return False
        # What stands around a placeholder may be enough for a pattern.
        return not any(self.meets(one) for one in values if not _is_placeholder(one))


def _holds_placeholder(text: str) -> bool:
    return _PLACEHOLDER.search(text) is not None or _is_placeholder(text)


def _is_placeholder(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return _PLACEHOLDER.fullmatch(value) is not None or _TRUNCATED.fullmatch(value) is not None
