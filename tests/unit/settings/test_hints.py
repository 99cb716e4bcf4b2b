"""Variables that do nothing but look meant for us get one line, and never stop the program."""

from __future__ import annotations

import pytest

from spanbridge.errors import ConfigurationError
from spanbridge.settings import load

DEVELOPMENT = {"SENTRY_ENVIRONMENT": "development", "SPANBRIDGE_DESTINATIONS": "console"}


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (
            "SENTRY_TRACE_SAMPLE_RATE",
            "0.5",
            "SENTRY_TRACE_SAMPLE_RATE is ***: there is no such setting. "
            "Did you mean 'SENTRY_TRACES_SAMPLE_RATE'?",
        ),
        (
            "SENTRY_DNS",
            "https://topsecret@h.example/1",
            "SENTRY_DNS is ***: there is no such setting. Did you mean 'SENTRY_DSN'?",
        ),
        (
            "SENTRY_ENVIROMENT",
            "staging",
            "SENTRY_ENVIROMENT is ***: there is no such setting. "
            "Did you mean 'SENTRY_ENVIRONMENT'?",
        ),
        (
            "SENTRY_RELEAS",
            "1.0",
            "SENTRY_RELEAS is ***: there is no such setting. Did you mean 'SENTRY_RELEASE'?",
        ),
    ],
)
def test_a_misspelt_variable_of_sentry_is_one_line(variable: str, value: str, line: str) -> None:
    settings = load({}, {**DEVELOPMENT, variable: value})

    assert settings.on_config_error == "raise"
    assert [options.name for options in settings.destinations] == ["console"]
    assert [str(problem) for problem in settings.problems] == [line]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SENTRY_RELEASE", "a/b"),
        ("SENTRY_DEBUG", "perhaps"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "soon"),
    ],
)
def test_a_value_that_cannot_be_used_is_raised_whosever_the_variable_is(
    variable: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable} is "):
        load({}, {"SENTRY_ENVIRONMENT": "development", variable: value})


@pytest.mark.parametrize(
    "variable",
    [
        "SENTRY_ALLOW_FAILURE", "SENTRY_API_KEY", "SENTRY_AUTH_TOKEN", "SENTRY_BAGGAGE",
        "SENTRY_BIND", "SENTRY_DSN2", "SENTRY_DSN_FRONTEND", "SENTRY_ENABLE_LOGS", "SENTRY_ENV",
        "SENTRY_HTTP_MAX_RETRIES", "SENTRY_LARAVEL_DSN", "SENTRY_LOG_LEVEL", "SENTRY_NAME",
        "SENTRY_NO_PROGRESS_BAR", "SENTRY_ORG", "SENTRY_PIPELINE", "SENTRY_PROFILES_SAMPLE_RATE",
        "SENTRY_PROFILE_SESSION_SAMPLE_RATE", "SENTRY_PROJECT", "SENTRY_PROPERTIES",
        "SENTRY_SAMPLE_RATE", "SENTRY_SECRET_KEY", "SENTRY_SEND_DEFAULT_PII", "SENTRY_TAGS",
        "SENTRY_TRACE", "SENTRY_TRACES_SAMPLER", "SENTRY_URL", "SENTRY_USE_ENVIRONMENT",
    ],
)  # fmt: skip
def test_what_other_tools_of_sentry_read_is_left_alone(variable: str) -> None:
    assert load({}, {**DEVELOPMENT, variable: "1"}).problems == ()


def test_an_empty_variable_gets_no_hint() -> None:
    assert load({}, {**DEVELOPMENT, "SENTRY_DNS": " "}).problems == ()


@pytest.mark.parametrize(
    ("listed", "line"),
    [
        (
            "consoel",
            "SPANBRIDGE_DESTINATIONS is 'consoel': there is no such destination. Did you mean "
            "'console'? Use sentry, otlp, console, file, spotlight, prometheus, or say what it is "
            "with SPANBRIDGE_CONSOEL_KIND. Until then nothing is sent anywhere.",
        ),
        (
            "none,console",
            "SPANBRIDGE_DESTINATIONS is 'none,console': 'none' stands beside other names. "
            "Use 'none' alone, or remove it. Until then nothing is sent anywhere.",
        ),
    ],
)
def test_a_mistyped_destination_says_that_nothing_is_sent(listed: str, line: str) -> None:
    """Without a named environment this may be production, so the program is not stopped."""
    settings = load({}, {"SPANBRIDGE_DESTINATIONS": listed})

    assert (settings.environment, settings.environment_source) == ("production", "default")
    assert [str(problem) for problem in settings.problems] == [line]
