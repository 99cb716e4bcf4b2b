"""A destination that was to get a part alone gets nothing while the name that says so is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.errors import ConfigurationError
from spanbridge.settings import load
from spanbridge.settings.match_names import narrows

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile

PRODUCTION = {"SENTRY_ENVIRONMENT": "production"}
BY_VARIABLE = {
    **PRODUCTION,
    "SPANBRIDGE_ACME_KIND": "otlp",
    "SPANBRIDGE_ACME_ENDPOINT": "https://acme.example",
    "SPANBRIDGE_GLOBEX_KIND": "otlp",
    "SPANBRIDGE_GLOBEX_ENDPOINT": "https://globex.example",
    "SPANBRIDGE_GLOBEX_MATCH": '{"tenant.id": "globex"}',
}
BOTH = """
[destinations.globex]
kind = 'otlp'
endpoint = 'https://globex.example'
match = { 'tenant.id' = 'globex' }
[destinations.acme]
kind = 'otlp'
endpoint = 'https://acme.example'
"""
UNTIL = "Until then nothing is sent to acme."


def names(settings: object) -> list[str]:
    return [options.name for options in settings.destinations]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line",
    [
        "filter = { 'tenant.id' = 'acme' }",
        "mach = { 'tenant.id' = 'acme' }",
        "matchs = 'acme'",
        "Match = { 'tenant.id' = 'acme' }",
        "tenants = ['acme']",
        "only = 'acme'",
        "conditions = ['tenant.id = acme']",
        "spans = { 'tenant.id' = 'acme' }",
        'spans = \'{"tenant.id": "acme"}\'',
        "spans = [{ 'tenant.id' = 'acme' }]",
        "'tenant.id' = 'acme'",
        "'user.plan' = 'paid'",
        "match_ = { 'tenant.id' = 'acme' }",
    ],
)
@pytest.mark.parametrize("outer", ["", "environments.production."])
def test_a_misspelt_match_in_its_table_leaves_it_out(
    write_file: WriteFile, line: str, outer: str
) -> None:
    content = BOTH + (f"[{outer}destinations.acme]\n" if outer else "") + line

    settings = load({}, {**PRODUCTION, **write_file(content)})

    assert names(settings) == ["globex"]
    [problem] = settings.problems
    assert "there is no such setting" in str(problem)
    assert str(problem).endswith(UNTIL)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPANBRIDGE_ACME_MATCHES", '{"tenant.id": "acme"}'),
        ("SPANBRIDGE_ACME_MACH", "acme"),
        ("SPANBRIDGE_ACME_TENANT", "acme"),
        ("SPANBRIDGE_ACME_SPANS", ' {"tenant.id": "acme"}'),
        ("SPANBRIDGE_ACM_MATCH", '{"tenant.id": "acme"}'),
        ("SPANBRIDGE_ACMEMATCH", '{"tenant.id": "acme"}'),
        ("SPANBRIDGE_ACM_FILTER", '{"tenant.id": "acme"}'),
        ("SPANBRIDGE_MATCH", '{"tenant.id": "acme"}'),
        ("SPANBRIDGE_FILTER", '{"tenant.id": "acme"}'),
    ],
)
def test_a_misspelt_variable_leaves_out_what_it_was_for(variable: str, value: str) -> None:
    settings = load({}, {**BY_VARIABLE, variable: value})

    assert names(settings) == ["globex"]
    [problem] = settings.problems
    assert problem.setting == variable
    assert str(problem).endswith(UNTIL)


@pytest.mark.parametrize(
    "content",
    [
        "[destination.acme]\nmatch = { 'tenant.id' = 'acme' }\n",
        "[destination.acme.match]\n'tenant.id' = 'acme'\n",
        "[destination.acm]\nmatch = { 'tenant.id' = 'acme' }\n",
        "[destinations.acmee]\nfilter = 'acme'\n",
        "[[destinations.acme]]\nmatch = { 'tenant.id' = 'acme' }\n",
        "[acme]\nfilter = 'acme'\n",
        "[[destination]]\nname = 'acme'\nmatch = { 'tenant.id' = 'acme' }\n",
        "[enviroments.production.destinations.acme]\nmatch = { 'tenant.id' = 'acme' }\n",
        "[environments.production.destination.acme]\nmatch = { 'tenant.id' = 'acme' }\n",
        "[environment.production.destinations.acme]\nmatch = { 'tenant.id' = 'acme' }\n",
        "[environment.production.destinations.acme]\nfilter = 'acme'\n",
        "[match]\n'tenant.id' = 'acme'\n",
        "filter = { 'tenant.id' = 'acme' }\n",
    ],
)
def test_one_below_a_mistyped_table_leaves_it_out(write_file: WriteFile, content: str) -> None:
    settings = load({}, {**BY_VARIABLE, **write_file(content)})

    assert names(settings) == ["globex"]
    [problem] = settings.problems
    assert UNTIL.rstrip(".") in str(problem)


def test_one_in_an_argument_leaves_it_out() -> None:
    acme = {"kind": "otlp", "endpoint": "https://a.example", "filter": {"tenant.id": "acme"}}

    settings = load({"destinations": {"acme": acme, "console": {}}}, PRODUCTION)

    assert names(settings) == ["console"]
    [problem] = settings.problems
    assert str(problem).endswith(UNTIL)


def test_it_is_raised_where_problems_are(write_file: WriteFile) -> None:
    file = write_file(f"{BOTH}filter = 'acme'\n")

    with pytest.raises(ConfigurationError, match=r"^filter in "):
        load({"on_config_error": "raise"}, {**PRODUCTION, **file})


@pytest.mark.parametrize(
    "content",
    [
        f"{BOTH}batch = 5\n",
        f"{BOTH}sampel_rate = 0.5\n",
        f"{BOTH}retries = 3\n",
        f"{BOTH}wire = 'spans'\n",
        f"{BOTH}[destination.acme]\nsample_rate = 0.5\n",
        f"{BOTH}[destination.globex]\nsample_rate = 0.5\n",
        f"{BOTH}[destination.initech]\nmatch = {{ 'tenant.id' = 'initech' }}\n",
        f"{BOTH}[environments.staging.destinations.acme]\nfilter = 'acme'\n",
    ],
)
def test_what_was_to_narrow_nothing_down_here_leaves_nothing_out(
    write_file: WriteFile, content: str
) -> None:
    settings = load({}, {**PRODUCTION, **write_file(content)})

    assert sorted(names(settings)) == ["acme", "globex"]
    assert len(settings.problems) == 1


@pytest.mark.parametrize("variable", ["SPANBRIDGE_GLOBE_MATCH", "SPANBRIDGE_GLOBX_FILTER"])
def test_a_variable_near_a_destination_with_its_own_match_is_about_another(variable: str) -> None:
    settings = load({}, {**BY_VARIABLE, variable: '{"tenant.id": "globe"}'})

    assert sorted(names(settings)) == ["acme", "globex"]


@pytest.mark.parametrize("key", ["headers", "Headers", "sample_rate", "rules", "path"])
def test_a_key_that_says_something_else_elsewhere_narrows_nothing(key: str) -> None:
    assert not narrows(key, {"x": 1})


def test_nobody_is_asked_to_remove_it(write_file: WriteFile) -> None:
    file = write_file(f"{BOTH}filter = 'acme'\nspans = {{ a = 'b' }}\n")
    variables = {"SPANBRIDGE_ACME_TENANTS_OF_OURS": "acme"}

    settings = load({}, {**PRODUCTION, **file, **variables})

    fixes = [problem.fix for problem in settings.problems]
    assert [fix.partition(" Until")[0] for fix in fixes] == [
        "Did you mean 'match'?",
        "Did you mean 'match'?",
        "Did you mean the variable of a destination's 'match'?",
    ]
