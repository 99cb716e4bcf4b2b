"""What libraries tell of a user's values in their errors is cut out, and the rest stays."""

from __future__ import annotations

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.privacy.text import scrub_text
from spanbridge.privacy.texts import MAX_KNOWN_CHARS
from tests.support.linear import assert_linear

KEY = 'violates unique constraint "users_key"\nDETAIL:  Key (api_token)=({}) already exists.'
KEYS = "Key (lower(email::text), password)=({}) {}"
ROW = "violates not-null constraint\nDETAIL:  Failing row contains ({}).{}"
ENTRY = "(1062, \"Duplicate entry '{}' for key 'users.password'\")"
INPUT = (
    "password\n  Input should be valid [type=string_type, input_value={}, input_type={}]\n    For"
)
LEFT = "[REDACTED]"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (KEY.format("hunter2"), KEY.format(LEFT)),
        (
            KEYS.format("bob, hunter2", 'is not present in table "users".'),
            KEYS.format(LEFT, 'is not present in table "users".'),
        ),
        (
            KEYS.format("(bob), is hunter2", 'is still referenced from table "a".\n[SQL: x]'),
            KEYS.format(LEFT, 'is still referenced from table "a".\n[SQL: x]'),
        ),
        (
            KEYS.format("hunter2", "conflicts with existing key (room)=(hunter2)."),
            KEYS.format(LEFT, f"conflicts with existing key (room)=({LEFT}"),
        ),
        (KEYS.format("hunter2", "is duplicated."), KEYS.format(LEFT, "is duplicated.")),
        ("Key (email)=(bob\nhunter2", f"Key (email)=({LEFT}"),
        (
            ROW.format("1, bob, (see). hunter2,\nnull", "\n[SQL: x]"),
            ROW.format(LEFT, "\n[SQL: x]"),
        ),
        (ROW.format("1, hunter2", ""), ROW.format(LEFT, "")),
        ("Failing row contains (1, hunt...", f"Failing row contains ({LEFT}"),
        ('{"a": "Failing row contains (hunter2)."}', f'{{"a": "Failing row contains ({LEFT})."}}'),
        (
            "Partition key of the failing row contains (name) = (hunter2).",
            f"Partition key of the failing row contains ({LEFT}).",
        ),
        (ENTRY.format("hunter2"), ENTRY.format(LEFT)),
        (ENTRY.format("it's hunter2"), ENTRY.format(LEFT)),
        (repr(ENTRY.format("hunter2")), repr(ENTRY.format(LEFT))),
        ("Duplicate entry 'hunter2", f"Duplicate entry '{LEFT}"),
        (INPUT.format("'hunter2'", "str"), INPUT.format(LEFT, "str")),
        (INPUT.format('"it\'s hun...er2"', "str"), INPUT.format(LEFT, "str")),
        (INPUT.format("{'a': ['hunt...nter2']}", "dict"), INPUT.format(LEFT, "dict")),
        (INPUT.format("Login(\n  hunter2, a=1)", "Login"), INPUT.format(LEFT, "Login")),
        ("[type=missing, input_value='hun", f"[type=missing, input_value={LEFT}"),
        ("Duplicate entry in line 7", "Duplicate entry in line 7"),
        ("a key (of a door) is =", "a key (of a door) is ="),
        ("WHERE (a, b)=(1, 2)", "WHERE (a, b)=(1, 2)"),
        ("an input_value=7 of it", "an input_value=7 of it"),
    ],
)
def test_values_in_the_errors_of_libraries_are_cut_out(text: str, scrubbed: str) -> None:
    assert scrub_text(text) == scrubbed
    assert scrub_text(scrubbed) == scrubbed


def test_what_pydantic_says_is_read_without_the_input() -> None:
    class Login(pydantic.BaseModel):
        password: str = pydantic.Field(max_length=3)
        pin: int

    with pytest.raises(pydantic.ValidationError) as failure:
        Login.model_validate({"password": "hunter2" * 20, "pin": ["hunter2"]})

    scrubbed = scrub_text(str(failure.value))
    assert "hunter2" not in scrubbed
    assert "String should have at most 3 characters [type=string_too_long, input_" in scrubbed
    assert scrubbed.count(f"input_value={LEFT}, input_type=") == 2


@pytest.mark.parametrize("text", [KEY, ROW, ENTRY, INPUT, KEYS])
def test_they_are_cut_out_of_long_texts_too(text: str) -> None:
    text = "nothing here " * MAX_KNOWN_CHARS + text.format("hunter2", "str")

    assert "hunter2" not in PrivacyPolicy().scrub_text(text)


UNITS = [
    "Key (", "key (a", ")=(", "Key (a)=(", "Key (a)=(b) is ", "Failing row contains (", ").",
    ").\\",
    "Duplicate entry ", "Duplicate entry '", "Duplicate entry \\", "\\", "' for key ", "\\'",
    ", input_value=", ", input_value='", ", input_type=", "\n", LEFT,
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "start", ["", "Key (", "Key (a)=(", "Duplicate entry '", "failing row contains ("]
)
def test_it_takes_linear_time(start: str, unit: str) -> None:
    assert_linear(lambda text: scrub_text(start + text), unit)


@given(st.lists(st.sampled_from(UNITS), max_size=12).map("".join))
def test_cutting_twice_changes_nothing_more(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once
