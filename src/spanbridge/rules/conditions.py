"""Conditions become functions: made once, called for everything a rule may apply to."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spanbridge.model.rule import ATTRIBUTE_PREFIX, Condition, Operator, Test

if TYPE_CHECKING:
    from spanbridge.rules.facts import Facts

Read: TypeAlias = "Callable[[Any], Any]"  # facts in, AttributeValue out; by name, so untyped
Predicate: TypeAlias = "Callable[[Facts], bool]"
Meets: TypeAlias = Callable[[object], bool]

_COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_NEGATIVE: Final[frozenset[Operator]] = frozenset({"unlike", "!="})


def reader_of(key: str) -> Read:
    """Reads a fact or an attribute."""
    if "." not in key:
        return operator.attrgetter(key)
    return operator.methodcaller("attribute", key.removeprefix(ATTRIBUTE_PREFIX))


def compile_condition(condition: Condition) -> Predicate:
    """Whether ``condition`` holds. What is not known meets no positive test."""
    read, meets = reader_of(condition.key), compile_tests(condition.tests)
    return lambda facts: meets(read(facts))


def compile_tests(tests: Sequence[Test]) -> Meets:
    """Whether a value, or one of several, meets ``tests``."""
    wanted = tuple([_matcher(test) for test in tests if test.operator not in _NEGATIVE])
    refused = tuple([_matcher(test) for test in tests if test.operator in _NEGATIVE])

    def meets(value: object) -> bool:
        values = value if isinstance(value, tuple | list) else () if value is None else (value,)
        if wanted and not any(matches(value) for value in values for matches in wanted):
            return False
        return not any(matches(value) for value in values for matches in refused)

    if refused or len(wanted) > 1:
        return meets
    [only] = wanted

    def meets_the_only(value: object) -> bool:
        return (
            meets(value) if isinstance(value, tuple | list) else value is not None and only(value)
        )

    return meets_the_only


def _matcher(test: Test) -> Meets:
    operand = test.operand
    if test.operator in _COMPARISONS:
        return partial(_compares, _COMPARISONS[test.operator], operand)
    if test.operator in ("like", "unlike") and _has_wildcard(operand):
        # Brackets mean nothing here: they stand in routes and in names of types.
        match = re.compile(fnmatch.translate(str(operand).replace("[", "[[]"))).match
        return lambda value: match(_text_of(value)) is not None
    if isinstance(operand, str):
        return lambda value: _text_of(value) == operand
    return lambda value: isinstance(value, bool) is isinstance(operand, bool) and value == operand


def _has_wildcard(operand: object) -> bool:
    return isinstance(operand, str) and ("*" in operand or "?" in operand)


def _compares(compare: Callable[[Any, Any], bool], operand: object, value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and compare(value, operand)


def _text_of(value: object) -> str:
    if type(value) is str:
        return value
    try:
        return str(value).lower() if type(value) is bool else str(value)
    except Exception:  # of a number with thousands of digits, for example
        return ""
