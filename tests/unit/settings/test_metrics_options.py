"""Where metrics go, by OpenTelemetry's variables and by ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import OtlpOptions, OtlpTarget, PrometheusOptions, load, start_line
from spanbridge.settings.ports import Ports

if TYPE_CHECKING:
    from spanbridge.settings import DestinationOptions

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
METRICS = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"


def one(environ: dict[str, str], destinations: object = "otlp") -> DestinationOptions:
    [options] = load({"destinations": destinations}, environ).destinations
    return options


def target(environ: dict[str, str], destinations: object = "otlp") -> OtlpTarget:
    options = one(environ, destinations)
    assert isinstance(options, OtlpOptions)
    assert options.metrics_target is not None
    return options.metrics_target


def headers(of: OtlpTarget) -> dict[str, str]:
    return {name: value.reveal() for name, value in of.headers}


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, "http://localhost:4318/v1/metrics"),
        ({BASE: "http://c:4318/"}, "http://c:4318/v1/metrics"),
        ({BASE: "http://c/base"}, "http://c/base/v1/metrics"),
        ({METRICS: "http://m/own"}, "http://m/own"),
        ({BASE: "http://c", METRICS: "http://m/own"}, "http://m/own"),
        ({BASE: "http://c", TRACES: "http://t/own"}, "http://c/v1/metrics"),
        ({TRACES: "http://t/own", METRICS: "http://m/own"}, "http://m/own"),
        ({"SPANBRIDGE_OTLP_ENDPOINT": "http://c"}, "http://c/v1/metrics"),
        ({"SPANBRIDGE_OTLP_METRICS_ENDPOINT": "http://m/x", METRICS: "http://w"}, "http://m/x"),
        (
            {TRACES: "http://t/v1/traces", "SPANBRIDGE_OTLP_METRICS": "true"},
            "http://t/v1/metrics",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", BASE: "http://c:1"}, "http://c:1/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", BASE: "c:1"}, "c:1"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", BASE: "[::1]:4317"}, "[::1]:4317"),
    ],
)
def test_the_address_of_metrics_follows_the_specification(
    environ: dict[str, str], endpoint: str
) -> None:
    assert target(environ).endpoint == endpoint


@pytest.mark.parametrize(
    "environ",
    [
        {TRACES: "http://t/v1/traces"},
        {"OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_METRICS_EXPORTER": "prometheus, console"},
        {"SPANBRIDGE_OTLP_METRICS": "off", "OTEL_METRICS_EXPORTER": "otlp"},
        {TRACES: "http://t/own", "SPANBRIDGE_OTLP_METRICS": "true"},
    ],
)
def test_metrics_stay_where_nobody_wants_them(environ: dict[str, str]) -> None:
    options = one(environ)

    assert isinstance(options, OtlpOptions)
    assert options.metrics_target is None


def test_an_address_given_as_argument_is_that_of_both_signals() -> None:
    found = target({BASE: "http://weak"}, {"otlp": {"endpoint": "http://strong"}})

    assert found.endpoint == "http://strong/v1/metrics"


def test_each_of_the_signals_has_variables_of_its_own() -> None:
    found = target(
        {
            BASE: "https://c",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "key=m",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE": "ca.pem",
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE": "cert.pem",
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY": "key.pem",
            "OTEL_EXPORTER_OTLP_HEADERS": "key=all",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5000",
        }
    )

    assert (found.is_grpc, found.authority, found.has_tls) == (True, "c", True)
    assert headers(found) == {"key": "m"}
    assert (found.timeout_s, found.compression) == (2.5, "gzip")
    files = (found.certificate_file, found.client_certificate_file, found.client_key_file)
    assert files == ("ca.pem", "cert.pem", "key.pem")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({BASE: "http://c", "OTEL_EXPORTER_OTLP_HEADERS": "key=all"}, {"key": "all"}),
        (
            {BASE: "http://c", TRACES: "http://t/x", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=t"},
            {},
        ),
        (
            {
                BASE: "http://c",
                TRACES: "http://t/x",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=t",
                "OTEL_EXPORTER_OTLP_HEADERS": "key=all",
            },
            {"key": "all"},
        ),
        ({METRICS: "http://m/x", "OTEL_EXPORTER_OTLP_HEADERS": "key=all"}, {"key": "all"}),
        ({METRICS: "http://m/x", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=t"}, {}),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=t",
                "OTEL_EXPORTER_OTLP_HEADERS": "key=all",
            },
            {"key": "all"},
        ),
    ],
)
def test_the_key_for_traces_goes_to_no_other_server(
    environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert headers(target(environ)) == expected


@pytest.mark.parametrize(
    ("environ", "has_tls"),
    [
        ({BASE: "http://c:4317"}, False),
        ({BASE: "https://c:4317"}, True),
        ({BASE: "c:4317"}, True),
        ({BASE: "c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, False),
        ({BASE: "https://c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, True),
    ],
)
def test_a_scheme_says_whether_grpc_has_tls_else_a_variable(
    environ: dict[str, str], has_tls: bool
) -> None:
    options = one({**environ, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert isinstance(options, OtlpOptions)
    assert options.traces_target.has_tls is has_tls
    assert options.place == "c:4317"


def test_metrics_that_leave_this_machine_count_as_leaving() -> None:
    assert one({BASE: "http://localhost:4318"}).is_local
    assert not one({BASE: "http://localhost:4318", METRICS: "https://far/x"}).is_local


@pytest.mark.parametrize(
    ("said", "expected"),
    [("9464", Ports(9464)), ("9464-9471", Ports(9464, 9471)), (1, Ports(1)), ("off", None)],
)
def test_a_port_a_range_or_none(said: object, expected: Ports | None) -> None:
    options = one({}, {"prometheus": {"port": said}})

    assert isinstance(options, PrometheusOptions)
    assert options.port == expected


@pytest.mark.parametrize(
    ("environ", "place", "is_local"),
    [
        ({}, "127.0.0.1:9464", True),
        ({"OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0"}, "0.0.0.0:9464", False),
        ({"OTEL_EXPORTER_PROMETHEUS_PORT": "1234"}, "127.0.0.1:1234", True),
        (
            {"OTEL_EXPORTER_PROMETHEUS_PORT": "1234", "SPANBRIDGE_PROMETHEUS_PORT": "9464-9465"},
            "127.0.0.1:9464-9465",
            True,
        ),
        ({"SPANBRIDGE_PROMETHEUS_PORT": "off"}, "", True),
    ],
)
def test_the_page_for_prometheus_is_on_this_machine_unless_somebody_says_otherwise(
    environ: dict[str, str], place: str, is_local: bool
) -> None:
    options = one(environ, "prometheus")

    assert (options.place, options.is_local) == (place, is_local)


@pytest.mark.parametrize(
    ("port", "shown"), [("9464", "prometheus(127.0.0.1:9464)"), ("off", "prometheus")]
)
def test_the_start_line_names_no_rate_where_no_traces_go(port: str, shown: str) -> None:
    settings = load({"destinations": {"prometheus": {"port": port}}, "environment": "e"}, {})

    assert start_line(settings) == f"spanbridge: sending to {shown}; environment e (argument)"


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, 60.0),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "500"}, 0.5),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "500", "SPANBRIDGE_METRIC_INTERVAL_S": "7"}, 7.0),
    ],
)
def test_the_interval_is_in_milliseconds_as_the_specification_has_it(
    environ: dict[str, str], interval_s: float
) -> None:
    assert load({}, environ).metric_interval_s == interval_s
