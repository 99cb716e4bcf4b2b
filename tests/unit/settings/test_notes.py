"""What can be used and may not be what was meant: notes, not problems."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from spanbridge.metrics.self_metrics import TAKING
from spanbridge.settings import load
from spanbridge.settings.elsewhere import NOTHING_OF_OURS
from spanbridge.settings.options import KINDS
from spanbridge.telemetry import Telemetry

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile

DSN = "https://key@sentry.example/1"
LIST = {"OTEL_TRACES_EXPORTER": "console"}


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        ({}, {"SENTRY_DSN": DSN, **LIST}, "SENTRY_DSN"),
        ({}, {"SENTRY_DSN": DSN, "OTEL_TRACES_EXPORTER": NOTHING_OF_OURS}, "SENTRY_DSN"),
        ({"dsn": DSN}, LIST, "configure(dsn=...)"),
        ({}, {"SENTRY_SPOTLIGHT": "1", **LIST}, "SENTRY_SPOTLIGHT"),
        ({}, {"SPANBRIDGE_OTLP_ENDPOINT": "http://c:4318", **LIST}, "SPANBRIDGE_OTLP_ENDPOINT"),
        (
            {},
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318", **LIST},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        (
            {},
            {"SPANBRIDGE_AUDIT_KIND": "file", "SPANBRIDGE_AUDIT_PATH": "a.jsonl", **LIST},
            "SPANBRIDGE_AUDIT_PATH",
        ),
    ],
)
def test_what_a_preset_list_passes_over_is_told(
    arguments: dict[str, object], environ: dict[str, str], told: str
) -> None:
    settings = load(arguments, environ)

    [note] = settings.notes
    assert note.startswith(f"{told} is set, but OTEL_TRACES_EXPORTER does not name ")
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ({}, {"SENTRY_DSN": DSN}),
        ({}, {"SENTRY_DSN": DSN, "OTEL_TRACES_EXPORTER": "sentry,console"}),
        ({}, {"SENTRY_DSN": DSN, "SPANBRIDGE_DESTINATIONS": "console"}),
        ({}, {"SENTRY_DSN": DSN, "SPANBRIDGE_DESTINATIONS": "console", **LIST}),
        ({"destinations": "console"}, {"SENTRY_DSN": DSN, **LIST}),
        ({}, {"SENTRY_DSN": DSN, "SPANBRIDGE_SENTRY_ENABLED": "false", **LIST}),
        ({}, {"SENTRY_DSN": DSN, "SPANBRIDGE_SENTRY_ENABLED": "true", **LIST}),
        ({}, {"SENTRY_DSN": DSN, "OTEL_SDK_DISABLED": "true", **LIST}),
        # The off switch, also where metrics go somewhere.
        ({}, {"SENTRY_DSN": DSN, "OTEL_TRACES_EXPORTER": "none"}),
        ({"dsn": DSN}, {"OTEL_TRACES_EXPORTER": " None "}),
        (
            {},
            {
                "SENTRY_DSN": DSN,
                "OTEL_TRACES_EXPORTER": "none",
                "OTEL_METRICS_EXPORTER": "prometheus",
            },
        ),
        # Metrics alone choose nothing; OpenTelemetry's endpoint is there for other signals too.
        ({}, {"SENTRY_DSN": DSN, "OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **LIST}),
    ],
)
def test_what_was_chosen_or_left_out_on_purpose_is_not(
    arguments: dict[str, object], environ: dict[str, str]
) -> None:
    assert load(arguments, environ).notes == ()


def test_a_list_of_the_settings_file_is_meant(write_file: WriteFile) -> None:
    file = write_file("destinations = ['console']")

    assert load({}, {"SENTRY_DSN": DSN, **file}).notes == ()


def test_a_list_that_cannot_be_read_is_told_as_that_alone() -> None:
    settings = load({}, {"SENTRY_DSN": DSN, "OTEL_TRACES_EXPORTER": "none,sentry"})

    assert (len(settings.problems), settings.notes) == (1, ())


def test_the_start_tells_it_in_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    environ = {"SENTRY_DSN": DSN, "OTEL_TRACES_EXPORTER": NOTHING_OF_OURS}

    for _ in range(2):
        telemetry.configure(load({}, environ))

    [warning] = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert warning.getMessage().startswith("spanbridge: SENTRY_DSN is set, but OTEL_TRACES_EXP")


SELF = {"SPANBRIDGE_SELF_METRICS": "true", "SENTRY_DSN": DSN}


@pytest.mark.parametrize(
    ("arguments", "environ", "setting"),
    [
        ({}, {**SELF, "SPANBRIDGE_DESTINATIONS": "sentry,file"}, "SPANBRIDGE_SELF_METRICS"),
        ({"self_metrics": True}, {"SENTRY_DSN": DSN}, "configure(self_metrics=...)"),
        (
            {},
            {
                **SELF,
                "SPANBRIDGE_DESTINATIONS": "sentry,otlp",
                "SPANBRIDGE_OTLP_METRICS": "false",
            },
            "SPANBRIDGE_SELF_METRICS",
        ),
    ],
)
def test_self_metrics_that_nothing_takes_are_told(
    arguments: dict[str, object], environ: dict[str, str], setting: str
) -> None:
    settings = load(arguments, environ)

    assert settings.problems == ()
    assert settings.notes == (
        f"{setting} has no effect: no destination of kind otlp or prometheus takes metrics.",
    )


@pytest.mark.parametrize(
    "environ",
    [
        {**SELF, "SPANBRIDGE_DESTINATIONS": "sentry,otlp"},
        {**SELF, "SPANBRIDGE_DESTINATIONS": "sentry,prometheus"},
        {**SELF, "SPANBRIDGE_DESTINATIONS": "none"},
        {**SELF, "SPANBRIDGE_DESTINATIONS": "sentry,oltp"},  # a problem says what is amiss
        {**SELF, "OTEL_SDK_DISABLED": "true"},
        {"SENTRY_DSN": DSN},
    ],
)
def test_self_metrics_that_something_takes_or_nobody_misses_are_not(
    environ: dict[str, str],
) -> None:
    assert load({"environment": "production"}, environ).notes == ()


@pytest.mark.parametrize("kind", KINDS)
def test_who_takes_self_metrics_is_said_alike_in_both_places(kind: str) -> None:
    assert KINDS[kind](name=kind).takes_self_metrics == (kind in TAKING)


@pytest.mark.parametrize(
    ("environment", "table"),
    [
        ("prodution", "production"),
        ("production", "produktion"),
        ("PRODUCTION", "Produktion"),
        ("prod", "production"),
        ("development", "dev"),
    ],
)
def test_an_environment_without_a_table_is_told_where_one_is_spelt_like_it(
    write_file: WriteFile, environment: str, table: str
) -> None:
    file = write_file(f"[environments.{table}]\nissues = 'all'\n[environments.other]\n")

    settings = load({"destinations": "file"}, {**file, "SENTRY_ENVIRONMENT": environment})

    assert settings.problems == ()
    assert settings.notes == (
        f"environment {environment!r} has no table in spanbridge.toml; near: {table}",
    )


@pytest.mark.parametrize(
    ("environment", "content"),
    [
        ("production", "issues = 'all'"),
        ("prodution", "issues = 'all'"),
        ("production", "[environments.Production]\n[environments.produktion]"),
        ("staging", "[environments.testing]\n[environments.production]"),
        ("production-eu", "[environments.production]"),
        ("eu.production", "[environments.production]"),
        ("staging2", "[environments.staging]"),
    ],
)
def test_an_environment_that_needs_no_table_or_has_one_is_not(
    write_file: WriteFile, environment: str, content: str
) -> None:
    file = write_file(content)

    assert load({"destinations": "file"}, {**file, "SENTRY_ENVIRONMENT": environment}).notes == ()
