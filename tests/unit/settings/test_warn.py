"""Under ``on_config_error=warn`` nothing raises, and what is in doubt does not leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.errors import ConfigurationError
from spanbridge.settings import SentryOptions, load

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Warn, WriteFile

DSN = "https://key@sentry.example/1"
ALL = {"SPANBRIDGE_DESTINATIONS": "sentry,otlp,console,file", "SENTRY_DSN": DSN}


def test_a_faulty_destination_is_left_out_and_listed(warn: Warn) -> None:
    settings = warn(environ={**ALL, "SENTRY_TRACES_SAMPLE_RATE": "2", "SPANBRIDGE_ISSUES": "all"})

    assert [options.name for options in settings.destinations] == ["otlp", "console", "file"]
    assert settings.issues == "all"
    [problem] = settings.problems
    assert problem.setting == "SENTRY_TRACES_SAMPLE_RATE"
    assert str(problem).endswith(". Until then nothing is sent to sentry.")


def test_a_missing_exporter_is_told_with_the_address_that_chose_it(
    warn: Warn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanbridge.settings.options.otlp.is_installed", lambda _module: False)

    endpoint = "https://me:secret@collector.example:4318"
    [problem] = warn(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}).problems
    assert str(problem) == (
        "OTEL_EXPORTER_OTLP_ENDPOINT is 'https://***@collector.example:4318': "
        "the OTLP exporter is not installed. Run: pip install 'spanbridge[otlp]'. "
        "Until then nothing is sent anywhere."
    )


def test_a_broken_number_falls_back_to_its_default_and_is_listed(warn: Warn) -> None:
    settings = warn(environ={**ALL, "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "soon"})

    assert settings.shutdown_timeout_s == 5
    assert len(settings.destinations) == 4
    assert [problem.setting for problem in settings.problems] == ["SPANBRIDGE_SHUTDOWN_TIMEOUT_S"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPANBRIDGE_CAPTURE_CONTENT", "everything"),
        ("SPANBRIDGE_INCLUDE_LOCALS", "perhaps"),
        ("SPANBRIDGE_CONFIG", "missing.toml"),
        ("SPANBRIDGE_INCLUDE_LOCAL", "false"),
        ("SPANBRIDGE_CAPTURE_CONTENTS", "off"),
    ],
)
def test_a_faulty_privacy_setting_withholds_every_remote_destination(
    warn: Warn, name: str, value: str
) -> None:
    settings = warn({"environment": "development"}, {**ALL, name: value})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert problem.setting == name
    assert str(problem).endswith("Until then nothing is sent to sentry, otlp.")
    if "include_locals" in name.lower() + str(problem):
        assert not any(options.capture_content for options in settings.destinations)


def test_a_faulty_privacy_setting_takes_the_strict_default_even_in_development(warn: Warn) -> None:
    settings = warn({"environment": "development"}, {"SPANBRIDGE_INCLUDE_LOCALS": "perhaps"})

    assert settings.include_locals is False


def test_a_misplaced_privacy_setting_withholds_too(warn: Warn, write_file: WriteFile) -> None:
    content = "[destinations.sentry]\ncapture_content = false\n"

    settings = warn(environ={**ALL, **write_file(content)})

    assert [options.name for options in settings.destinations] == ["console", "file"]


def test_an_unknown_name_is_left_out_of_the_list(warn: Warn) -> None:
    settings = warn(environ={"SPANBRIDGE_DESTINATIONS": "consoel,file"})

    assert [options.name for options in settings.destinations] == ["file"]
    assert "Did you mean 'console'?" in str(settings.problems[0])


def test_an_unreadable_list_chooses_nothing(warn: Warn) -> None:
    settings = warn({"destinations": 5}, {"SENTRY_DSN": DSN})

    assert settings.destinations == ()
    assert len(settings.problems) == 1


def test_a_malformed_dsn_without_a_named_environment_does_not_stop_the_application() -> None:
    settings = load({}, {"SENTRY_DSN": "nonsense"})

    assert settings.destinations == ()
    assert [problem.setting for problem in settings.problems] == ["SENTRY_DSN"]


def test_an_unusable_environment_uses_productions_profile(warn: Warn) -> None:
    settings = load({}, {"SENTRY_ENVIRONMENT": "a/b", "SENTRY_DSN": "http://k@localhost/1"})

    assert settings.environment == "production"
    assert settings.destinations[0].sample_rate == 0.1
    assert settings.problems[0].setting == "SENTRY_ENVIRONMENT"


def test_an_unusable_policy_is_judged_by_the_environments_own() -> None:
    environ = {"SPANBRIDGE_ON_CONFIG_ERROR": "shout"}

    assert load({"environment": "production"}, environ).on_config_error == "warn"
    with pytest.raises(ConfigurationError, match="SPANBRIDGE_ON_CONFIG_ERROR is 'shout'"):
        load({"environment": "development"}, environ)


def test_every_problem_is_listed_once(warn: Warn) -> None:
    settings = warn(environ={"SENTRY_DSN_FILE": "missing", "SPANBRIDGE_ISSUES": "x"})

    assert sorted(problem.setting for problem in settings.problems) == [
        "SENTRY_DSN_FILE",
        "SPANBRIDGE_ISSUES",
    ]


@pytest.mark.parametrize("key", ["wire", "span_events"])
def test_a_form_that_cannot_be_read_is_no_reason_to_send_nothing(key: str) -> None:
    settings = load(
        {"destinations": {"sentry": {"dsn": DSN, key: "nonsense"}}, "on_config_error": "warn"}, {}
    )

    [sentry] = settings.destinations
    assert isinstance(sentry, SentryOptions)
    assert (sentry.wire, sentry.span_events) == ("transactions", "logs")
    [problem] = settings.problems
    assert "nonsense" in str(problem)
