"""The rules of one configuration: what applies to an exception, and what is an issue by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.model.rule import (
    NO_EFFECTS,
    Circumstances,
    Effects,
    IssueMode,
    Noticed,
    Rule,
)
from spanbridge.rules.facts import EventFacts, ExceptionFacts, Facts, LogFacts, SpanFacts
from spanbridge.rules.matching import Matching, by_name, matching
from spanbridge.rules.templates import Template, compile_template
from spanbridge.settings.builtin_rules import BUILTIN_RULES

if TYPE_CHECKING:
    from spanbridge.model.log import LogRecord
    from spanbridge.model.span import SpanEvent, SpanRecord
    from spanbridge.rules.facts import OpOf
    from spanbridge.settings import Settings

_EXCEPTION: Final = "exception"
"""Events of this name are exceptions, whatever rules on events say."""


class _Compiled(NamedTuple):
    matching: Matching
    fingerprint: tuple[Template, ...]
    title: Template | None
    tags: tuple[tuple[str, Template], ...]

    @property
    def rule(self) -> Rule:
        return self.matching.rule

    def is_for(self, name: str) -> bool:
        return self.matching.is_for(name)

    def applies(self, facts: Facts) -> bool:
        return self.matching.applies(facts)


_Applying: TypeAlias = Sequence[_Compiled]


class Rules:
    """Compiled rules. All that match apply in order; for each effect the last one counts.

    Args:
        rules: Weakest first.
        is_withheld: Whether the privacy policy keeps back an attribute of this name; such a value
            fills no fingerprint, title or tag.
        op_of: Tells Sentry's operation of a span.
    """

    def __init__(
        self, rules: Iterable[Rule], is_withheld: Callable[[str], bool], op_of: OpOf
    ) -> None:
        self._op_of = op_of
        compiled = [_compile(rule, is_withheld) for rule in rules]
        self._exceptions = [one for one in compiled if one.rule.on == "exception"]
        self._modes = [one for one in self._exceptions if one.rule.mode is not None]
        spans = [one for one in compiled if one.rule.on == "span"]
        events = [one for one in compiled if one.rule.on == "event"]
        self._logs = [one for one in compiled if one.rule.on == "log"]
        self._for_span = by_name(spans)
        self._for_event = by_name(events)
        self.has_modes = bool(self._modes)
        """Whether any rule says which exceptions are issues."""
        self._watches_spans = bool(spans or events)
        self._watches_logs = bool(self._logs or events)

    def issue_mode(self, facts: ExceptionFacts) -> IssueMode | None:
        """When the exception is an issue; ``None`` if no rule says so."""
        for one in reversed(self._modes):
            if one.applies(facts):
                return one.rule.mode
        return None

    def matching_exception(self, facts: ExceptionFacts) -> Sequence[Rule]:
        """The rules that apply to the exception, weakest first."""
        return [one.rule for one in self._exceptions if one.applies(facts)]

    def effects(self, facts: ExceptionFacts) -> Effects:
        """How the exception's issue presents itself."""
        if not self._exceptions:
            return NO_EFFECTS
        return _effects([one for one in self._exceptions if one.applies(facts)], facts)

    def names_span(self, name: str) -> bool:
        """Whether a rule may apply to a span of this name."""
        return bool(self._for_span(name))

    def noticed_in_span(self, span: SpanRecord) -> Sequence[Noticed]:
        """What is wrong with a finished span or its events, by a rule and not by an exception.

        A span that no rule names costs one look-up.
        """
        if not self._watches_spans:
            return ()
        rules = self._for_span(span.name)
        if not (rules or span.events):
            return ()
        noticed = []
        if rules and (applying := _applying(rules, facts := SpanFacts(span, self._op_of))):
            title = span.status_message or span.name
            noticed.append(_noticed(applying, facts, title, span.end_ns, Circumstances(span=span)))
        for event in span.events:
            rules = self._for_event(event.name)
            if rules and event.name != _EXCEPTION:
                around = Circumstances(event=event, span=span)
                noticed += self._noticed_event(rules, event, event.name, around)
        return noticed

    def noticed_in_log(self, log: LogRecord) -> Sequence[Noticed]:
        """What is wrong by a rule according to a log record that carries no exception.

        Rules on events apply to log records that have an event name.
        """
        if not self._watches_logs:
            return ()
        if self._logs and (applying := _applying(self._logs, facts := LogFacts(log))):
            title = log.body or log.event_name
            return [_noticed(applying, facts, title, log.time_ns, Circumstances(log=log))]
        if not log.event_name:
            return ()
        rules = self._for_event(log.event_name)
        return self._noticed_event(rules, log, log.event_name, Circumstances(log=log))

    @staticmethod
    def _noticed_event(
        rules: _Applying, event: SpanEvent | LogRecord, name: str, around: Circumstances
    ) -> Sequence[Noticed]:
        facts = EventFacts(event, name, around.span)
        applying = _applying(rules, facts)
        return [_noticed(applying, facts, name, event.time_ns, around)] if applying else ()


def make_rules(settings: Settings, is_withheld: Callable[[str], bool], op_of: OpOf) -> Rules:
    """The rules that ``settings`` ask for: the built-in ones first, so that the user's win.

    Where nothing is to become an issue (``issues`` is ``none``) the built-in ones rest.
    """
    names = settings.builtin_rules if settings.issues != "none" else ()
    return Rules((*(BUILTIN_RULES[name] for name in names), *settings.rules), is_withheld, op_of)


def _compile(rule: Rule, is_withheld: Callable[[str], bool]) -> _Compiled:
    return _Compiled(
        matching(rule),
        tuple([compile_template(part, is_withheld) for part in rule.fingerprint or ()]),
        compile_template(rule.title, is_withheld) if rule.title is not None else None,
        tuple([(key, compile_template(text, is_withheld)) for key, text in rule.tags]),
    )


def _applying(rules: _Applying, facts: Facts) -> _Applying:
    """The rules that match, if together they make an issue."""
    applying = [one for one in rules if one.applies(facts)]
    says = [one.rule.is_issue for one in applying if one.rule.is_issue is not None]
    return applying if says and says[-1] else ()


def _noticed(
    applying: _Applying, facts: Facts, title: str, time_ns: int, around: Circumstances
) -> Noticed:
    effects = _effects(applying, facts)
    source = around.log or around.span
    return Noticed(
        rule=[one.rule.name for one in applying if one.rule.is_issue][-1],
        title=effects.title or title,
        effects=effects,
        time_ns=time_ns,
        trace_id=source.trace_id if source is not None else "",
        span_id=source.span_id if source is not None else "",
        circumstances=around,
        rules=tuple([one.rule.label for one in applying]),
    )


def _effects(applying: _Applying, facts: Facts) -> Effects:
    if not applying:
        return NO_EFFECTS
    level, title = None, ""
    fingerprint: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    for one in applying:
        level = one.rule.level or level
        if one.title is not None:
            title = one.title.fill_what_is_there(facts) or title
        if one.rule.fingerprint is not None:
            parts = [part.fill(facts) for part in one.fingerprint]
            fingerprint = tuple([part for part in parts if part])
        tags |= {key: value for key, text in one.tags if (value := text.fill(facts))}
    return Effects(level, fingerprint, title, tags)
