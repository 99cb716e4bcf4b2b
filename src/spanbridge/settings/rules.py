"""Reads rules: tables of the settings file, dictionaries of ``configure()``, JSON of a variable."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar, get_args

from spanbridge.model.failure import Level
from spanbridge.model.log import SEVERITY_ERROR, SEVERITY_FATAL, SEVERITY_INFO, SEVERITY_WARN
from spanbridge.model.rule import (
    ATTRIBUTE_PREFIX,
    FACTS,
    Condition,
    IssueMode,
    Operator,
    Rule,
    Subject,
    Test,
)
from spanbridge.model.span import SpanKind, SpanStatus
from spanbridge.settings.masking import show
from spanbridge.settings.reading import (
    FaultyPart,
    PartlyUnusable,
    Reader,
    Unusable,
    did_you_mean,
    one_of,
    text_of,
)

T = TypeVar("T")

SEVERITIES: Final[Mapping[str, int]] = {
    "trace": 1,
    "debug": 5,
    "info": SEVERITY_INFO,
    "warn": SEVERITY_WARN,
    "error": SEVERITY_ERROR,
    "fatal": SEVERITY_FATAL,
}
"""The words for severities and the lowest number of each."""

MAX_DEPTH: Final = 32
"""Tables within tables that stand for one dotted name."""

_SUBJECTS: Final = one_of(*get_args(Subject))
_MODES: Final[Reader[IssueMode]] = one_of(*get_args(IssueMode))
_LEVELS: Final[Reader[Level]] = one_of(*get_args(Level))
_KINDS: Final[Reader[SpanKind]] = one_of(*get_args(SpanKind))
_STATUSES: Final[Reader[SpanStatus]] = one_of(*get_args(SpanStatus))
_SEVERITY_WORDS: Final = one_of(*SEVERITIES)

_KEYS: Final = ("name", "on", "match", "issue", "level", "fingerprint", "title", "tag")
_COMPARISON: Final = re.compile(r"(<=|>=|!=|<|>|=)\s*(.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_PLACEHOLDER: Final = re.compile(r"\{\{.*?\}\}|\{([^{}]*)\}")
_TAG_KEY: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,200}")


class _Fault(Exception):
    """One key of a rule cannot be used."""

    def __init__(self, key: str, value: object, unusable: Unusable) -> None:
        super().__init__(key)
        self.key = key
        self.value = value
        self.unusable = unusable


def rules_of(raw: object) -> tuple[Rule, ...]:
    """Rules from a sequence of tables, or from the same as JSON text.

    Raises:
        Unusable: It is no list.
        PartlyUnusable: Some rules cannot be used; it has the others.
    """
    tables = _json_of(raw) if isinstance(raw, str) else raw
    if isinstance(tables, str | bytes | Mapping) or not isinstance(tables, Sequence):
        raise Unusable(
            "it is not a list of tables", "Write [[rules]] tables, or a list of dictionaries."
        )
    rules, faults = [], []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(rule_of(table))
        except _Fault as fault:
            faults.append(_faulty_part(number, table, fault))
    if faults:
        raise PartlyUnusable(faults, tuple(rules))
    return tuple(rules)


RULES: Final = Reader("[tables](../guides/rules.md); in a variable as JSON", rules_of)


def rule_of(table: object) -> Rule:
    """One rule."""
    if not isinstance(table, Mapping):
        raise _Fault("", table, Unusable("it is not a table", "Write key = value lines."))
    # YAML reads the key ``on`` as true.
    table = {"on" if key is True else key: value for key, value in table.items()}
    for key in table:
        if key not in _KEYS:
            fix = f"{did_you_mean(str(key), _KEYS)}Use {', '.join(_KEYS)}."
            raise _unknown(str(key), table[key], fix)
    subject = _read("on", table, _SUBJECTS.convert)
    if subject is None:
        raise _missing("on", f"Say what it is about: {', '.join(get_args(Subject))}.")
    match = tuple(_conditions(subject, _read("match", table, _table_of) or {}))
    is_exception = subject == "exception"
    if is_exception and "title" in table:
        raise _Fault(
            "title",
            table["title"],
            Unusable("an exception's title is its type and message", "Remove it."),
        )
    rule = Rule(
        name=_read("name", table, text_of) or "",
        on=subject,
        match=match,
        mode=_read("issue", table, _mode_of) if is_exception else None,
        is_issue=None if is_exception else _read("issue", table, _flag_of),
        level=_read("level", table, _LEVELS.convert),
        fingerprint=_read("fingerprint", table, partial(_fingerprint_of, subject)),
        title=_read("title", table, partial(_template_of, subject)),
        tags=tuple(_tags(subject, _read("tag", table, _table_of) or {})),
    )
    _check_the_whole(rule)
    return rule


def _check_the_whole(rule: Rule) -> None:
    if rule.mode == "all" and any(condition.key == "handled" for condition in rule.match):
        raise _Fault(
            "issue",
            rule.mode,
            Unusable(
                "it is reported at first sight, when nobody knows whether it will be handled",
                "Use unhandled or none, or remove handled from match.",
            ),
        )
    if rule.is_issue and not rule.match:
        raise _missing("match", f"Without it every {rule.on} would be an issue.")
    effects = (rule.mode, rule.is_issue, rule.level, rule.fingerprint, rule.title)
    if not rule.tags and all(effect is None for effect in effects):
        raise _Fault(
            "",
            _named(rule),
            Unusable("it has no effect", "Give it issue, level, fingerprint, title or tag."),
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
        raise _Fault(key, value, unusable) from None


def _unknown(key: str, value: object, fix: str) -> _Fault:
    return _Fault(key, value, Unusable("there is no such key", fix))


def _missing(key: str, fix: str) -> _Fault:
    return _Fault(key, None, Unusable("it is missing", fix))


def _table_of(raw: object) -> Mapping[Any, object]:
    if isinstance(raw, Mapping):
        return raw
    raise Unusable("it is not a table", "Write { key = value }.")


def _mode_of(raw: object) -> IssueMode:
    if isinstance(raw, bool):
        raise Unusable("of an exception it is a word", "Use all, unhandled or none.")
    return _MODES.convert(raw)


def _flag_of(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    raise Unusable("it is neither true nor false", "Use true or false.")


# ---------------------------------------------------------------------------------- conditions


def _conditions(subject: Subject, table: Mapping[Any, object]) -> Iterator[Condition]:
    for key, value in _flattened(table, ""):
        place = f"match.{key}"
        _check_key(place, key, value, subject)
        alternatives = value if isinstance(value, list | tuple) else (value,)
        if not alternatives:
            raise _Fault(place, value, Unusable("it is empty", "Give a value."))
        try:
            yield Condition(key, tuple([_test_of(key, one) for one in alternatives]))
        except Unusable as unusable:
            raise _Fault(place, value, unusable) from None


def _flattened(table: Mapping[Any, object], prefix: str) -> Iterator[tuple[str, object]]:
    """TOML reads ``gen_ai.agent.name = "x"`` without quotes as tables within tables."""
    for key, value in table.items():
        if isinstance(value, Mapping) and prefix.count(".") > MAX_DEPTH:
            raise _Fault(prefix, value, Unusable("it is nested too deeply", "Flatten it."))
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_key(place: str, key: str, value: object, subject: Subject) -> None:
    if "." in key or key in FACTS[subject]:
        return
    facts = FACTS[subject]
    others = [other for other in get_args(Subject) if key in FACTS[other]]
    if others:
        fix = f"It belongs to on = {' or '.join(map(repr, others))}; use {', '.join(facts)}."
    else:
        fix = f"Use {', '.join(facts)}; write an attribute without a dot as '{ATTRIBUTE_PREFIX}…'."
    raise _unknown(place, value, did_you_mean(key, facts) + fix)


def _test_of(key: str, raw: object) -> Test:
    if key == "handled" and not isinstance(raw, bool):
        raise Unusable("it is neither true nor false", "Use true or false.")
    if isinstance(raw, bool):
        return Test("=", raw)
    if isinstance(raw, int | float) and key != "severity":
        return Test("=", _finite(raw))
    if not isinstance(raw, str):
        raise Unusable(
            f"{show(raw)} is no text, number, true or false", "Give one of them, or a list."
        )
    operator, operand = _split(raw)
    words = {"severity": _SEVERITY_WORDS, "kind": _KINDS, "status": _STATUSES}.get(key)
    if words is not None:
        return _word_test(key, operator, words.convert(operand))
    if operator in ("<", "<=", ">", ">="):
        if not _NUMBER.fullmatch(operand):
            raise Unusable(
                f"after {operator!r} there must be a number", f"Write '= {raw}' for the text."
            )
        return Test(operator, _finite(float(operand)))
    if operator in ("=", "!=") and _NUMBER.fullmatch(operand):
        return Test(operator, _finite(float(operand)))
    if operator == "!=":
        return Test("unlike", operand)
    return Test(operator, operand)


def _split(text: str) -> tuple[Operator, str]:
    """The comparison a text starts with, and the rest; a pattern if it starts with none."""
    found = _COMPARISON.fullmatch(text.strip())
    operators: Mapping[str, Operator] = {name: name for name in get_args(Operator)}
    operator, operand = (operators[found[1]], found[2]) if found else ("like", text_of(text))
    if not operand:
        raise Unusable("nothing follows the comparison", "Give a number or a text.")
    return operator, operand


def _word_test(key: str, operator: Operator, word: str) -> Test:
    if key == "severity":
        return Test("=" if operator == "like" else operator, SEVERITIES[word])
    if operator not in ("like", "=", "!="):
        raise Unusable(f"words of {key} have no order", "Name it, or use '!='.")
    return Test("unlike" if operator == "!=" else "=", word)


def _finite(number: float) -> float:
    if math.isfinite(number):
        return number
    raise Unusable("it is not a finite number", "Give a number, for example 0.5.")


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
                f"{{http.route}}; write one without a dot as {{{ATTRIBUTE_PREFIX}…}}.",
            )
    return text


def _tags(subject: Subject, table: Mapping[Any, object]) -> Iterator[tuple[str, str]]:
    for key, value in _flattened(table, ""):
        place = f"tag.{key}"
        if not _TAG_KEY.fullmatch(key):
            raise _Fault(
                place,
                value,
                Unusable(
                    "a tag's name has other characters", "Use letters, digits and . _ : - only."
                ),
            )
        try:
            yield key, _template_of(subject, value)
        except Unusable as unusable:
            raise _Fault(place, value, unusable) from None


# -------------------------------------------------------------------------------------- faults


def _json_of(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable(
            "it is no valid JSON", 'Write [{"on": "exception", "issue": "none"}], for example.'
        ) from None


def _faulty_part(number: int, table: object, fault: _Fault) -> FaultyPart:
    name = table.get("name") if isinstance(table, Mapping) else None
    label = f"rule {number}" + (f" {show(name)}" if isinstance(name, str) else "")
    place = f"{fault.key} of {label}" if fault.key else label
    return FaultyPart(place, fault.value, fault.unusable.problem, fault.unusable.fix, number)
