from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import load

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile


@pytest.mark.parametrize(
    ("environ", "environment"),
    [
        ({}, "production"),
        ({"SENTRY_DSN": "https://k@sentry.example/1"}, "production"),
        ({"SENTRY_DSN": "http://k@127.0.0.1:9000/1"}, "development"),
        ({"SENTRY_DSN": "http://k@[::1]:9000/1"}, "development"),
        ({"SENTRY_DSN": "http://k@sentry.localhost/1"}, "development"),
        ({"SENTRY_DSN": "http://k@10.0.0.1/1"}, "production"),
        ({"SENTRY_DSN": "http://k@localhost.example/1"}, "production"),
        ({"SENTRY_DSN": "nonsense"}, "production"),
        ({"SPANBRIDGE_DESTINATIONS": "otlp"}, "development"),
        ({"SPANBRIDGE_DESTINATIONS": "console,file"}, "development"),
        (
            {
                "SENTRY_DSN": "http://k@127.0.0.1:9000/1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            },
            "production",
        ),
        ({"SENTRY_DSN": "http://k@127.0.0.1/1", "ENVIRONMENT": "production"}, "production"),
    ],
)
def test_without_a_name_it_is_development_only_if_every_destination_is_local(
    environ: dict[str, str], environment: str
) -> None:
    assert load({}, environ).environment == environment


@pytest.mark.parametrize(
    ("environment", "rate", "include_locals", "on_config_error"),
    [
        ("development", 1.0, True, "raise"),
        ("staging", 0.3, False, "warn"),
        ("production", 0.1, False, "warn"),
        ("canary", 0.1, False, "warn"),
    ],
)
def test_the_profile_sets_defaults_and_an_unknown_name_uses_productions(
    environment: str, rate: float, include_locals: bool, on_config_error: str
) -> None:
    settings = load(
        {"environment": environment, "destinations": "sentry,console"},
        {"SENTRY_DSN": "https://k@127.0.0.1/1"},
    )

    assert settings.environment == environment
    assert [options.sample_rate for options in settings.destinations] == [rate, 1.0]
    assert settings.include_locals is include_locals
    assert settings.on_config_error == on_config_error


@pytest.mark.parametrize(
    ("environ", "environment"),
    [
        ({"SPANBRIDGE_PROMETHEUS_PORT": "9464"}, "development"),
        (
            {"SPANBRIDGE_PROMETHEUS_PORT": "9464", "SPANBRIDGE_PROMETHEUS_HOST": "0.0.0.0"},
            "production",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://collector.example/v1/metrics",
            },
            "production",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://collector.example/v1/metrics",
                "OTEL_METRICS_EXPORTER": "none",
            },
            "development",
        ),
    ],
)
def test_what_others_can_see_or_get_is_not_on_this_machine(
    environ: dict[str, str], environment: str
) -> None:
    assert load({}, environ).environment == environment


def test_further_variables_may_name_the_environment_but_are_weaker() -> None:
    environ = {"SPANBRIDGE_ENVIRONMENT_ALIASES": "APP_ENV,STAGE", "STAGE": "b"}
    assert load({}, environ).environment == "b"

    environ["APP_ENV"] = "a"
    settings = load({}, environ)
    assert (settings.environment, settings.environment_source) == ("a", "APP_ENV")
    assert settings.source_of("environment") == "APP_ENV"

    environ["ENVIRONMENT"] = "c"
    assert load({}, environ).environment == "c"


def test_a_file_can_give_its_own_profile(write_file: WriteFile) -> None:
    environ = write_file(
        'dsn = "https://k@h.example/1"\n'
        "[environments.development]\nsample_rate = 0.0\n"
        "[environments.staging]\nsample_rate = 0.5\n"
        "[environments.production]\ninclude_locals = true\n"
    )

    def rate(environment: str) -> float:
        [options] = load({"environment": environment}, environ).destinations
        return options.sample_rate

    assert [rate(name) for name in ("development", "staging", "production")] == [0.0, 0.5, 0.1]
    assert load({"environment": "production"}, environ).include_locals is True


@pytest.mark.parametrize("name", ["Staging", "STAGING", "staging"])
def test_the_case_of_a_name_changes_neither_the_profile_nor_the_name(
    write_file: WriteFile, name: str
) -> None:
    environ = write_file("[environments.staging]\nmax_breadcrumbs = 7\n")

    settings = load({"dsn": "https://k@h.example/1"}, {**environ, "SENTRY_ENVIRONMENT": name})

    assert (settings.environment, settings.max_breadcrumbs) == (name, 7)
    assert [options.sample_rate for options in settings.destinations] == [0.3]
    assert settings.source_of("max_breadcrumbs") == (
        "max_breadcrumbs in [environments.staging] of spanbridge.toml line 2"
    )
    assert settings.problems == ()


def test_of_two_tables_that_differ_in_case_each_environment_has_its_own(
    write_file: WriteFile,
) -> None:
    environ = write_file(
        "[environments.qa]\nmax_breadcrumbs = 7\n[environments.QA]\nmax_breadcrumbs = 8\n"
    )

    assert [load({"environment": name}, environ).max_breadcrumbs for name in ("qa", "QA")] == [7, 8]


def test_two_tables_of_which_neither_is_spelt_like_the_environment_are_one_line(
    write_file: WriteFile,
) -> None:
    environ = write_file(
        "[environments.Staging]\nmax_breadcrumbs = 7\n[environments.STAGING]\nmax_breadcrumbs = 8\n"
    )

    settings = load({"environment": "staging"}, environ)

    assert settings.max_breadcrumbs == 7
    assert [str(problem) for problem in settings.problems] == [
        "STAGING in [environments] of spanbridge.toml line 3 is a table: it differs from 'Staging' "
        "in case alone, and neither is spelt like the environment, 'staging'. Keep one of them, "
        "or spell one 'staging'. Until then 'Staging' holds."
    ]
    assert load({"environment": "STAGING"}, environ).problems == ()
    assert load({"environment": "production"}, environ).problems == ()


def test_what_is_no_table_is_told_as_that_alone(write_file: WriteFile) -> None:
    for name, other in (("STAGING", "staging"), ("staging", "STAGING")):
        content = f"environments:\n  {name}: [1]\n  {other}: {{max_breadcrumbs: 7}}\n"
        settings = load({"environment": "staging"}, write_file(content, "s.yaml"))

        assert settings.max_breadcrumbs == 7
        assert [str(problem) for problem in settings.problems] == [
            f"{name} in [environments] of s.yaml line 2 is a list: it is not a table. "
            "Write key = value lines under it."
        ]


def test_an_empty_table_of_yaml_is_the_environments_own(write_file: WriteFile) -> None:
    content = "environments:\n  staging:\n  STAGING: {max_breadcrumbs: 7}\n"

    assert load({"environment": "staging"}, write_file(content, "s.yaml")).max_breadcrumbs == 50


def test_two_tables_of_one_environment_may_not_hide_a_privacy_setting(
    write_file: WriteFile,
) -> None:
    environ = write_file(
        "[environments.Staging]\nissues = 'all'\n[environments.STAGING]\ndeny_keys = 'pin'\n"
    )

    settings = load(
        {"environment": "staging", "dsn": "https://k@h.example/1", "destinations": "sentry,file"},
        environ,
    )

    assert [options.name for options in settings.destinations] == ["file"]
    [problem] = settings.problems
    assert str(problem).endswith("Until then nothing is sent to sentry.")


def test_the_settings_file_can_choose_destinations_per_environment(write_file: WriteFile) -> None:
    environ = write_file(
        '[destinations.sentry]\ndsn = "https://k@h.example/1"\n'
        '[environments.development]\ndestinations = ["console"]\n'
        "[environments.staging.destinations.file]\nenabled = true\n"
    )

    def names(environment: str) -> list[str]:
        return [o.name for o in load({"environment": environment}, environ).destinations]

    assert names("development") == ["console"]
    assert names("staging") == ["sentry", "file"]
    assert names("production") == ["sentry"]


TAKEN = "the environment is taken for production."


@pytest.mark.parametrize(
    ("environ", "setting", "until_then"),
    [
        (
            {"SPANBRIDGE_DESTINATIONS": "console,setnry"},
            "SPANBRIDGE_DESTINATIONS",
            f"Until then nothing is sent to setnry, and {TAKEN}",
        ),
        (
            {"SPANBRIDGE_CONSOLE_ENABLED": "true", "SENTRY_DSN": "nonsense"},
            "SENTRY_DSN",
            f"Until then nothing is sent to sentry, and {TAKEN}",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "console,sentry"},
            "SENTRY_DSN",
            f"Until then nothing is sent to sentry, and {TAKEN}",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "console,otlp", "SPANBRIDGE_OTLP_METRICS": "perhaps"},
            "SPANBRIDGE_OTLP_METRICS",
            f"and {TAKEN}",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "console", "SPANBRIDGE_ENVIRONMENT_ALIASES": ","},
            "SPANBRIDGE_ENVIRONMENT_ALIASES",
            f"Until then it is none, and {TAKEN}",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "console", "ENVIRONMENT": "a/b"},
            "ENVIRONMENT",
            "Until then it is 'production'.",
        ),
    ],
)
def test_a_fault_that_hides_where_something_goes_says_that_it_is_production_then(
    environ: dict[str, str], setting: str, until_then: str
) -> None:
    settings = load({}, environ)

    assert settings.environment == "production"
    [problem] = settings.problems
    assert problem.setting == setting
    assert str(problem).endswith(until_then)


def test_a_table_without_kind_says_that_it_is_production_then(write_file: WriteFile) -> None:
    environ = write_file("[destinations.audit]\npath = 'a.jsonl'\n")

    settings = load({}, {**environ, "SPANBRIDGE_CONSOLE_ENABLED": "true"})

    [problem] = settings.problems
    assert str(problem).endswith(f"Until then nothing is sent to audit, and {TAKEN}")


@pytest.mark.parametrize(
    "environ",
    [
        {"SPANBRIDGE_DESTINATIONS": "console,setnry", "ENVIRONMENT": "production"},
        {"SPANBRIDGE_DESTINATIONS": "sentry,setnry", "SENTRY_DSN": "https://k@sentry.example/1"},
        {"SPANBRIDGE_DESTINATIONS": "setnry"},
    ],
)
def test_a_fault_says_nothing_of_the_environment_that_it_did_not_change(
    environ: dict[str, str],
) -> None:
    [problem] = load({}, environ).problems

    assert "environment" not in str(problem)
