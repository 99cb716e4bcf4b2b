"""Whose the names in OpenTelemetry's exporter variables are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.settings.elsewhere import Elsewhere
from spanbridge.settings.loading import load
from spanbridge.settings.options import OtlpOptions
from spanbridge.settings.sources import Table
from spanbridge.zero_code.exporter_names import ExporterNames

OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
DSN = {"SENTRY_DSN": "http://key@127.0.0.1:9/1"}


@pytest.mark.parametrize(
    ("value", "ours", "others"),
    [
        ("", None, ""),
        ("none", "none", ""),
        ("sentry, otlp", "sentry,otlp", ""),
        ("otlp_proto_http,console", "otlp_proto_http,console", ""),
        ("misspelt", "misspelt", ""),
    ],
)
def test_what_we_can_send_is_ours_where_we_set_up(
    value: str, ours: str | None, others: str
) -> None:
    names = ExporterNames.of({"OTEL_TRACES_EXPORTER": value})

    assert (names.ours, names.traces, names.has_others) == (ours, others, False)


def test_logs_and_metrics_go_to_whoever_is_named() -> None:
    names = ExporterNames.of(
        {"OTEL_LOGS_EXPORTER": "sentry,otlp", "OTEL_METRICS_EXPORTER": "prometheus, sentry"}
    )

    assert (names.logs, names.metrics) == ("otlp", "prometheus")
    assert names.asks_for_metrics
    assert names.has_others


def test_metrics_of_a_destination_that_was_asked_for_are_no_business_of_others() -> None:
    names = ExporterNames.of(
        {"OTEL_METRICS_EXPORTER": "otlp, otlp_proto_grpc,Console,prometheus,vendor"}
    )

    assert names.without(("sentry", "otlp", "console")).metrics == "prometheus,vendor"
    assert not replace(names, metrics="otlp").without(("otlp",)).has_others


def test_beside_another_set_up_metrics_are_theirs() -> None:
    environ = {**DSN, "OTEL_METRICS_EXPORTER": "otlp,prometheus", "SPANBRIDGE_OTLP_ENABLED": "1"}
    names = ExporterNames.beside_another_set_up(environ)
    elsewhere = Elsewhere(exporters=names.ours, metrics_exporters=names.our_metrics)

    sentry, otlp = load({}, elsewhere.environ(environ)).destinations

    assert (sentry.name, otlp.name) == ("sentry", "otlp")
    assert isinstance(otlp, OtlpOptions)
    assert not otlp.metrics


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("otlp", ["sentry"]),
        ("sentry,otlp", ["sentry"]),
        ("", ["sentry", "otlp"]),
        ("none", []),
    ],
)
def test_beside_another_set_up_only_sentry_is_ours(value: str, expected: list[str]) -> None:
    environ = {**OTLP, **DSN, "OTEL_TRACES_EXPORTER": value}
    names = ExporterNames.beside_another_set_up(environ)
    elsewhere = Elsewhere(exporters=names.ours, sends_otlp=names.sends_otlp)

    settings = load({}, elsewhere.environ(environ))

    assert [options.name for options in settings.destinations] == expected


@pytest.mark.parametrize(
    "own",
    [
        {"SPANBRIDGE_OTLP_ENDPOINT": "http://127.0.0.1:4319"},
        {"SPANBRIDGE_OTLP_ENABLED": "true"},
    ],
)
def test_otlp_with_an_address_or_a_switch_of_its_own_stays(own: dict[str, str]) -> None:
    environ = {**DSN, **own, "SPANBRIDGE_DESTINATIONS": "sentry,otlp"}
    seen = Elsewhere(exporters="", sends_otlp=True).environ(environ)

    assert [options.name for options in load({}, seen).destinations] == ["sentry", "otlp"]


@given(st.lists(st.sampled_from(["sentry", "otlp", "console", "none", "", " zipkin ", "OTLP"])))
def test_every_name_is_somebodys(names: list[str]) -> None:
    divided = ExporterNames.of({"OTEL_TRACES_EXPORTER": ",".join(names)})
    found = [*(divided.ours or "").split(","), *divided.traces.split(",")]

    assert sorted(filter(None, found)) == sorted(name.strip() for name in names if name.strip())


def test_what_is_declared_is_stronger_than_variables_and_weaker_than_arguments() -> None:
    declared = (Table({"release": "declared", "dist": "declared"}, origin="otel.yaml"),)
    environ = {"SENTRY_RELEASE": "variable", "SENTRY_DIST": "variable"}

    settings = load({"dist": "argument"}, environ, declared=declared)

    assert (settings.release, settings.dist) == ("declared", "argument")
    assert settings.source_of("release") == "release in otel.yaml"


def test_a_declared_environment_has_its_own_table() -> None:
    content = {
        "environment": "staging",
        "release": "of all",
        "environments": {"staging": {"release": "of staging"}},
    }

    settings = load({}, {}, declared=(Table(content, origin="otel.yaml"),))

    assert settings.release == "of staging"
