"""Under ``on_config_error=warn`` nothing raises, and what is in doubt does not leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.errors import ConfigurationError
from spanbridge.settings import load
from spanbridge.settings.declaration import options_of
from spanbridge.settings.options import KINDS

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Warn, WriteFile

DSN = "https://key@sentry.example/1"
ALL = {"SPANBRIDGE_DESTINATIONS": "sentry,otlp,console,file", "SENTRY_DSN": DSN}


def test_a_faulty_destination_is_left_out_and_listed(warn: Warn) -> None:
    settings = warn(environ={**ALL, "SENTRY_DSN": "nonsense", "SPANBRIDGE_ISSUES": "all"})

    assert [options.name for options in settings.destinations] == ["otlp", "console", "file"]
    assert settings.issues == "all"
    [problem] = settings.problems
    assert problem.setting == "SENTRY_DSN"
    assert str(problem).endswith(
        ". Until then nothing is sent to sentry, and the environment is taken for production."
    )


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


@pytest.mark.parametrize(
    ("variable", "value", "key", "fallback", "until_then"),
    [
        ("SHUTDOWN_TIMEOUT_S", "soon", "shutdown_timeout_s", 5.0, "it is 5.0."),
        ("ISSUES", "al", "issues", "unhandled", "it is 'unhandled'."),
        ("EXCEPTHOOKS", "perhaps", "excepthooks", True, "it is true."),
        ("PROPAGATE_TO", ",", "propagate_to", None, "it is all."),
        (
            "GROUP_BY",
            "x",
            "group_by",
            ("agent", "route", "monitor"),
            "it is agent, route, monitor.",
        ),
    ],
)
def test_a_broken_value_falls_back_to_its_default_and_its_line_says_so(
    warn: Warn, variable: str, value: str, key: str, fallback: object, until_then: str
) -> None:
    settings = warn(environ={**ALL, f"SPANBRIDGE_{variable}": value})

    assert getattr(settings, key) == fallback
    assert len(settings.destinations) == 4
    [problem] = settings.problems
    assert problem.setting == f"SPANBRIDGE_{variable}"
    assert str(problem).endswith(f" Until then {until_then}")


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


@pytest.mark.parametrize(
    "content",
    [
        "[[environments.production]]\ndeny_keys = 'pin'\n",
        "[[environments]]\ndeny_keys = 'pin'\n",
        "[enviroments.production]\ndeny_keys = 'pin'\n",
        "[[destinations.sentry]]\ndeny_keys = 'pin'\n",
        "[destinations.sentri]\ndeny_keys = 'pin'\n",
        "[destination.sentry]\ndeny_keys = 'pin'\n",
        "[privacy]\ndeny_keys = 'pin'\n",
        "[whatever.it.may.be]\ndeny_key = 'pin'\n",
        "config = 'private.toml'\n",
        "[destinations.sentry]\nconfig = 'private.toml'\n",
    ],
)
def test_a_privacy_setting_below_a_mistyped_table_withholds_too(
    warn: Warn, write_file: WriteFile, content: str
) -> None:
    settings = warn(environ={**ALL, **write_file(content)})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert str(problem).endswith("Until then nothing is sent to sentry, otlp.")


def test_a_privacy_setting_below_environment_in_place_of_environments_withholds_too(
    warn: Warn, write_file: WriteFile
) -> None:
    settings = warn(environ={**ALL, **write_file("[environment.production]\ndeny_keys = 'pin'\n")})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert "Did you mean 'environments.<name>'? Until then nothing is sent to" in str(problem)


def test_a_privacy_setting_below_a_rule_withholds_too(warn: Warn, write_file: WriteFile) -> None:
    content = "[[rules]]\non = 'span'\ndrop = true\nmatch = { span = 'x' }\ndeny_keys = 'pin'\n"

    settings = warn(environ={**ALL, **write_file(content)})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert problem.setting == "deny_keys of rule 1, rules in spanbridge.toml line 5"


def test_a_rule_with_another_fault_withholds_nothing(warn: Warn) -> None:
    settings = warn({"rules": [{"on": "span", "match": {"config": "x"}, "drop": True}]}, ALL)

    assert len(settings.destinations) == 4


def test_a_name_that_yaml_reads_as_a_number_is_told_and_withholds(
    warn: Warn, write_file: WriteFile
) -> None:
    file = write_file("environments:\n  1:\n    deny_keys: pin\n", "spanbridge.yaml")

    settings = warn({"environment": "1"}, {**ALL, **file})

    assert [options.name for options in settings.destinations] == ["console", "file"]
    [problem] = settings.problems
    assert "it is no text. Put it in quotes." in str(problem)


def test_a_mistyped_table_without_privacy_costs_itself_alone(
    warn: Warn, write_file: WriteFile
) -> None:
    settings = warn(environ={**ALL, **write_file("[enviroments.production]\nissues = 'all'\n")})

    assert len(settings.destinations) == 4
    assert len(settings.problems) == 1


@pytest.mark.parametrize(
    "variable", ["SPANBRIDGE_CONFIG_FILE", "SPANBRIDGE_CONFG", "SPANBRIDGE_SETTINGS"]
)
def test_a_settings_file_under_a_mistyped_name_withholds(warn: Warn, variable: str) -> None:
    settings = warn(environ={**ALL, variable: "private.toml"})

    assert [options.name for options in settings.destinations] == ["console", "file"]


@pytest.mark.parametrize("argument", ["config_file", "settings"])
def test_a_settings_file_as_a_mistyped_argument_withholds(warn: Warn, argument: str) -> None:
    settings = warn({argument: "private.toml"}, ALL)

    assert [options.name for options in settings.destinations] == ["console", "file"]


def test_an_argument_that_holds_itself_is_told_like_any_other(warn: Warn) -> None:
    endless: list[object] = [{"deny_keys": "pin"}]
    endless += [endless, endless]

    settings = warn({"whatever": endless}, ALL)

    assert [options.name for options in settings.destinations] == ["console", "file"]


def test_an_unknown_name_is_left_out_of_the_list(warn: Warn) -> None:
    settings = warn(environ={"SPANBRIDGE_DESTINATIONS": "consoel,file"})

    assert [options.name for options in settings.destinations] == ["file"]
    assert "Did you mean 'console'?" in str(settings.problems[0])


def test_a_table_without_kind_is_told_once_however_it_is_chosen(
    warn: Warn, write_file: WriteFile
) -> None:
    environ = write_file(
        "[destinations.audit]\npath = 'a'\n"
        "[environments.production.destinations.audit]\nsample_rate = 1\n"
    )

    settings = warn(environ={**environ, "SPANBRIDGE_DESTINATIONS": "audit,console"})

    [problem] = settings.problems
    assert str(problem).startswith("audit in [destinations] of spanbridge.toml line 1 is 'audit': ")
    assert "its kind is missing" in str(problem)


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


GOES_ON_WITH = {
    "sentry.sample_rate": 0.3,
    "sentry.max_traces_per_s": 1.0,
    "sentry.mode": "errors",
    "sentry.wire": "transactions",
    "sentry.span_events": "logs",
    "sentry.timeout_s": 10.0,
    "sentry.queue_max_items": 65_536,
    "sentry.queue_max_bytes": 67_108_864,
    "spotlight.sample_rate": 1.0,
    "otlp.sample_rate": 0.3,
    "otlp.timeout_s": 10.0,
    "otlp.compression": "none",
    "otlp.metrics": False,
    "otlp.metrics_timeout_s": None,
    "otlp.metrics_compression": None,
    "otlp.metrics_temporality": "cumulative",
    "otlp.metrics_histograms": "explicit_bucket_histogram",
    "console.sample_rate": 0.3,
    "file.metrics": False,
}
"""What a destination goes on with in ``staging``, by kind and setting."""


@pytest.mark.parametrize(("place", "fallback"), GOES_ON_WITH.items())
def test_how_much_and_in_which_form_is_no_reason_to_send_nothing(
    warn: Warn, place: str, fallback: object
) -> None:
    kind, _, key = place.partition(".")
    given = {"dsn": DSN} if kind in ("sentry", "spotlight") else {}

    settings = warn(
        {"environment": "staging", "destinations": {kind: {**given, key: "half of it"}}}
    )

    [destination] = settings.destinations
    assert getattr(destination, key) == fallback
    [problem] = settings.problems
    assert "half of it" in str(problem)
    shown = "false" if fallback is False else repr(fallback)
    said = f". Until then it is {shown}."
    assert str(problem).endswith(said) is (fallback is not None)
    assert settings.source_of(f"destinations.{kind}.{key}") == f"{problem.setting} is unusable"


def test_where_with_what_credentials_and_what_are_reasons_to_send_nothing() -> None:
    costly = {
        (kind, key)
        for kind, options in KINDS.items()
        for key, option in options_of(options).items()
        if not option.can_do_without and not option.is_privacy
    }

    assert {key for _, key in costly} == {
        *("match", "dsn", "org_id", "http_proxy", "https_proxy"),
        *("ca_certs", "cert_file", "key_file"),
        *("endpoint", "protocol", "headers", "insecure"),
        *("certificate_file", "client_certificate_file", "client_key_file"),
        *("metrics_endpoint", "metrics_protocol", "metrics_headers", "metrics_certificate_file"),
        *("metrics_client_certificate_file", "metrics_client_key_file"),
        *("path", "host", "port"),
    }


def test_errors_flow_whatever_the_rate_is_changed_to() -> None:
    first = load({"dsn": DSN, "environment": "production", "sample_rate": 1}, {})
    second = load({"dsn": DSN, "environment": "production", "sample_rate": "50%"}, {})

    assert [one.sample_rate for one in (*first.destinations, *second.destinations)] == [1, 0.1]
    [problem] = second.problems
    assert str(problem).startswith("configure(sample_rate=...) is '50%': it is not a number. ")


def test_a_rate_that_is_unusable_is_raised_where_it_is_to_be() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"dsn": DSN, "environment": "development", "sample_rate": "50%"}, {})

    assert "Until then" not in str(caught.value)
