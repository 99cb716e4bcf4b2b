"""Reads rules: tables of the settings file, dictionaries of ``configure()``, JSON of a variable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar, get_args

from spanbridge.model.failure import Level
from spanbridge.model.rule import ATTRIBUTE_PREFIX, FACTS, IssueMode, Rule, Subject
from spanbridge.settings.conditions import (
    Fault,
    conditions,
    flattened,
    json_of,
    table_of,
    unknown_key,
)
from spanbridge.settings.doubt import NAMEABLE, holds_doubt, privacy_key, strays
from spanbridge.settings.masking import show, show_name
from spanbridge.settings.reading import (
    FaultyPart,
    PartlyUnusable,
    Reader,
    Unusable,
    did_you_mean,
    names_of,
    one_of,
    rate_of,
    text_of,
)

T = TypeVar("T")

_SUBJECTS: Final = one_of(*get_args(Subject))
_MODES: Final[Reader[IssueMode]] = one_of(*get_args(IssueMode))
_LEVELS: Final[Reader[Level]] = one_of(*get_args(Level))

_ISSUE_KEYS: Final = ("issue", "level", "fingerprint", "title", "tag")
_TRACE_KEYS: Final = ("to", "drop", "sample", "keep")
_KEYS: Final = ("name", "on", "match", *_ISSUE_KEYS, *_TRACE_KEYS)
_SUBJECTS_OF: Final[Mapping[str, tuple[Subject, ...]]] = {
    **dict.fromkeys(_ISSUE_KEYS, ("exception", "span", "event", "log")),
    "title": ("span", "event", "log"),
    "drop": ("span", "event"),
    "sample": ("trace",),
    "keep": ("exception", "span", "event", "log"),
}
"""What the effects can be about."""
_WHY_NOT: Final = {
    "title": "an exception's title is its type and message",
    "sample": "spans are kept or left out with their whole trace",
}
_UNKNOWN_WHEN_KEPT: Final = frozenset({"chain", "root", "logger", "handled"})
"""Facts of an exception that nobody knows yet when the trace it happened in is judged."""
_PLACEHOLDER: Final = re.compile(r"\{\{.*?\}\}|\{([^{}]*)\}")
_TAG_KEY: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,200}")


def rules_of(raw: object) -> tuple[Rule, ...]:
    """Rules from a sequence of tables, or from the same as JSON text.

    Raises:
        Unusable: It is no list.
        PartlyUnusable: Some rules cannot be used; it has the others.
    """
    tables = json_of(raw, '[{"on": "exception", "issue": "none"}]') if isinstance(raw, str) else raw
    if isinstance(tables, str | bytes | Mapping) or not isinstance(tables, Sequence):
        raise Unusable(
            "it is not a list of tables", "Write [[rules]] tables, or a list of dictionaries."
        )
    rules, faults = [], []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(rule_of(table, number))
        except Fault as fault:
            faults.append(_faulty_part(number, table, fault))
    if faults:
        raise PartlyUnusable(faults, tuple(rules), "the rule does not apply")
    return tuple(rules)


RULES: Final = Reader("[tables](../guides/rules.md); in a variable as JSON", rules_of)


def rule_of(table: object, number: int = 0) -> Rule:
    """One rule, and its position among others, from 1."""
    if not isinstance(table, Mapping):
        unusable = Unusable("it is not a table", "Write key = value lines.")
        raise Fault("", table, unusable, is_privacy=holds_doubt(table))
    # YAML reads the key ``on`` as true.
    table = {"on" if key is True else key: value for key, value in table.items()}
    _check_keys(table)
    subject = _read("on", table, _SUBJECTS.convert)
    if subject is None:
        raise _missing("on", f"Say what it is about: {', '.join(get_args(Subject))}.")
    match = tuple(conditions(subject, _read("match", table, table_of) or {}))
    _check_effects(subject, table)
    is_exception = subject == "exception"
    rule = Rule(
        name=_read("name", table, text_of) or "",
        number=number,
        on=subject,
        match=match,
        mode=_read("issue", table, _mode_of) if is_exception else None,
        is_issue=None if is_exception else _read("issue", table, _flag_of),
        level=_read("level", table, _LEVELS.convert),
        fingerprint=_read("fingerprint", table, partial(_fingerprint_of, subject)),
        title=_read("title", table, partial(_template_of, subject)),
        tags=tuple(_tags(subject, _read("tag", table, table_of) or {})),
        to=_read("to", table, names_of) or (),
        drop=_read("drop", table, _flag_of),
        sample=_read("sample", table, rate_of),
        keep=_read("keep", table, _flag_of),
    )
    _check_the_whole(rule, table)
    return rule


def _check_keys(table: Mapping[Any, object]) -> None:
    """Whatever else is wrong, a setting of privacy that got into the rule is told first."""
    for stray in strays(table):
        unusable = Unusable(stray.problem, stray.fix)
        raise Fault(".".join(stray.path), stray.value, unusable, is_privacy=True)
    faults = list(_unknown_keys(table))
    for fault in sorted(faults, key=lambda fault: not fault.is_privacy):
        raise fault


def _unknown_keys(table: Mapping[Any, object]) -> Iterator[Fault]:
    for key in table:
        if key not in _KEYS:
            fix = f"{did_you_mean(str(key), _KEYS)}Use {', '.join(_KEYS)}."
            yield unknown_key(str(key), table[key], fix)
    match = table.get("match")
    for key, value in match.items() if isinstance(match, Mapping) else ():
        # With a dot it is an attribute's; what else is wrong with one is told where it is read.
        if "." not in str(key) and privacy_key(str(key), NAMEABLE):
            yield unknown_key(f"match.{key}", value, "")


def _check_effects(subject: Subject, table: Mapping[Any, object]) -> None:
    for key, subjects in _SUBJECTS_OF.items():
        if table.get(key) is not None and subject not in subjects:
            problem = _WHY_NOT.get(key, f"it says nothing about on = {subject!r}")
            others = " or ".join(map(repr, subjects))
            raise Fault(key, table[key], Unusable(problem, f"Use it with {others}, or remove it."))


def _check_the_whole(rule: Rule, table: Mapping[Any, object]) -> None:
    asked = {condition.key for condition in rule.match}
    if rule.mode == "all" and "handled" in asked:
        raise Fault(
            "issue",
            rule.mode,
            Unusable(
                "it is reported at first sight, when nobody knows whether it will be handled",
                "Use unhandled or none, or remove handled from match.",
            ),
        )
    if rule.keep is not None and rule.on == "exception" and asked & _UNKNOWN_WHEN_KEPT:
        unknown = sorted(asked & _UNKNOWN_WHEN_KEPT)[0]
        raise Fault(
            f"match.{unknown}",
            table["match"],
            Unusable(
                "nobody knows it when the trace is kept or left out",
                "Use type, message, span, kind or attributes.",
            ),
        )
    if rule.on == "event" and (rule.keep is not None or rule.drop is not None):
        _check_it_is_no_exception(rule, table)
    if rule.is_issue and not rule.match:
        raise _missing("match", f"Without it every {rule.on} would be an issue.")
    if rule.drop and not rule.match and not rule.to:
        raise _missing("match", f"Without it every {rule.on} would be left out.")
    _check_it_has_an_effect(rule, table)


def _check_it_is_no_exception(rule: Rule, table: Mapping[Any, object]) -> None:
    named = [test.operand for c in rule.match if c.key == "event" for test in c.tests]
    if "exception" in named:
        problem = "exceptions are a subject of their own"
        fix = "Use on = 'exception' with keep; an exception cannot be dropped from its span."
        raise Fault("match.event", table["match"], Unusable(problem, fix))


def _check_it_has_an_effect(rule: Rule, table: Mapping[Any, object]) -> None:
    about_issues = (rule.mode, rule.is_issue, rule.level, rule.fingerprint, rule.title)
    about_traces = (rule.drop, rule.sample, rule.keep)
    if all(effect is None for effect in (*about_issues, *about_traces)) and not rule.tags:
        effects = [key for key in _SUBJECTS_OF if rule.on in _SUBJECTS_OF[key]]
        raise Fault(
            "",
            _named(rule),
            Unusable("it has no effect", f"Give it {' or '.join(effects)}."),
        )
    if rule.to and all(effect is None for effect in about_traces):
        raise Fault(
            "to",
            table["to"],
            Unusable(
                "an issue is the same wherever it goes", "Remove it, or give the rule drop or keep."
            ),
        )


def _named(rule: Rule) -> str:
    return rule.name or f"on {rule.on}"


def _read(key: str, table: Mapping[Any, object], convert: Callable[[object], T]) -> T | None:
    value = table.get(key)
    if value is None:
        return None
    try:
        return convert(value)
    except Unusable as unusable:
        raise Fault(key, value, unusable) from None


def _missing(key: str, fix: str) -> Fault:
    return Fault(key, None, Unusable("it is missing", fix))


def _mode_of(raw: object) -> IssueMode:
    if isinstance(raw, bool):
        raise Unusable("of an exception it is a word", "Use all, unhandled or none.")
    return _MODES.convert(raw)


def _flag_of(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    raise Unusable("it is neither true nor false", "Use true or false.")


# ----------------------------------------------------------------------------------- templates


def _fingerprint_of(subject: Subject, raw: object) -> tuple[str, ...]:
    parts = (raw,) if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not parts:
        raise Unusable("it is not a list of texts", 'Write ["{{ default }}", "…"].')
    return tuple([_template_of(subject, part) for part in parts])


def _template_of(subject: Subject, raw: object) -> str:
    text = text_of(raw)
    for place in _PLACEHOLDER.finditer(text):
        key = place[1]
        if key is not None and "." not in key and key.strip() not in FACTS[subject]:
            known = ", ".join(FACTS[subject])
            raise Unusable(
                f"nothing is known as {show(key)}",
                f"{did_you_mean(key, FACTS[subject])}Use {known}, or an attribute such as "
                f"{{http.route}}; write one of that name as "
                f"{{{ATTRIBUTE_PREFIX}{show_name(key.strip())}}}.",
            )
    return text


def _tags(subject: Subject, table: Mapping[Any, object]) -> Iterator[tuple[str, str]]:
    for key, value in flattened(table):
        place = f"tag.{key}"
        if not _TAG_KEY.fullmatch(key):
            raise Fault(
                place,
                value,
                Unusable(
                    "a tag's name has other characters", "Use letters, digits and . _ : - only."
                ),
            )
        try:
            yield key, _template_of(subject, value)
        except Unusable as unusable:
            raise Fault(place, value, unusable) from None


# -------------------------------------------------------------------------------------- faults


def _faulty_part(number: int, table: object, fault: Fault) -> FaultyPart:
    name = table.get("name") if isinstance(table, Mapping) else None
    label = f"rule {number}" + (f" {show(name)}" if isinstance(name, str) else "")
    place = f"{fault.key} of {label}" if fault.key else label
    path = f"{number}.{fault.key}"
    problem, fix = fault.unusable.problem, fault.unusable.fix
    return FaultyPart(place, path, fault.value, problem, fix, is_privacy=fault.is_privacy)
