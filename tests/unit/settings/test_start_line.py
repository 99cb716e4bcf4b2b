from __future__ import annotations

import pytest

from spanbridge.settings import load, start_line


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, "spanbridge: sending nowhere; environment production (default)"),
        (
            {
                "SENTRY_DSN": "https://key@o1.ingest.sentry.io/1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:pw@c.example:4318",
            },
            "spanbridge: sending to sentry(o1.ingest.sentry.io/1, 10 %), otlp(c.example:4318, "
            "100 %); environment production (default)",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "console,file", "SPANBRIDGE_FILE_SAMPLE_RATE": "0.125"},
            "spanbridge: sending to console(100 %), file(telemetry.jsonl, 12.5 %); environment "
            "development (every destination is on this machine)",
        ),
        (
            {"SENTRY_ENVIRONMENT": "staging"},
            "spanbridge: sending nowhere; environment staging (SENTRY_ENVIRONMENT)",
        ),
        (
            {"SPANBRIDGE_DESTINATIONS": "consoel", "SPANBRIDGE_ISSUES": "al"},
            "spanbridge: sending nowhere; environment production (default); 2 problems",
        ),
    ],
)
def test_one_line_says_where_data_goes(environ: dict[str, str], line: str) -> None:
    assert start_line(load({}, environ)) == line


def test_a_destination_for_errors_says_so() -> None:
    settings = load({"dsn": "https://k@sentry.example/1"}, {"SPANBRIDGE_SENTRY_MODE": "errors"})

    assert "sentry(sentry.example/1, errors only)" in start_line(settings)


def test_two_projects_of_one_server_can_be_told_apart() -> None:
    projects = {
        name: {"kind": "sentry", "dsn": f"http://key@127.0.0.1:9000/sub/{number}"}
        for name, number in (("shop", 1), ("audit", 2))
    }
    line = start_line(load({"destinations": projects}, {}))

    assert "shop(127.0.0.1:9000/sub/1, 100 %), audit(127.0.0.1:9000/sub/2, 100 %)" in line
    assert "key" not in line
