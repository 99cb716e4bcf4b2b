"""Values behind a flag or a name in a list do not leave."""

from __future__ import annotations

import json

import pytest

from spanbridge.model.failure import ExceptionRecord, StackFrame
from spanbridge.model.redaction import REDACTED
from spanbridge.privacy.failure import scrub_exception
from spanbridge.privacy.fields import Fields
from spanbridge.privacy.policy import DEFAULT_RULES, PrivacyPolicy
from tests.support.linear import assert_linear

DEFAULT = PrivacyPolicy()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("app --db-password hunter2 -v", f"app --db-password {REDACTED} -v"),
        ("app --db-password=hunter2 -v", f"app --db-password={REDACTED} -v"),
        ("app --api-key 'a b' x", f"app --api-key '{REDACTED}' x"),
        ('app --name "x --token hunter2"', f'app --name "x --token {REDACTED}"'),
        (
            "Command '['app', '--password', 'hunter2', 'x']' failed",
            f"Command '['app', '--password', '{REDACTED}', 'x']' failed",
        ),
        ('["--password","hunter2"]', f'["--password","{REDACTED}"]'),
        (json.dumps('["--password","a b"]'), f'"[\\"--password\\",\\"{REDACTED}\\"]"'),
        ("app --password --verbose", "app --password --verbose"),
        ("required: --token, --user", "required: --token, --user"),
        ("--token-count 5 --author me", "--token-count 5 --author me"),
        (f"--token {REDACTED} x", f"--token {REDACTED} x"),
        ("-----BEGIN password x", "-----BEGIN password x"),
    ],
)
def test_what_stands_behind_a_denied_flag_is_cut_out(text: str, left: str) -> None:
    assert DEFAULT.scrub_text(text) == left


@pytest.mark.parametrize("unit", ["--password ", "--a", "--", "--token '", '--token \\"', "--a,"])
def test_flags_take_linear_time(unit: str) -> None:
    assert_linear(PrivacyPolicy().scrub_text, unit)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (("app", "--db-password", "hunter2", "x"), ("app", "--db-password", REDACTED, "x")),
        (("app", "-token", "hunter2", "x"), ("app", "-token", REDACTED, "x")),
        (("app", "--db-password=hunter2"), ("app", f"--db-password={REDACTED}")),
        (("app", "--password", "--verbose"), ("app", "--password", "--verbose")),
        ((("x-api-key", "hunter2"), ("a", "b")), (("x-api-key", REDACTED), ("a", "b"))),
        (((b"authorization", b"Own x"),), ((b"authorization", REDACTED),)),
        ((("password", {"a": "hunter2"}),), (("password", REDACTED),)),
        ((("gen_ai.input.messages", "hello"),), (("gen_ai.input.messages", REDACTED),)),
        (("a", "b"), ("a", "b")),
    ],
)
def test_lists_of_arguments_and_pairs_are_treated_by_their_names(
    value: object, left: object
) -> None:
    assert DEFAULT.scrub_attributes({"a": value}) == {"a": left}


def test_the_command_line_of_the_process_stays_here() -> None:
    told = {"process.command_args": ("app", "hunter2"), "process.command_line": "app hunter2"}

    assert DEFAULT.scrub_attributes(told) == {}


def test_lists_of_arguments_in_local_variables_are_treated_alike() -> None:
    fields = Fields(DEFAULT_RULES, keeps_content=False, found=[])
    frame = StackFrame("f", vars={"argv": ["'app'", "'--password'", "'hunter2'", "'x'"]})

    [scrubbed] = scrub_exception(
        ExceptionRecord("E", "v", frames=(frame,)), fields, keeps_locals=True
    ).frames

    assert scrubbed.vars == {"argv": ["'app'", "'--password'", REDACTED, "'x'"]}
