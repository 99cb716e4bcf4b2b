"""A key of the settings file is named with its line, or without one where that is not sure."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.settings import load
from spanbridge.settings.file_lines import lines_of_toml, lines_of_yaml

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Refuse, WriteFile

TOML = '''\
issues = "all"   # a comment
text = """
issues = "none"
[environments.staging]
"""
names = [
  "a=b",
]
destinations.sentry.sample_rate = 0.5

[ destinations."odd name" ]
'path' = "x"

[[rules]]
on = "span"

[[rules]]
on = "log"
[rules.match]
"http.route" = "/"

[environments.staging]
issues = "none"
[[environments.staging.rules]]
on = "log"
'''


def test_every_key_of_a_toml_file_has_its_line() -> None:
    assert tomllib.loads(TOML)
    assert lines_of_toml(TOML) == {
        ("issues",): 1,
        ("text",): 2,
        ("names",): 6,
        ("destinations", "sentry", "sample_rate"): 9,
        ("destinations", "odd name"): 11,
        ("destinations", "odd name", "path"): 12,
        ("rules", "1"): 14,
        ("rules", "1", "on"): 15,
        ("rules", "2"): 17,
        ("rules", "2", "on"): 18,
        ("rules", "2", "match"): 19,
        ("rules", "2", "match", "http.route"): 20,
        ("environments", "staging"): 22,
        ("environments", "staging", "issues"): 23,
        ("environments", "staging", "rules", "1"): 24,
        ("environments", "staging", "rules", "1", "on"): 25,
    }


YAML = """\
issues: all
destinations:
  sentry:
    sample_rate: 0.5
rules:
  - "on": span
    match:
      http.route: /
"""


def test_every_key_of_a_yaml_file_has_its_line() -> None:
    assert lines_of_yaml(yaml.compose(YAML)) == {
        ("issues",): 1,
        ("destinations",): 2,
        ("destinations", "sentry"): 3,
        ("destinations", "sentry", "sample_rate"): 4,
        ("rules",): 5,
        ("rules", "1"): 6,
        ("rules", "1", "on"): 6,
        ("rules", "1", "match"): 7,
        ("rules", "1", "match", "http.route"): 8,
    }


keys = st.text("abc_-", min_size=1, max_size=3)
tables = st.recursive(
    st.integers() | st.booleans() | st.just("x = 1\n[y]"),
    lambda inner: st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(table=st.dictionaries(keys, tables, max_size=4))
def test_the_line_of_a_key_is_one_that_holds_it(table: dict[str, object]) -> None:
    text = yaml.safe_dump(table)
    lines = text.splitlines()
    for path, number in lines_of_yaml(yaml.compose(text)).items():
        assert path[-1] in lines[number - 1]


@pytest.mark.parametrize("name", ["spanbridge.toml", "spanbridge.yaml"])
def test_what_a_key_says_is_found_where_it_stands(write_file: WriteFile, name: str) -> None:
    text = {
        "spanbridge.toml": "\n[environments.qa.destinations.console]\nsample_rate = 0.5\n",
        "spanbridge.yaml": "environments:\n  qa:\n    {destinations: {console: \n"
        "    {sample_rate: 0.5}}}\n",
    }[name]

    settings = load({"environment": "qa"}, write_file(text, name))

    number = {"spanbridge.toml": 3, "spanbridge.yaml": 4}[name]
    [console] = settings.destinations
    assert console.sample_rate_source == (
        f"sample_rate in [environments.qa.destinations.console] of {name} line {number}"
    )


def test_a_key_that_stands_twice_in_yaml_is_refused_as_in_toml(
    refuse: Refuse, write_file: WriteFile
) -> None:
    assert refuse(environ=write_file("issues: all\ndebug: true\nissues: none\n", "s.yaml")) == (
        "SPANBRIDGE_CONFIG is 's.yaml': the key 'issues' stands twice, in lines 1 and 3. Keep one."
    )
    assert "Cannot overwrite" in refuse(environ=write_file('issues = "all"\nissues = "none"\n'))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            'destinations = ["file"]\n\n[destinations.file]\npath = "a"\n',
            "'destinations' is a list in line 1 and has a table in line 3",
        ),
        (
            "debug = true\ndestinations = 'file'\ndestinations.file.path = 'a'\n",
            "'destinations' is a list in line 2 and has a table in line 3",
        ),
        (
            '[environments.qa]\ndestinations = [\n"file",\n]\n'
            '[environments.qa.destinations.file]\npath = "a"\n',
            "'environments.qa.destinations' is a list in line 2 and has a table in line 5",
        ),
    ],
)
def test_a_list_of_destinations_beside_their_tables_is_refused_with_what_to_do(
    refuse: Refuse, write_file: WriteFile, content: str, what: str
) -> None:
    assert refuse(environ=write_file(content)) == (
        f"SPANBRIDGE_CONFIG is 'spanbridge.toml': {what}, which TOML does not allow together. "
        "Remove the list, and write enabled = true or false in the tables."
    )


@pytest.mark.parametrize(
    "content",
    [
        "destinations = ['file']\nx =\n",
        "[destinations.file]\npath = 'a'\npath = 'b'\n",
        "destinations = {file = {}}\n[destinations.file]\n",
    ],
)
def test_other_mistakes_of_toml_are_told_as_the_parser_tells_them(
    refuse: Refuse, write_file: WriteFile, content: str
) -> None:
    assert "the file is not valid TOML (" in refuse(environ=write_file(content))


def test_a_file_whose_parts_stand_for_each_other_without_end_is_refused(
    refuse: Refuse, write_file: WriteFile
) -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{b: *a{n - 1}, c: *a{n - 1}, d: *a{n - 1}}}\n" for n in range(1, 40)
    )
    for content in (bomb + "rules: [{tag: *a39}]\n", "rules: &r [*r]\n", "rules: &r {tag: *r}\n"):
        line = refuse(environ=write_file(content, "s.yaml"))
        assert "parts of it stand for too much. Write it without anchors." in line


def test_a_file_may_use_anchors(write_file: WriteFile) -> None:
    content = (
        "destinations:\n  file: &it {sample_rate: 0.5, path: a}\n"
        "  audit: {<<: *it, kind: file, path: b}\n"
    )

    settings = load({}, write_file(content, "s.yaml"))

    assert [(o.name, o.sample_rate) for o in settings.destinations] == [
        ("file", 0.5),
        ("audit", 0.5),
    ]
