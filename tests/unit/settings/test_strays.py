"""Settings of privacy below a table of something else, as TOML gives it all that follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import load
from spanbridge.settings.declaration import options_of
from spanbridge.settings.doubt import NAMEABLE
from spanbridge.settings.privacy import PRIVACY_KEYS
from spanbridge.settings.tree import Settings

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Refuse, Warn, WriteFile

ALL = {
    "SENTRY_DSN": "https://k@h.example/1",
    "SPANBRIDGE_DESTINATIONS": "sentry,otlp,console,file",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.example",
}
RULE = "[[rules]]\non = 'span'\ndrop = true\n"
ISSUE = "[[rules]]\non = 'exception'\nissue = 'all'\n"
ABOVE = "Write it above the first table; in code it is an argument of its own."
WITHHELD = "Until then nothing is sent to sentry, otlp."
STRAY = "it is a setting of privacy, which says nothing here"


def test_no_setting_of_privacy_is_forgotten() -> None:
    declared = {key for key, option in options_of(Settings).items() if option.is_privacy}

    assert set(PRIVACY_KEYS) == declared


@pytest.mark.parametrize(
    ("content", "key", "line"),
    [
        (f"{RULE}match = {{ op = 'x' }}\nDENY", "deny_keys", 5),
        (f"{RULE}[rules.match]\nop = 'x'\nDENY", "match.deny_keys", 6),
        (f"{RULE}nam = 'x'\n[rules.match]\nop = 'x'\nDENY", "match.deny_keys", 7),
        (f"{RULE}nam = 'x'\nmatch = {{ op = 'x' }}\nDENY", "deny_keys", 6),
        (f"{RULE}[rules.match]\nop = 'x'\n[rules.more]\nDENY", "more.deny_keys", 7),
        (f"{RULE}match = {{ op = 'x' }}\nmore = {{ a = [{{ DENY }}] }}", "more.a.1.deny_keys", 5),
        (f"{RULE}[rules.match.gen_ai.agent]\nname = 'x'\nDENY", "match.gen_ai.agent.deny_keys", 6),
        (f"{ISSUE}[rules.tag]\na = 'b'\nDENY", "tag.deny_keys", 6),
        (f"{ISSUE}[rules.tag.team]\na = 'b'\nDENY", "tag.team.deny_keys", 6),
        (f"{RULE}[rules.sample]\nDENY", "sample.deny_keys", 5),
    ],
)
@pytest.mark.parametrize("deny", ["deny_keys = 'salary'", "deny_keys = ['salary']"])
def test_one_in_a_rule_withholds_and_is_told(
    warn: Warn, write_file: WriteFile, content: str, key: str, line: int, deny: str
) -> None:
    settings = warn(environ={**ALL, **write_file(content.replace("DENY", deny))})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    value = deny.partition(" = ")[2]
    start = f"{key} of rule 1, rules in spanbridge.toml line {line} is {value}: {STRAY}. {ABOVE}"
    assert str(problem).startswith(start)
    assert str(problem).endswith(WITHHELD)


@pytest.mark.parametrize("key", sorted(NAMEABLE))
@pytest.mark.parametrize("table", ["match", "tag"])
def test_whichever_it_is(warn: Warn, write_file: WriteFile, table: str, key: str) -> None:
    content = f"{ISSUE}[rules.{table}]\ntype = 'b'\n{key} = 'sixteen characters'\n"

    settings = warn(environ={**ALL, **write_file(content)})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert str(problem).endswith(f": {STRAY}. {ABOVE} {WITHHELD}")
    assert ("sixteen" in str(problem)) == (key != "hash_key")


def test_in_rules_of_a_variable_and_of_an_argument_too(warn: Warn) -> None:
    rules = [{"on": "exception", "issue": "all", "tag": {"deny_keys": "salary"}}]

    for settings in (
        warn({"rules": rules}, ALL),
        warn(environ={**ALL, "SPANBRIDGE_RULES": json.dumps(rules)}),
    ):
        assert [options.name for options in settings.destinations] == ["console", "file"]


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (
            f"{RULE}[rules.match]\nop = 'x'\ndeny_key = 'salary'\n",
            "match.deny_key of rule 1, rules in spanbridge.toml line 6 is 'salary': there is no "
            "such key. Did you mean the setting 'deny_keys'? ",
        ),
        (
            f"{RULE}nam = 'x'\n[rules.match]\nop = 'x'\nhashkey = 'hunter2'\n",
            "match.hashkey of rule 1, rules in spanbridge.toml line 7 is ***: there is no "
            "such key. Did you mean the setting 'hash_key'? ",
        ),
        (
            f"{RULE}nam = 'x'\ndeny_key = 'salary'\n",
            "deny_key of rule 1, rules in spanbridge.toml line 5 is 'salary': there is no such "
            "key. Did you mean the setting 'deny_keys'? ",
        ),
        (
            f"{RULE}config = 'private.toml'\n",
            "config of rule 1, rules in spanbridge.toml line 4 is 'private.toml': there is no "
            "such key. ",
        ),
    ],
)
def test_a_mistyped_one_withholds_and_is_told(
    warn: Warn, write_file: WriteFile, content: str, start: str
) -> None:
    settings = warn(environ={**ALL, **write_file(content)})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    assert [str(problem) for problem in settings.problems] == [f"{start}{ABOVE} {WITHHELD}"]


def test_a_settings_file_under_an_unknown_key_of_a_rule_withholds(warn: Warn) -> None:
    settings = warn({"rules": [{"on": "span", "nam": "x", "include": "private.toml"}]}, ALL)

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert problem.setting == "include of rule 1, configure(rules=...)"


@pytest.mark.parametrize(
    "rule",
    [
        {"match": {"config": "x"}},
        {"match": {"conf": "x.toml", "app.config": "y"}},
        {"match": {"op": "x", "user.fields": "y"}, "nam": "x"},
        {"match": {"op": "x", "attribute.redaction": "y"}, "nam": "x"},
        {"match": {"op": "x"}, "tag": {"config": "a", "detector": "b"}, "level": "?"},
    ],
)
def test_another_fault_of_a_rule_withholds_nothing(warn: Warn, rule: dict[str, object]) -> None:
    settings = warn({"rules": [{"on": "span", "drop": True, **rule}]}, ALL)

    assert (len(settings.destinations), len(settings.problems)) == (4, 1)


def test_an_attribute_of_such_a_name_is_asked_for_in_quotes(
    refuse: Refuse, write_file: WriteFile
) -> None:
    told = refuse(environ=write_file(f"{RULE}match.gen_ai.redaction = 'x'\n"))

    assert told == (
        "match.gen_ai.redaction of rule 1, rules in spanbridge.toml line 4 is 'x': "
        f"{STRAY}. {ABOVE} If it is an attribute, write 'gen_ai.redaction' with its quotes."
    )
    file = write_file(f"{RULE}match.'gen_ai.redaction' = 'x'\ntag = {{ config = 'x' }}\nissue=true")
    assert load({}, file).problems == ()


@pytest.mark.parametrize(
    ("content", "setting"),
    [
        (
            f"[[environments.staging.rules]]{RULE.removeprefix('[[rules]]')}deny_keys = 'pin'\n",
            "deny_keys of rule 1, rules in [environments.staging] of spanbridge.toml line 4",
        ),
        (
            f"{RULE}[rules.match]\nop = 'x'\ndeny_keys = 'pin'\n"
            "[[environments.production.rules]]\non = 'exception'\nissue = 'all'\n",
            "match.deny_keys of rule 1, rules in spanbridge.toml line 6",
        ),
        (
            "[rules]\non = 'span'\n[rules.match]\nop = 'x'\ndeny_keys = 'pin'\n",
            "deny_keys in [rules.match] of spanbridge.toml line 5",
        ),
        (
            "[self_metrics]\non = true\ndeny_keys = 'pin'\n",
            "deny_keys in [self_metrics] of spanbridge.toml line 3",
        ),
        (
            "[destinations.otlp.headers]\nx = 'y'\ndeny_keys = 'pin'\n",
            "deny_keys in [destinations.otlp.headers] of spanbridge.toml line 3",
        ),
        (
            "[environments.qa.destinations.otlp.headers]\nx = 'y'\ndeny_keys = 'pin'\n",
            "deny_keys in [environments.qa.destinations.otlp.headers] of spanbridge.toml line 3",
        ),
        (
            "[destinations.file.match]\nop = 'y'\ndeny_keys = 'pin'\n",
            "deny_keys in [destinations.file.match] of spanbridge.toml line 3",
        ),
        (
            "[destinations.sentry.match.gen_ai]\nsystem = 'y'\ndeny_keys = 'pin'\n",
            "deny_keys in [destinations.sentry.match.gen_ai] of spanbridge.toml line 3",
        ),
        (
            "[destinations.sentry.wire]\non = 'y'\ndeny_keys = 'pin'\n",
            "deny_keys in [destinations.sentry.wire] of spanbridge.toml line 3",
        ),
    ],
)
def test_one_in_any_other_table_withholds_too(
    warn: Warn, write_file: WriteFile, content: str, setting: str
) -> None:
    settings = warn({"environment": "production"}, {**ALL, **write_file(content)})

    assert not any(options.is_remote for options in settings.destinations)
    [problem] = settings.problems
    assert problem.setting == setting
    assert f"{STRAY}. {ABOVE} " in str(problem)


@pytest.mark.parametrize(
    "content",
    [
        "[rules]\non = 'span'\ndeny_key = 'pin'\n",
        "[[self_metrics]]\ndeny_keys = 'pin'\n",
        "[[destinations.sentry.match]]\nop = 'y'\ndeny_keys = 'pin'\n",
        "[[destinations]]\nkind = 'sentry'\ndeny_keys = 'pin'\n",
        "rules = [[{ deny_keys = 'pin' }]]\n",
    ],
)
def test_one_in_what_is_no_table_of_that_setting_withholds_too(
    warn: Warn, write_file: WriteFile, content: str
) -> None:
    settings = warn(environ={**ALL, **write_file(content)})

    assert not any(options.is_remote for options in settings.destinations)
    assert len(settings.problems) == 1


def test_a_table_of_the_environment_that_a_variable_outdoes_withholds_too(
    write_file: WriteFile,
) -> None:
    file = write_file("[environment.production]\ndeny_keys = 'pin'\n")

    settings = load({}, {**ALL, **file, "ENVIRONMENT": "production"})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert "Did you mean 'environments.<name>'?" in str(problem)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "[environment.production]\nsample_rate = 0.5\n",
            "environment in spanbridge.toml line 1 is {'production': …}: it is a table, not text. "
            "Did you mean 'environments.<name>'?",
        ),
        (
            "[[environment]]\nsample_rate = 0.5\n",
            "environment in spanbridge.toml line 1 is [{'sample_rate': 0.5}]: it is a list, not "
            "text. Give a text.",
        ),
        (
            "[release.production]\nsample_rate = 0.5\n",
            "release in spanbridge.toml line 1 is {'production': …}: it is a table, not text. "
            "Give a text.",
        ),
    ],
)
def test_a_table_in_place_of_a_text_is_told_also_where_a_variable_outdoes_it(
    write_file: WriteFile, content: str, line: str
) -> None:
    said = {"SENTRY_ENVIRONMENT": "production", "SENTRY_RELEASE": "1.0"}

    settings = load({}, {**ALL, **write_file(content), **said})

    assert len(settings.destinations) == 4
    assert [str(problem) for problem in settings.problems] == [line]


@pytest.mark.parametrize("key", ["deny_keys", "user_fields", "user_field", "redaction"])
@pytest.mark.parametrize("table", ["environment", "enviroment", "environmets", "Environments"])
def test_privacy_in_any_misspelt_table_of_environments_withholds(
    write_file: WriteFile, table: str, key: str
) -> None:
    file = write_file(f"[{table}.production]\n{key} = 'id'\n")

    settings = load({}, {**ALL, **file, "SENTRY_ENVIRONMENT": "production"})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert str(problem).endswith(WITHHELD)


def test_in_the_conditions_of_a_destination_a_variable_is_told_where_it_belongs(
    refuse: Refuse,
) -> None:
    environ = {**ALL, "SPANBRIDGE_FILE_MATCH": '{"op": "x", "deny_keys": "pin"}'}

    assert refuse(environ=environ).endswith(f": deny_keys is 'pin': there is no such key. {ABOVE}")
