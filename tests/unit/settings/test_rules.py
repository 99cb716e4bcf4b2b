"""Rules as people write them: read whole, or refused in one line that says where and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanbridge.errors import ConfigurationError
from spanbridge.model.log import LogRecord
from spanbridge.model.rule import FACTS, Circumstances, Condition, Rule, Subject, Test
from spanbridge.model.span import SpanEvent
from spanbridge.privacy.keys import is_denied
from spanbridge.rules.engine import Rules
from spanbridge.rules.facts import ExceptionFacts
from spanbridge.sentry.convert.op import op_of
from spanbridge.settings import load
from spanbridge.settings.builtin_rules import BUILTIN_RULES, DEFAULT_BUILTIN_RULES
from spanbridge.settings.rules import rule_of
from tests.support.spans import record

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Refuse, Warn, WriteFile

NOISE = {"on": "exception", "match": {"type": "TimeoutError"}, "issue": "none"}


def test_a_rule_is_read_whole() -> None:
    assert rule_of(
        {
            "name": "slow crawler",
            "on": "span",
            "match": {
                "span": "crawl *",
                "kind": ["client", "internal"],
                "duration_s": "> 2.5",
                "gen_ai.agent.name": "!= test*",
                "retry.count": 3,
                "attribute.team": "= *",
            },
            "issue": True,
            "level": "Warning",
            "fingerprint": ["{{ default }}", "{gen_ai.agent.name}"],
            "title": "Crawling is slow: {span}",
            "tag": {"team": "search"},
        }
    ) == Rule(
        name="slow crawler",
        on="span",
        match=(
            Condition("span", (Test("like", "crawl *"),)),
            Condition("kind", (Test("=", "client"), Test("=", "internal"))),
            Condition("duration_s", (Test(">", 2.5),)),
            Condition("gen_ai.agent.name", (Test("unlike", "test*"),)),
            Condition("retry.count", (Test("=", 3),)),
            Condition("attribute.team", (Test("=", "*"),)),
        ),
        is_issue=True,
        level="warning",
        fingerprint=("{{ default }}", "{gen_ai.agent.name}"),
        title="Crawling is slow: {span}",
        tags=(("team", "search"),),
    )


def test_toml_needs_no_quotes_around_an_attribute(write_file: WriteFile) -> None:
    environ = write_file(
        "[[rules]]\n"
        'on = "exception"\n'
        'match.gen_ai.agent.name = "crawler*"\n'
        "match.retry.count = '< 3'\n"
        'issue = "none"\n'
    )

    [rule] = load({}, environ).rules

    assert [condition.key for condition in rule.match] == ["gen_ai.agent.name", "retry.count"]


def test_an_environment_may_have_rules_of_its_own(write_file: WriteFile) -> None:
    environ = write_file(
        '[[rules]]\non = "exception"\nissue = "all"\n'
        '[[environments.staging.rules]]\non = "exception"\nissue = "none"\n'
    )

    assert [r.mode for r in load({"environment": "staging"}, environ).rules] == ["none"]
    assert [r.mode for r in load({"environment": "test"}, environ).rules] == ["all"]


def test_rules_in_a_variable_are_json() -> None:
    assert load({}, {"SPANBRIDGE_RULES": json.dumps([NOISE])}).rules == (rule_of(NOISE, 1),)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"when": 1}, "when of rule 1, configure(rules=...) is 1: there is no such key. "
         "Use name, on, match, issue, level, fingerprint, title, tag, to, drop, sample, keep."),
        ({"fingerprnt": "x"}, "fingerprnt of rule 1, configure(rules=...) is 'x': there is no "
         "such key. Did you mean 'fingerprint'? Use name, on, match, issue, level, fingerprint, "
         "title, tag, to, drop, sample, keep."),
        ({"on": "exeption"}, "on of rule 1, configure(rules=...) is 'exeption': it is not a known "
         "choice. Did you mean 'exception'? Use exception, span, event, log, trace."),
        ({"name": "noise", "match": {"typ": "X"}}, "match.typ of rule 1 'noise', "
         "configure(rules=...) is 'X': there is no such key. Did you mean 'type'? Write an "
         "attribute of that name as 'attribute.typ', or use type, chain, message, span, root, "
         "kind, logger, handled."),
        ({"match": {"tenant": "acme"}}, "match.tenant of rule 1, configure(rules=...) is 'acme': "
         "there is no such key. Write an attribute of that name as 'attribute.tenant', or use "
         "type, chain, message, span, root, kind, logger, handled."),
        ({"match": {"severity": "error"}}, "match.severity of rule 1, configure(rules=...) is "
         "'error': there is no such key. It belongs to on = 'log'. Write an attribute of that name "
         "as 'attribute.severity', or use type, chain, message, span, root, kind, logger, "
         "handled."),
        ({"match": {"kind": "sever"}}, "match.kind of rule 1, configure(rules=...) is 'sever': it "
         "is not a known choice. Did you mean 'server'? Use internal, server, client, producer, "
         "consumer."),
        ({"match": {"retry.count": "< three"}}, "match.retry.count of rule 1, "
         "configure(rules=...) is '< three': after '<' there must be a number. "
         "Write '= < three' for the text."),
        ({"match": {"retry.count": []}}, "match.retry.count of rule 1, configure(rules=...) is "
         "[]: it is empty. Give a value."),
        ({"match": {"handled": "yes"}}, "match.handled of rule 1, configure(rules=...) is 'yes': "
         "it is neither true nor false. Use true or false."),
        ({"issue": True}, "issue of rule 1, configure(rules=...) is True: of an exception it is a "
         "word. Use all, unhandled or none."),
        ({"issue": "unhandeld"}, "issue of rule 1, configure(rules=...) is 'unhandeld': it is not "
         "a known choice. Did you mean 'unhandled'? Use unhandled, all, none."),
        ({"issue": "all", "match": {"handled": True}}, "issue of rule 1, configure(rules=...) is "
         "'all': it is reported at first sight, when nobody knows whether it will be handled. "
         "Use unhandled or none, or remove handled from match."),
        ({"level": "critical"}, "level of rule 1, configure(rules=...) is 'critical': it is not a "
         "known choice. Use fatal, error, warning, info, debug."),
        ({"title": "x"}, "title of rule 1, configure(rules=...) is 'x': an exception's title is "
         "its type and message. Use it with 'span' or 'event' or 'log', or remove it."),
        ({"fingerprint": ["{agent}"]}, "fingerprint of rule 1, configure(rules=...) is "
         "['{agent}']: nothing is known as 'agent'. Use type, chain, message, span, root, kind, "
         "logger, handled, or an attribute such as {http.route}; write one of that name as "
         "{attribute.agent}."),
        ({"tag": {"a b": "x"}}, "tag.a b of rule 1, configure(rules=...) is 'x': a tag's name has "
         "other characters. Use letters, digits and . _ : - only."),
        ({"on": None}, "on of rule 1, configure(rules=...) is not set: it is missing. Say what it "
         "is about: exception, span, event, log, trace."),
        ({"issue": None}, "rule 1, configure(rules=...) is 'on exception': it has no effect. "
         "Give it issue or level or fingerprint or tag or keep."),
        ({"on": "span", "match": {}, "issue": True}, "match of rule 1, configure(rules=...) is "
         "not set: it is missing. Without it every span would be an issue."),
        ({"on": "span", "match": {}, "issue": None, "drop": True}, "match of rule 1, "
         "configure(rules=...) is not set: it is missing. Without it every span would be left "
         "out."),
        ({"drop": True}, "drop of rule 1, configure(rules=...) is True: it says nothing about on = "
         "'exception'. Use it with 'span' or 'event', or remove it."),
        ({"on": "span", "match": {}, "issue": None, "sample": 0.5}, "sample of rule 1, "
         "configure(rules=...) is 0.5: spans are kept or left out with their whole trace. Use it "
         "with 'trace', or remove it."),
        ({"on": "trace", "match": {}, "issue": None, "sample": 2}, "sample of rule 1, "
         "configure(rules=...) is 2: it does not lie between 0 and 1. Use 1 to keep every trace, "
         "0.1 for 10 %."),
        ({"on": "trace", "match": {"span": "x"}, "issue": None, "sample": 1}, "match.span of rule "
         "1, configure(rules=...) is 'x': there is no such key. It belongs to on = 'exception' or "
         "'span' or 'event'. Write an attribute of that name as 'attribute.span', or use root, "
         "op, kind."),
        ({"on": "event", "issue": None, "keep": True, "match": {"event": "exception"}},
         "match.event of rule 1, configure(rules=...) is {'event': 'exception'}: exceptions are a "
         "subject of their own. Use on = 'exception' with keep; an exception cannot be dropped "
         "from its span."),
        ({"to": ["sentry"]}, "to of rule 1, configure(rules=...) is ['sentry']: an issue is the "
         "same wherever it goes. Remove it, or give the rule drop or keep."),
        ({"keep": True, "match": {"handled": True}}, "match.handled of rule 1, "
         "configure(rules=...) is {'handled': True}: nobody knows it when the trace is kept or "
         "left out. Use type, message, span, kind or attributes."),
        ({"keep": True, "to": "sentri"}, "to of rule 1, configure(rules=...) is 'sentri': there is "
         "no such destination. Did you mean 'sentry'? Use sentry, otlp, console, file, "
         "spotlight, prometheus."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    refuse: Refuse, change: dict[str, object], line: str
) -> None:
    assert refuse({"rules": [{**NOISE, **change}]}) == line


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"on": "span"}, "configure(rules=...) is {'on': 'span'}: it is not a list of tables. "
         "Write [[rules]] tables, or a list of dictionaries."),
        ("[", "configure(rules=...) is '[': it is no valid JSON. "
         'Write [{"on": "exception", "issue": "none"}], for example.'),
        (["x"], "rule 1, configure(rules=...) is 'x': it is not a table. Write key = value lines."),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(refuse: Refuse, raw: object, line: str) -> None:
    assert refuse({"rules": raw}) == line


def test_an_error_names_the_line_of_the_file(refuse: Refuse, write_file: WriteFile) -> None:
    environ = write_file(
        '[[rules]]\non = "exception"\nissue = "none"\n\n'
        '[[rules]]\nname = "second"\non = "exception"\nlevel = "warn"\n'
    )

    assert refuse(environ=environ) == (
        "level of rule 2 'second', rules in spanbridge.toml line 8 is 'warn': it is not a "
        "known choice. Did you mean 'warning'? Use fatal, error, warning, info, debug."
    )


def test_an_error_in_an_environments_rules_names_its_line(
    refuse: Refuse, write_file: WriteFile
) -> None:
    environ = write_file(
        '[[rules]]\non = "x"\n[[environments.staging.rules]]\non = "log"\nissue = 1\n'
    )

    assert refuse({"environment": "staging"}, environ) == (
        "issue of rule 1, rules in [environments.staging] of spanbridge.toml line 5 is 1: "
        "it is neither true nor false. Use true or false."
    )


YAML = """\
issues: all
rules:
  - on: exception
    issue: none
  - name: second
    on: span
    match:
      kind: server
      gen_ai.agent.name: x
    tag: {team: ops}
"""


@pytest.mark.parametrize(
    ("written", "instead", "place"),
    [
        ("issue: none", "issue: maybe", "issue of rule 1, rules in s.yaml line 4 is 'maybe': "),
        ("    issue: none\n", "", "rule 1, rules in s.yaml line 3 is 'on exception': "),
        ("on: span", "when: span", "when of rule 2 'second', rules in s.yaml line 6 is 'span': "),
        ("    on: span\n", "", "on of rule 2 'second', rules in s.yaml line 5 is not set: "),
        (
            "kind: server",
            "kind: servant",
            "match.kind of rule 2 'second', rules in s.yaml line 8 is 'servant': ",
        ),
        (
            "name: x",
            "name: []",
            "match.gen_ai.agent.name of rule 2 'second', rules in s.yaml line 9 is []: ",
        ),
        (
            "{team: ops}",
            "{a b: x}",
            "tag.a b of rule 2 'second', rules in s.yaml line 10 is 'x': ",
        ),
        (
            "{team: ops}",
            "{team: ops}\n    drop: true\n    to: nowhere",
            "to of rule 2 'second', rules in s.yaml line 12 is 'nowhere': ",
        ),
        (
            "on: exception\n    issue: none",
            "no table",
            "rule 1, rules in s.yaml line 3 is 'no tabl",
        ),
    ],
)
def test_an_error_names_the_line_in_yaml(
    refuse: Refuse, write_file: WriteFile, written: str, instead: str, place: str
) -> None:
    assert load({}, write_file(YAML, "s.yaml")).problems == ()
    line = refuse(environ=write_file(YAML.replace(written, instead), "s.yaml"))
    assert line.startswith(place)


def test_in_toml_an_unknown_destination_of_a_rule_is_named_with_its_line(
    refuse: Refuse, write_file: WriteFile
) -> None:
    environ = write_file(
        '[[rules]]\non = "span"\ndrop = true\nto = "nowhere"\n[rules.match]\nkind = "server"\n'
    )

    line = refuse(environ=environ)
    assert line.startswith("to of rule 1, rules in spanbridge.toml line 4 is 'nowhere': ")


def test_in_yaml_the_key_on_needs_no_quotes(refuse: Refuse, write_file: WriteFile) -> None:
    environ = write_file("rules:\n  - {on: exception, issue: maybe}\n", "spanbridge.yaml")

    assert refuse(environ=environ) == (
        "issue of rule 1, rules in spanbridge.yaml line 2 is 'maybe': it is not a known choice. "
        "Use unhandled, all, none."
    )


@pytest.mark.parametrize(
    ("rules", "until_then"),
    [
        ([{"on": "nothing"}], "the rule does not apply."),
        ([{**NOISE, "keep": True, "to": ["sentri", "file"]}], "the rule is for file."),
        ([{**NOISE, "keep": True, "to": "sentri"}], "the rule is for no destination."),
        ("nonsense", "it is none."),
    ],
)
def test_under_warn_a_line_says_what_holds_until_it_is_mended(
    warn: Warn, rules: object, until_then: str
) -> None:
    [problem] = warn({"rules": rules}).problems

    assert str(problem).endswith(f". Until then {until_then}")


def test_under_warn_only_the_faulty_rule_is_left_out(warn: Warn) -> None:
    tree = warn({"rules": [NOISE, {"on": "nothing"}, {**NOISE, "issue": "all"}]})

    assert [rule.mode for rule in tree.rules] == ["none", "all"]
    [problem] = tree.problems
    assert problem.setting == "on of rule 2, configure(rules=...)"


def test_the_built_in_rules_are_named_and_can_be_chosen(refuse: Refuse) -> None:
    assert load({}, {}).builtin_rules == DEFAULT_BUILTIN_RULES
    assert load({"builtin_rules": "none"}, {}).builtin_rules == ()
    assert load({"builtin_rules": list(BUILTIN_RULES)}, {}).builtin_rules == tuple(BUILTIN_RULES)
    assert "Did you mean 'violation'?" in refuse({"builtin_rules": "violations"})


def test_grouping_parts_can_be_chosen() -> None:
    assert load({}, {}).group_by == ("agent", "route", "monitor")
    assert load({}, {"SPANBRIDGE_GROUP_BY": "monitor,agent"}).group_by == ("monitor", "agent")
    assert load({"group_by": "none"}, {}).group_by == ()


# --------------------------------------------------------------- whatever is written anywhere

subjects = st.sampled_from(get_args(Subject))
facts = st.sampled_from(sorted({fact for facts in FACTS.values() for fact in facts}))
keys = facts | st.sampled_from(["http.route", "attribute.team", "team"]) | st.text(max_size=5)
texts = st.one_of(
    st.sampled_from(
        ["crawl *", "< 3", ">= error", "!= x", "= *", "<", "error", "client", "{span}", "{a.b}",
         "{{ default }}", "{", "{}", "[x]*?", "all", "none", "warning", "1e999", "> 9" * 99]
    ),
    st.text(max_size=12),
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
tables = st.fixed_dictionaries(
    {"on": subjects},
    optional={
        "name": values,
        "match": st.dictionaries(keys, values, max_size=3) | values,
        "issue": values | st.sampled_from(["all", "none"]),
        "level": values | st.just("fatal"),
        "fingerprint": values | st.lists(texts),
        "title": values,
        "tag": values | st.dictionaries(keys, texts, max_size=2),
    },
) | st.dictionaries(st.text(max_size=8), values, max_size=4)


def use(rules: Rules) -> None:
    """What was accepted can be used on anything."""
    log = LogRecord(1, 17, "body", "logger", {"http.route": "/", "a.b": (1, 2)}, "event")
    span = record(1, attributes={"http.route": b"/"}, events=(SpanEvent("event", 1),))
    around = Circumstances(log=log, span=span, path=(span,), root=span)
    for facts in (
        ExceptionFacts(around, ("a.B", "C"), "text", True),
        ExceptionFacts(Circumstances(), (), ""),
    ):
        rules.issue_mode(facts)
        rules.effects(facts)
    rules.noticed_in_span(span)
    rules.noticed_in_log(log)


def test_tables_in_tables_have_a_bound(refuse: Refuse) -> None:
    nested: dict[str, object] = {}
    for _ in range(5000):
        nested = {"a": nested}

    assert "it is nested too deeply" in refuse({"rules": [{**NOISE, "match": nested}]})


@given(raw=st.lists(tables | values, max_size=3) | values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_table_gives_valid_rules_or_one_error(raw: Any) -> None:
    tree = load({"rules": raw, "on_config_error": "warn"}, {})

    use(Rules(tree.rules, is_denied, op_of))
    assert tree == load({"rules": raw, "on_config_error": "warn"}, {})
    for problem in tree.problems:
        assert len(str(problem).splitlines()) == 1
        assert len(str(problem)) < 1500
    if tree.problems:
        with pytest.raises(ConfigurationError) as refused:
            load({"rules": raw, "on_config_error": "raise"}, {})
        assert str(refused.value) == str(tree.problems[0]).partition(" Until then ")[0]
