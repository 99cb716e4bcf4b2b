"""Whether a process has anything to do with us."""

from __future__ import annotations

import pytest

from spanbridge.zero_code.concern import concerns_us

PROGRAM = ("python", "app.py")


@pytest.mark.parametrize(
    "environ",
    [
        {"SENTRY_DSN": "https://key@host/1"},
        {"SPANBRIDGE_DESTINATIONS": "console"},
        {"SPANBRIDGE_OTHER_KIND": "otlp"},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_CONFIG_FILE": "otel.yaml", "OTEL_SDK_DISABLED": "false"},
    ],
)
def test_what_names_a_destination_concerns_us(environ: dict[str, str]) -> None:
    assert concerns_us(environ, PROGRAM)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SENTRY_DSN": "", "OTEL_TRACES_EXPORTER": " "},
        {"SENTRY_ENVIRONMENT": "production", "OTEL_SERVICE_NAME": "shop"},
        {"SENTRY_DSN": "https://key@host/1", "OTEL_SDK_DISABLED": " TRUE "},
    ],
)
def test_other_variables_do_not(environ: dict[str, str]) -> None:
    assert not concerns_us(environ, PROGRAM)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("python", "-c", "from multiprocessing.resource_tracker import main;main(4)"), False),
        (("python", "-s", "-c", "from multiprocessing.spawn import spawn_main; x()"), True),
        (("python", "-c", "print()"), True),
        (("python", "resource_tracker.py"), True),
    ],
)
def test_helpers_of_python_do_not(command: tuple[str, ...], expected: bool) -> None:
    assert concerns_us({"SENTRY_DSN": "https://key@host/1"}, command) is expected
