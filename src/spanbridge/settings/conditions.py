"""Reads conditions: what a rule, or a destination, asks of a span, an event, a log or a trace."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from spanbridge.model.log import SEVERITY_ERROR, SEVERITY_FATAL, SEVERITY_INFO, SEVERITY_WARN
from spanbridge.model.rule import ATTRIBUTE_PREFIX, FACTS, Condition, Operator, Subject, Test
from spanbridge.model.span import SpanKind, SpanStatus
from spanbridge.settings.doubt import NAMEABLE, OUTSIDE, is_doubtful, privacy_key, safe_to_show
from spanbridge.settings.masking import as_in_a_file, show, show_name
from spanbridge.settings.privacy import PRIVACY_KEYS
from spanbridge.settings.reading import Reader, Unusable, did_you_mean, one_of, text_of

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

_KINDS: Final[Reader[SpanKind]] = one_of(*get_args(SpanKind))
_STATUSES: Final[Reader[SpanStatus]] = one_of(*get_args(SpanStatus))
_SEVERITY_WORDS: Final = one_of(*SEVERITIES)
_FLAGS: Final = ("handled", "local_root")
_COMPARISON: Final = re.compile(r"(<=|>=|!=|<|>|=)\s*(.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class Fault(Exception):
    """One key of a rule cannot be used.

    Args:
        key: With the tables it stands in, as a dotted path.
        value: What stands there.
        unusable: What is wrong with it.
        is_privacy: Whether it may have said what must not leave the process.
    """

    def __init__(
        self, key: str, value: object, unusable: Unusable, *, is_privacy: bool = False
    ) -> None:
        super().__init__(key)
        self.key = key
        self.value = value
        self.unusable = unusable
        self.is_privacy = is_privacy


def unknown_key(key: str, value: object, fix: str) -> Fault:
    """There is no such key. One like a privacy setting is taken for that, in the wrong place."""
    table, _, last = key.rpartition(".")
    meant = privacy_key(last, NAMEABLE if table else PRIVACY_KEYS)
    if meant is not None:
        value = safe_to_show(meant, value)
        fix = f"{'' if meant == last else f'Did you mean the setting {meant!r}? '}{OUTSIDE}"
    # Of a condition's value, an attribute may well end like a file's name.
    is_privacy = meant is not None or (not table and is_doubtful(value))
    return Fault(key, value, Unusable("there is no such key", fix), is_privacy=is_privacy)


def table_of(raw: object) -> Mapping[Any, object]:
    """A table."""
    if isinstance(raw, Mapping):
        return raw
    raise Unusable("it is not a table", "Write { key = value }.")


def json_of(text: str, example: str) -> object:
    """What JSON text holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable("it is no valid JSON", f"Write {example}, for example.") from None


def conditions(subject: Subject, table: Mapping[Any, object]) -> Iterator[Condition]:
    """The conditions that a ``match`` table holds. Raises ``Fault``."""
    for key, value in flattened(table):
        place = f"match.{key}"
        _check_key(place, key, value, subject)
        alternatives = value if isinstance(value, list | tuple) else (value,)
        if not alternatives:
            raise Fault(place, value, Unusable("it is empty", "Give a value."))
        try:
            yield Condition(key, tuple([_test_of(key, one) for one in alternatives]))
        except Unusable as unusable:
            raise Fault(place, value, unusable) from None


def flattened(table: Mapping[Any, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The keys with their dots: TOML reads those of ``gen_ai.agent.name = "x"`` as tables."""
    for key, value in table.items():
        if isinstance(value, Mapping) and prefix.count(".") > MAX_DEPTH:
            raise Fault(prefix, value, Unusable("it is nested too deeply", "Flatten it."))
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _check_key(place: str, key: str, value: object, subject: Subject) -> None:
    if "." in key or key in FACTS[subject]:
        return
    facts = FACTS[subject]
    others = [other for other in get_args(Subject) if key in FACTS[other]]
    hint = did_you_mean(key, facts)
    if others:
        hint += f"It belongs to on = {' or '.join(map(repr, others))}. "
    attribute = f"'{ATTRIBUTE_PREFIX}{show_name(key)}'"
    fix = f"{hint}Write an attribute of that name as {attribute}, or use {', '.join(facts)}."
    raise unknown_key(place, value, fix)


def _test_of(key: str, raw: object) -> Test:
    if key in _FLAGS and not isinstance(raw, bool):
        raise Unusable("it is neither true nor false", "Use true or false.")
    if isinstance(raw, bool):
        return Test("=", raw)
    if isinstance(raw, int | float) and key != "severity":
        return Test("=", finite(raw))
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
        return Test(operator, finite(float(operand)))
    if operator in ("=", "!=") and _NUMBER.fullmatch(operand):
        return Test(operator, finite(float(operand)))
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


def finite(number: float) -> float:
    """The number, if it is one to compare with."""
    if math.isfinite(number):
        return number
    raise Unusable("it is not a finite number", "Give a number, for example 0.5.")


def _match_of(raw: object) -> tuple[Condition, ...]:
    table = json_of(raw, '{"scope": "*genai*"}') if isinstance(raw, str) else raw
    try:
        found = tuple(conditions("span", table_of(table)))
    except Fault as fault:
        shown = f"{fault.key.removeprefix('match.')} is {show(as_in_a_file(fault.value))}: "
        raise Unusable(f"{shown}{fault.unusable.problem}", fault.unusable.fix) from None
    if not found:
        raise Unusable("it is empty", "Say what a span has to be, or leave the setting out.")
    return found


MATCH: Final = Reader("[conditions](../guides/rules.md); in a variable as JSON", _match_of)
"""What a span has to be."""
