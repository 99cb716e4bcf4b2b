from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import OtlpOptions, SentryOptions, Settings, SpotlightOptions, load

if TYPE_CHECKING:
    from tests.unit.settings.conftest import WriteFile

DSN = "https://key@sentry.example/1"


def names(settings: Settings) -> list[str]:
    return [options.name for options in settings.destinations]


def otlp(environ: dict[str, str]) -> OtlpOptions:
    [options] = load({"destinations": "otlp"}, environ).destinations
    assert isinstance(options, OtlpOptions)
    return options


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SPANBRIDGE_DESTINATIONS": "console, FILE,console"}, ["console", "file"]),
        ({"SPANBRIDGE_DESTINATIONS": "none", "SENTRY_DSN": DSN}, []),
        ({"SPANBRIDGE_DESTINATIONS": "file", "OTEL_TRACES_EXPORTER": "console"}, ["file"]),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http,console"}, ["otlp", "console"]),
        ({"OTEL_TRACES_EXPORTER": "none", "SENTRY_DSN": DSN}, []),
        ({"SENTRY_DSN": DSN}, ["sentry"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, ["otlp"]),
        ({"SPANBRIDGE_FILE_PATH": "t.jsonl"}, ["file"]),
        ({"SENTRY_DSN": DSN, "SPANBRIDGE_SENTRY_ENABLED": "false"}, []),
        ({"SENTRY_DSN": DSN, "SPANBRIDGE_CONSOLE_ENABLED": "on"}, ["sentry", "console"]),
        ({"SENTRY_DSN": DSN, "OTEL_SDK_DISABLED": "true"}, []),
        ({"SENTRY_TRACES_SAMPLE_RATE": "0.5"}, []),
        ({"SENTRY_SPOTLIGHT": "true"}, ["spotlight"]),
        ({"SENTRY_SPOTLIGHT": "1", "SENTRY_DSN": DSN}, ["sentry", "spotlight"]),
        ({"SENTRY_SPOTLIGHT": "off", "SENTRY_DSN": DSN}, ["sentry"]),
        ({"SENTRY_SPOTLIGHT": "", "SENTRY_DSN": DSN}, ["sentry"]),
        ({"SENTRY_SPOTLIGHT": "1", "SPANBRIDGE_DESTINATIONS": "console"}, ["console"]),
        ({"SPANBRIDGE_PROMETHEUS_PORT": "9500"}, ["prometheus"]),
        ({"OTEL_EXPORTER_PROMETHEUS_PORT": "9500", "SENTRY_DSN": DSN}, ["sentry", "prometheus"]),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, ["prometheus"]),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, []),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "prometheus"},
            ["otlp", "prometheus"],
        ),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "prometheus"}, ["prometheus"]),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_grpc,otlp"}, ["otlp"]),
        (
            {"SPANBRIDGE_DESTINATIONS": "console", "OTEL_METRICS_EXPORTER": "prometheus"},
            ["console"],
        ),
    ],
)
def test_destinations_are_those_listed_else_those_with_an_address(
    environ: dict[str, str], expected: list[str]
) -> None:
    settings = load({}, environ)

    assert names(settings) == expected
    assert settings.problems == ()


@pytest.mark.parametrize(
    "destinations",
    [["sentry", "console"], ("sentry", "console"), "sentry,console", {"sentry": {}, "console": {}}],
)
def test_the_argument_takes_a_sequence_a_comma_list_or_a_mapping(destinations: object) -> None:
    settings = load({"destinations": destinations, "dsn": DSN}, {"SPANBRIDGE_DESTINATIONS": "file"})

    assert names(settings) == ["sentry", "console"]


def test_an_empty_sequence_as_argument_means_none() -> None:
    assert names(load({"destinations": []}, {"SENTRY_DSN": DSN})) == []


def test_a_kind_can_have_several_named_destinations(write_file: WriteFile) -> None:
    environ = write_file(
        f'[destinations.sentry]\ndsn = "{DSN}"\n'
        '[destinations.audit-log]\nkind = "sentry"\ndsn = "https://key@audit.example/2"\n'
        "sample_rate = 1.0\n"
    )
    environ |= {"ENVIRONMENT": "production", "SPANBRIDGE_AUDIT_LOG_QUEUE_MAX_ITEMS": "7"}

    first, second = load({}, environ).destinations

    assert isinstance(first, SentryOptions)
    assert isinstance(second, SentryOptions)
    assert first.dsn is not None
    assert second.dsn is not None
    assert (first.name, first.dsn.host, first.sample_rate) == ("sentry", "sentry.example", 0.1)
    assert (second.name, second.dsn.host, second.sample_rate) == (
        "audit-log",
        "audit.example",
        1.0,
    )
    assert (first.queue_max_items, second.queue_max_items) == (65_536, 7)


def test_variables_alone_can_make_a_named_destination() -> None:
    settings = load({}, {"SPANBRIDGE_AUDIT_KIND": "file", "SPANBRIDGE_AUDIT_PATH": "audit.jsonl"})

    [options] = settings.destinations
    assert (options.name, options.kind, options.place) == ("audit", "file", "audit.jsonl")


def test_a_vendors_key_in_a_shared_variable_never_goes_to_another_destination(
    write_file: WriteFile,
) -> None:
    environ = write_file(
        '[destinations.vendor]\nkind = "otlp"\nendpoint = "https://vendor.example"\n'
    )
    environ["OTEL_EXPORTER_OTLP_HEADERS"] = "api-key=other"

    [options] = load({}, environ).destinations

    assert isinstance(options, OtlpOptions)
    assert options.headers == ()


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/base"}, "http://c/base/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/own"}, "http://c/own"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://weak",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://strong/x",
            },
            "http://strong/x",
        ),
        ({"SPANBRIDGE_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"SPANBRIDGE_OTLP_ENDPOINT": "http://c:4318/v1/traces"}, "http://c:4318/v1/traces"),
    ],
)
def test_the_otlp_endpoint_follows_the_specification(
    variables: dict[str, str], endpoint: str
) -> None:
    assert otlp(variables).traces_target.endpoint == endpoint


def test_otlp_headers_timeout_and_compression_follow_the_specification() -> None:
    Path("ca.pem").touch()
    options = otlp(
        {
            "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b,x=1",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
        }
    )

    assert {name: value.reveal() for name, value in options.headers} == {
        "api-key": "a b",
        "x": "1",
    }
    assert options.timeout_s == 2.5
    assert options.compression == "gzip"
    assert options.certificate_file == "ca.pem"


@pytest.mark.parametrize(
    ("sampler", "rate"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_on"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, 0.25),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            0.5,
        ),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "somebody_elses", "OTEL_TRACES_SAMPLER_ARG": "x"}, 1.0),
    ],
)
def test_otels_sampler_rules_every_destination_but_sentry(
    sampler: dict[str, str], rate: float
) -> None:
    environ = {"SENTRY_DSN": DSN, "SENTRY_TRACES_SAMPLE_RATE": "0.7", **sampler}

    settings = load({"destinations": "sentry,otlp,console,file"}, environ)

    assert [o.sample_rate for o in settings.destinations] == [0.7, rate, rate, rate]


def test_prompts_and_answers_go_only_to_the_destinations_that_are_named() -> None:
    settings = load(
        {"destinations": "sentry,console,file", "dsn": DSN},
        {"SPANBRIDGE_CAPTURE_CONTENT": "file,console"},
    )

    assert {o.name: o.capture_content for o in settings.destinations} == {
        "sentry": False,
        "console": True,
        "file": True,
    }


@pytest.mark.parametrize("off", ["off", False, [], "OFF"])
def test_capturing_content_can_be_switched_off_by_a_stronger_source(off: object) -> None:
    settings = load({"capture_content": off}, {"SPANBRIDGE_CAPTURE_CONTENT": "console"})

    assert settings.capture_content == ()


def test_a_dsn_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text(f"{DSN}\n")

    settings = load({}, {"SENTRY_DSN_FILE": "dsn"})

    [options] = settings.destinations
    assert isinstance(options, SentryOptions)
    assert options.dsn is not None
    assert options.dsn.reveal() == DSN
    assert settings.source_of("destinations.sentry.dsn") == "SENTRY_DSN_FILE"


def test_propagation_can_be_limited_to_hosts_or_to_none() -> None:
    assert load({}, {"SPANBRIDGE_PROPAGATE_TO": "a,b"}).propagate_to == ("a", "b")
    assert load({}, {"SPANBRIDGE_PROPAGATE_TO": "none"}).propagate_to == ()


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("true", "localhost:8969"),
        ("YES", "localhost:8969"),
        ("http://localhost:9999/stream", "localhost:9999"),
        ("http://[::1]:9999", "[::1]:9999"),
    ],
)
def test_spotlight_is_a_word_or_the_url_of_its_stream(said: str, place: str) -> None:
    settings = load({}, {"SENTRY_SPOTLIGHT": said, "SENTRY_TRACES_SAMPLE_RATE": "0"})

    [options] = settings.destinations
    assert isinstance(options, SpotlightOptions)
    assert options.dsn is not None
    assert options.dsn.envelope_url == f"http://{place}/api/1/envelope/"
    assert (options.place, options.is_local, options.sample_rate) == (place, True, 1.0)
    assert settings.environment == "development"


def test_spotlight_has_an_address_of_its_own_and_sentrys_options() -> None:
    environ = {
        "SENTRY_SPOTLIGHT": "true",
        "SPANBRIDGE_SPOTLIGHT_DSN": "http://k@127.0.0.1:7777/2",
        "SPANBRIDGE_SPOTLIGHT_SPAN_EVENTS": "attributes",
        "SENTRY_DSN": DSN,
    }
    sentry, spotlight = load({}, environ).destinations

    assert (sentry.place, spotlight.place) == ("sentry.example/1", "127.0.0.1:7777")
    assert isinstance(spotlight, SpotlightOptions)
    assert (spotlight.span_events, spotlight.wire) == ("attributes", "transactions")


def test_no_part_of_the_traces_goes_where_only_errors_do() -> None:
    dsn = "https://key@sentry.example/1"
    for mode, rate in (("full", 0.1), ("errors", None)):
        given = {"sentry": {"dsn": dsn, "mode": mode, "sample_rate": 0.1}, "prometheus": {}}
        sentry, prometheus = load({"destinations": given}, {}).destinations
        assert (sentry.rate_of_traces, prometheus.rate_of_traces) == (rate, None)
