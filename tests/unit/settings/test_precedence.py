from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import SentryOptions, Settings, load

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile

DSN = "https://key@sentry.example/1"

FILE = """
issues = "none"
[environments.staging]
issues = "all"
"""


def sentry(settings: Settings) -> SentryOptions:
    [options] = settings.destinations
    assert isinstance(options, SentryOptions)
    return options


def test_nothing_said_means_defaults_and_no_destination() -> None:
    settings = load({}, {})

    assert settings.destinations == ()
    assert settings.issues == "unhandled"
    assert (settings.issue_decision_s, settings.max_hold_s) == (60, 300)
    assert settings.shutdown_timeout_s == 5
    assert settings.capture_content == ()
    assert settings.propagate_to is None
    assert settings.source_of("issues") == "default"


def test_each_stronger_source_wins_and_is_named(write_file: WriteFile) -> None:
    environ: dict[str, str] = {}
    arguments: dict[str, object] = {"environment": "staging"}

    def resolved() -> tuple[str, str]:
        settings = load(arguments, environ)
        return settings.issues, settings.source_of("issues")

    assert resolved() == ("unhandled", "default")
    environ |= write_file('issues = "none"')
    assert resolved() == ("none", "issues in spanbridge.toml line 1")
    write_file(FILE)
    assert resolved() == ("all", "issues in [environments.staging] of spanbridge.toml line 4")
    environ["SPANBRIDGE_ISSUES"] = "unhandled"
    assert resolved() == ("unhandled", "SPANBRIDGE_ISSUES")
    arguments["issues"] = "none"
    assert resolved() == ("none", "argument")


def test_each_stronger_source_of_sentrys_rate_wins(write_file: WriteFile) -> None:
    environ = {"SENTRY_DSN": DSN, "ENVIRONMENT": "staging"}
    arguments: dict[str, object] = {}

    def resolved() -> tuple[float, str]:
        options = sentry(load(arguments, environ))
        return options.sample_rate, options.sample_rate_source

    content = ""
    assert resolved() == (0.3, "profile staging")
    for rate, addition, source in (
        (0.21, "sample_rate = 0.21\n", "sample_rate in F line 1"),
        (0.22, "[destinations.sentry]\nsample_rate = 0.22\n", "sample_rate in [D] of F line 3"),
        (0.23, "[environments.staging]\nsample_rate = 0.23\n", "sample_rate in [E] of F line 5"),
        (
            0.24,
            "[environments.staging.destinations.sentry]\nsample_rate = 0.24\n",
            "sample_rate in [E.D] of F line 7",
        ),
    ):
        content += addition
        environ |= write_file(content)
        source = source.replace("E", "environments.staging").replace("D", "destinations.sentry")
        assert resolved() == (rate, source.replace("F", "spanbridge.toml"))
    environ["SENTRY_TRACES_SAMPLE_RATE"] = "0.31"
    assert resolved() == (0.31, "SENTRY_TRACES_SAMPLE_RATE")
    environ["SPANBRIDGE_SENTRY_SAMPLE_RATE"] = "0.32"
    assert resolved() == (0.32, "SPANBRIDGE_SENTRY_SAMPLE_RATE")
    arguments["sample_rate"] = 0.41
    assert resolved() == (0.41, "argument")
    arguments["destinations"] = {"sentry": {"sample_rate": 0.42}}
    assert resolved() == (0.42, "argument")


SOURCES = [
    ("profile staging", "", {}, {}),
    ("top of the file", "sample_rate = {}", {}, {}),
    ("table of the file", "[destinations.sentry]\nsample_rate = {}", {}, {}),
    ("environment's table", "[environments.staging]\nsample_rate = {}", {}, {}),
    (
        "environment's table of the destination",
        "[environments.staging.destinations.sentry]\nsample_rate = {}",
        {},
        {},
    ),
    ("variable of Sentry", "", {"SENTRY_TRACES_SAMPLE_RATE": "{}"}, {}),
    ("own variable", "", {"SPANBRIDGE_SENTRY_SAMPLE_RATE": "{}"}, {}),
    ("short argument", "", {}, {"sample_rate": "RATE"}),
    ("argument", "", {}, {"destinations": {"sentry": {"sample_rate": "RATE"}}}),
]  # fmt: skip
"""Where Sentry's rate can be said, the weakest first."""


@pytest.mark.parametrize(
    ("weak", "strong"),
    list(itertools.combinations(range(len(SOURCES)), 2)),
    ids=lambda number: SOURCES[number][0].replace(" ", "_"),
)
def test_of_any_two_sources_the_stronger_wins(
    weak: int, strong: int, write_file: WriteFile
) -> None:
    file, environ = "", {"SENTRY_DSN": DSN, "ENVIRONMENT": "staging"}
    arguments: dict[str, object] = {}
    for number in (weak, strong):
        _, content, variables, given = SOURCES[number]
        rate = f"0.{number + 11}"
        file += content.format(rate) + "\n"
        environ |= {name: value.format(rate) for name, value in variables.items()}
        arguments |= json.loads(json.dumps(given).replace("RATE", rate))

    options = sentry(load(arguments, {**environ, **write_file(file)}))

    assert options.sample_rate == float(f"0.{strong + 11}")


@pytest.mark.parametrize(
    ("key", "weak", "strong"),
    [
        ("service_name", "OTEL_RESOURCE_ATTRIBUTES=service.name=weak", "OTEL_SERVICE_NAME=strong"),
        ("service_name", "OTEL_SERVICE_NAME=weak", "SPANBRIDGE_SERVICE_NAME=strong"),
        ("release", "OTEL_RESOURCE_ATTRIBUTES=service.version=weak", "SENTRY_RELEASE=strong"),
        ("release", "SENTRY_RELEASE=weak", "SPANBRIDGE_RELEASE=strong"),
        ("server_name", "OTEL_RESOURCE_ATTRIBUTES=host.name=weak", "SENTRY_SERVER_NAME=strong"),
        ("environment", "ENVIRONMENT=weak", "SENTRY_ENVIRONMENT=strong"),
        ("environment", "SENTRY_ENVIRONMENT=weak", "SPANBRIDGE_ENVIRONMENT=strong"),
        (
            "environment",
            "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=weak",
            "ENVIRONMENT=strong",
        ),
    ],
)
def test_of_two_variables_the_more_specific_wins(key: str, weak: str, strong: str) -> None:
    environ = dict([weak.split("=", 1)])
    assert getattr(load({}, environ), key) == "weak"

    environ |= dict([strong.split("=", 1)])
    assert getattr(load({}, environ), key) == "strong"


def test_an_empty_variable_counts_as_unset() -> None:
    settings = load({}, {"SENTRY_ENVIRONMENT": " ", "ENVIRONMENT": "staging"})

    assert settings.environment == "staging"


def test_an_argument_of_none_counts_as_not_given() -> None:
    assert load({"issues": None}, {"SPANBRIDGE_ISSUES": "all"}).issues == "all"


def test_resource_attributes_are_url_decoded() -> None:
    attributes = "service.name=gover%20nance , service.version=1.2,broken,deployment.environment=qa"
    settings = load({}, {"OTEL_RESOURCE_ATTRIBUTES": attributes})

    assert settings.service_name == "gover nance"
    assert settings.release == "1.2"
    assert settings.environment == "qa"


def test_a_yaml_file_means_the_same_as_a_toml_file(write_file: WriteFile) -> None:
    toml = write_file('issues = "all"\n[destinations.console]\nqueue_max_items = 5\n')
    yaml = write_file(
        "issues: all\ndestinations:\n  console:\n    queue_max_items: 5\n", "spanbridge.yaml"
    )

    assert load({}, toml) == load({}, yaml)
    assert [options.name for options in load({}, yaml).destinations] == ["console"]


def test_an_empty_yaml_table_mentions_its_destination(write_file: WriteFile) -> None:
    settings = load({}, write_file("destinations:\n  console:\n", "spanbridge.yml"))

    assert [options.name for options in settings.destinations] == ["console"]
    assert settings.problems == ()


def test_equal_settings_are_equal_whatever_said_them(write_file: WriteFile) -> None:
    by_argument = load({"dsn": DSN, "environment": "staging"}, {})
    by_variable = load({}, {"SENTRY_DSN": DSN, "SENTRY_ENVIRONMENT": "staging"})
    by_file = load({}, write_file(f'dsn = "{DSN}"\nenvironment = "staging"'))

    differing_sources = by_variable.destinations[0].sample_rate_source
    assert differing_sources == "profile staging"
    assert by_argument == by_variable == by_file
    assert by_argument != load({"dsn": DSN + "2", "environment": "staging"}, {})


def test_the_process_environment_is_read_if_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPANBRIDGE_ISSUES", "all")

    assert load().issues == "all"


def test_a_profile_shows_local_variables_on_this_machine_only() -> None:
    at_home = load({}, {"SENTRY_ENVIRONMENT": "development", "SPANBRIDGE_DESTINATIONS": "console"})
    away = load({}, {"SENTRY_ENVIRONMENT": "development", "SENTRY_DSN": "https://k@h.example/1"})
    asked = load(
        {"include_locals": True},
        {"SENTRY_ENVIRONMENT": "development", "SENTRY_DSN": "https://k@h.example/1"},
    )

    assert at_home.include_locals
    assert not away.include_locals
    assert away.sources["include_locals"] == "default where a destination is remote"
    assert asked.include_locals


def test_a_resource_of_somebody_else_is_stronger_than_a_profile_and_weaker_than_a_file(
    write_file: WriteFile,
) -> None:
    resource = {
        "service.name": "theirs",
        "service.version": 2,
        "deployment.environment.name": "staging",
        "host.name": "",
    }

    settings = load({"dsn": DSN}, {}, resource)
    in_file = load({"dsn": DSN}, write_file('release = "3"\nenvironment = "qa"'), resource)

    assert (settings.service_name, settings.release) == ("theirs", "2")
    assert (settings.environment, settings.destinations[0].sample_rate) == ("staging", 0.3)
    assert settings.server_name
    place = "in the tracer provider's resource"
    assert settings.source_of("release") == f"service.version {place}"
    assert settings.environment_source == f"deployment.environment.name {place}"
    assert (in_file.service_name, in_file.release, in_file.environment) == ("theirs", "3", "qa")
