"""What libraries tell of a user's values in their errors is cut out, and the rest stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Generic, TypeVar

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.privacy.text import scrub_text
from spanbridge.privacy.texts import MAX_KNOWN_CHARS
from tests.support.linear import assert_linear

T = TypeVar("T")
KEY = 'violates unique constraint "users_key"\nDETAIL:  Key (api_token)=({}) already exists.'
KEYS = "Key (lower(email::text), password)=({}) {}"
ROW = "violates not-null constraint\nDETAIL:  Failing row contains ({}).{}"
ENTRY = "(1062, \"Duplicate entry '{}' for key 'users.password'\")"
INPUT = (
    "password\n  Input should be valid [type=string_type, input_value={}, input_type={}]\n    For"
)
LEFT = "[REDACTED]"
ORDINARY = [
    "UPDATE step SET name = $1, input_value=$2 WHERE id = $3 RETURNING id",
    "calc(a=1, input_value=3, other=5) took 3s; retrying; ValueError: disk full",
]


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
            KEYS.format(LEFT, f"conflicts with existing key (room)=({LEFT})."),
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
        *((text, text) for text in ORDINARY),
        (
            "Duplicate entry 'worker' in supervisord.conf line 3, refusing to start; it's full",
            f"Duplicate entry '{LEFT}' in supervisord.conf line 3, refusing to start; it's full",
        ),
        (
            "no row with key (tenant, id)=(7, (8)) in shard 3;\nlast error was timeout (3 s)",
            f"no row with key (tenant, id)=({LEFT}) in shard 3;\nlast error was timeout (3 s)",
        ),
        (
            "no row with key (id)=(7) in shard 3\n" + KEY.format("hunter2"),
            f"no row with key (id)=({LEFT}) in shard 3\n" + KEY.format(LEFT),
        ),
        (
            ROW.format("1, hunter2", " [SQL: INSERT (1). 2] (Background is at: x)"),
            ROW.format(LEFT, " [SQL: INSERT (1). 2] (Background is at: x)"),
        ),
        (
            ROW.format("1, x). hunter2", " [SQL: SELECT ('b).')]\nDone (1).\n"),
            ROW.format(LEFT, " [SQL: SELECT ('b).')]\nDone (1).\n"),
        ),
        (ROW.format("1, hunter2", " CONTEXT: x"), ROW.format(LEFT, " CONTEXT: x")),
        (
            json.dumps([ROW.format("1, hunter2", "\n\nin f x\n")]),
            json.dumps([ROW.format(LEFT, "\n\nin f x\n")]),
        ),
        ("Duplicate entry 'hunter2' for key 2", f"Duplicate entry '{LEFT}' for key 2"),
    ],
)
def test_values_in_the_errors_of_libraries_are_cut_out(text: str, scrubbed: str) -> None:
    assert scrub_text(text) == scrubbed
    assert scrub_text(scrubbed) == scrubbed


IN_VALUES = [
    (INPUT, "'a, input_type=hunter2'"),
    (INPUT, "'a, input_type=str] hunter2'"),
    (INPUT, "'a, input_type=str]\\n  hunter2'"),
    (INPUT, "'a, input_type=str] hunter2 [type=a, input_value=b'"),
    (INPUT, "'[type=a, input_value=b, input_type=str] hunter2'"),
    (KEY, "bob) already exists, hunter2"),
    (KEY, "bob) already exists. hunter2"),
    (KEY, "bob) is duplicated. hunter2"),
    (KEY, "bob) conflicts with existing key (hunter2"),
    (KEY, "bob) conflicts with existing key (a)=(b). hunter2"),
    (KEY, "bob) hunter2 Key (b)=(c"),
    (KEY, "bob)\nhunter2"),
    (KEY, "Key (a)=(b hunter2"),
    ("Key (a)=(b) conflicts with existing key (a)=({}).", "b) hunter2"),
    ("Key (a)=(b) conflicts with existing key (a)=({}).", "b). hunter2"),
    ("Key (a)=({}) conflicts with existing key (a)=(b).", "b) conflicts with key (hunter2"),
    ('Key (a)=({}) is not present in table "users".', 'b) is not present in table "hunter2'),
    (ROW.removesuffix("{}"), "1, x).', hunter2"),
    (ROW.removesuffix("{}"), '1, x).", hunter2'),
    (ROW.removesuffix("{}"), "1, x). hunter2"),
    (ENTRY, "x' for key hunter2"),
    (ENTRY, "x' for key 'y' hunter2"),
    (ENTRY, "x' for key 12 hunter2"),
    (ENTRY, "x' hunter2 Duplicate entry 'y"),
    (ENTRY, "x'\nhunter2"),
    ("Duplicate entry '{}' for key 'use", "x' hunter2"),
]


@pytest.mark.parametrize(("text", "value"), IN_VALUES)
@pytest.mark.parametrize("written", [str, repr, json.dumps])
def test_a_value_may_hold_what_stands_behind_it(
    text: str, value: str, written: Callable[[str], str]
) -> None:
    scrubbed = scrub_text(written(text.format(value, "str")))

    assert "hunter2" not in scrubbed
    assert LEFT in scrubbed
    assert scrub_text(scrubbed) == scrubbed


@pytest.mark.parametrize("written", [str, repr, json.dumps])
@pytest.mark.parametrize("text", [KEY, ENTRY, INPUT])
def test_each_error_is_read(text: str, written: Callable[[str], str]) -> None:
    def twice(value: str) -> str:
        return written("\n".join([*[text.format(value, "str")] * 2, "see (docs)."]))

    assert scrub_text(twice("hunter2")) == twice(LEFT)


def test_what_pydantic_says_is_read_without_the_input() -> None:
    class Login(pydantic.BaseModel, Generic[T]):
        password: T

    class Sign(pydantic.BaseModel):
        password: str = pydantic.Field(max_length=3)
        pin: int
        login: int

    login = Login[dict[str, str]](password={"a": "hunter2"})
    with pytest.raises(pydantic.ValidationError) as failure:
        Sign.model_validate({"password": "hunter2" * 20, "pin": ["hunter2"], "login": login})

    scrubbed = scrub_text(str(failure.value))
    assert "hunter2" not in scrubbed
    assert "String should have at most 3 characters [type=string_too_long, input_" in scrubbed
    assert scrubbed.count(f"input_value={LEFT}, input_type=") == 3
    assert scrubbed.count("Input should be a valid integer [type=int_type, input_") == 2
    assert scrub_text(json.dumps(str(failure.value))) == json.dumps(scrubbed)


@pytest.mark.parametrize("text", [KEY, ROW, ENTRY, INPUT, KEYS])
def test_they_are_cut_out_of_long_texts_too(text: str) -> None:
    text = "nothing here " * MAX_KNOWN_CHARS + text.format("hunter2", "str")

    assert "hunter2" not in PrivacyPolicy().scrub_text(text)


UNITS = [
    "Key (", "key (a", ")=(", "Key (a)=(", "Key (a)=(b) is ", "Failing row contains (", ").",
    ").\\",
    "Duplicate entry ", "Duplicate entry '", "Duplicate entry \\", "\\", "' for key ", "\\'",
    "[type=", "[type=a, input_value='", ", input_type=", ", input_type=a]", ", input_type=a[",
    "[type=a, input_value=b, input_type=c]\\n", "key (a)=(b) ", "key (a)=(b)\\n", "\\n",
    "' for key 'a'", "Duplicate entry 'a' ", "Duplicate entry 'a'\\n",
    "Key (a)=(b) already exists.", "conflicts with key (a)=(", "). ", ").'", "[SQL: ",
    "(", "()", "'", "\n", LEFT,
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "start",
    [
        "",
        "Key (",
        "Key (a)=(",
        "Duplicate entry '",
        "failing row contains (",
        "[type=a, input_value=",
    ],
)
def test_it_takes_linear_time(start: str, unit: str) -> None:
    assert_linear(lambda text: scrub_text(start + text), unit)


@given(st.lists(st.sampled_from(UNITS), max_size=12).map("".join))
def test_cutting_twice_changes_nothing_more(text: str) -> None:
    policy = PrivacyPolicy()  # it looks through a text until nothing is found
    once = policy.scrub_text(text)
    assert policy.scrub_text(once) == once
