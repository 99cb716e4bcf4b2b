from __future__ import annotations

import pytest

from spanbridge.model.rule import Condition, Operator, Test
from spanbridge.model.span import AttributeValue
from spanbridge.rules.unreadable import compile_unread


class Facts:
    """One attribute, and a span's name that is known."""

    span = "order"

    def __init__(self, value: AttributeValue) -> None:
        self._value = value

    def attribute(self, name: str) -> AttributeValue:
        return self._value if name in ("tenant.id", "plan") else None


def asks(key: str, *tests: tuple[Operator, str]) -> Condition:
    return Condition(key, tuple([Test(operator, operand) for operator, operand in tests]))


@pytest.mark.parametrize(
    "value",
    [
        "[REDACTED]",
        "[EMAIL_REDACTED]",
        "[CREDIT_CARD_REDACTED]",
        "[HASH:0123456789ab]",
        "[EMAIL:0123456789ab]",
        "acme…",
        "…",
        "to [EMAIL_REDACTED]",
        ("other", "[REDACTED]"),
    ],
)
def test_what_stands_in_place_of_a_value_is_no_value(value: AttributeValue) -> None:
    assert compile_unread([asks("tenant.id", ("like", "acme*"))])(Facts(value)) == ["tenant.id"]
    assert compile_unread([asks("tenant.id", ("!=", "acme"))])(Facts(value)) == ["tenant.id"]
    assert compile_unread([asks("attribute.plan", ("=", "a"))])(Facts(value)) == ["plan"]


@pytest.mark.parametrize(
    ("value", "holds"),
    [("acme", True), ("other", False), ("[redacted]", False), ("acme waits…", False), (7, False)],
)
def test_other_values_are_read(value: AttributeValue, holds: bool) -> None:
    found = compile_unread([asks("tenant.id", ("=", "acme"))])(Facts(value))
    assert found == ([] if holds else None)


def test_a_condition_that_does_not_hold_leaves_nothing_open() -> None:
    conditions = [asks("tenant.id", ("=", "acme")), asks("span", ("=", "pay"))]
    assert compile_unread(conditions)(Facts("[REDACTED]")) is None
    assert compile_unread(conditions[:1])(Facts(None)) is None


def test_a_pattern_that_holds_whatever_was_there_leaves_nothing_open() -> None:
    assert compile_unread([asks("tenant.id", ("like", "*"))])(Facts("[REDACTED]")) == []
    told = Facts("cannot send to [EMAIL_REDACTED]")
    assert compile_unread([asks("tenant.id", ("like", "cannot send *"))])(told) == []
    either = asks("tenant.id", ("=", "acme"), ("=", "other"))
    assert compile_unread([either])(Facts(("acme", "[REDACTED]"))) == []
