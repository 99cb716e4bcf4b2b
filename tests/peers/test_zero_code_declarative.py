"""OpenTelemetry's configuration file with our components and our settings in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.program import REPOSITORY
from tests.support.zero_code import FASTAPI, ONCE, WORK, at_sentry, run_launched, serving

EVERYTHING = """
file_format: "1.1"
resource:
  detection/development:
    detectors:
      - spanbridge:
propagator:
  composite:
    - tracecontext:
    - baggage:
    - spanbridge:
tracer_provider:
  sampler:
    spanbridge:
  processors:
    - batch:
        exporter:
          sentry:
            dsn: ${THE_DSN}
            timeout_s: 7
    - batch:
        exporter:
          otlp_http:
            endpoint: ${THE_COLLECTOR}/v1/traces
logger_provider:
  processors:
    - batch:
        exporter:
          sentry:
distribution:
  spanbridge:
    release: "1.2.3"
    environment: staging
    service_name: shop
    sample_rate: 1.0
instrumentation/development:
  python:
    fastapi:
      exclude_spans: [send, receive]
"""
SETTINGS_ONLY = """
file_format: "1.1"
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: ${THE_COLLECTOR}/v1/traces
distribution:
  spanbridge:
    environment: development
    destinations:
      sentry:
        dsn: ${THE_DSN}
"""


GUIDE = REPOSITORY / "docs" / "guides" / "zero-code.md"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "otel.yaml"


@pytest.mark.parametrize("configurator", ["configurator", "spanbridge"])
@pytest.mark.parametrize("content", [EVERYTHING, SETTINGS_ONLY], ids=["everything", "settings"])
def test_what_the_file_says_arrives_once(
    receiver: Receiver, beside: str, file: Path, content: str, configurator: str
) -> None:
    file.write_text(content)
    done = run_launched(
        WORK,
        python=beside,
        OTEL_CONFIG_FILE=str(file),
        OTEL_PYTHON_CONFIGURATOR=configurator,
        OTEL_PYTHON_DISTRO="distro",
        THE_DSN=receiver.dsn,
        THE_COLLECTOR=receiver.otlp_endpoint,
        SENTRY_RELEASE="of the variable",
    )

    assert done.exit_code == 0
    assert "spanbridge:" not in done.stderr
    assert at_sentry(receiver) == ONCE
    assert Counter(span.name for span in receiver.spans) == ONCE
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["stacktrace"]["frames"]
    if content == EVERYTHING:
        assert issue.payload["release"] == "1.2.3"
        assert issue.payload["environment"] == "staging"
        assert done.lines == [str(["baggage", "sentry-trace", "traceparent"])]
        for span in receiver.spans:
            assert span.resource.attributes["service.name"] == "shop"
            assert span.resource.attributes["service.version"] == "1.2.3"
            assert span.resource.attributes["deployment.environment.name"] == "staging"
    assert receiver.violations == []


def test_a_service_configured_by_file_streams_without_a_span_per_part(
    receiver: Receiver, beside: str, file: Path, tmp_path: Path
) -> None:
    file.write_text(EVERYTHING)
    with serving(
        tmp_path,
        FASTAPI,
        python=beside,
        OTEL_CONFIG_FILE=str(file),
        OTEL_PYTHON_CONFIGURATOR="spanbridge",
        OTEL_PYTHON_DISTRO="spanbridge",
        THE_DSN=receiver.dsn,
        THE_COLLECTOR=receiver.otlp_endpoint,
    ) as service:
        assert httpx.get(f"{service.url}/stream").text.count("data:") == 4
        assert httpx.get(f"{service.url}/closed").status_code == 503
        receiver.wait_for(lambda r: len(r.transactions) == 2 and r.issues, 30)

    assert at_sentry(receiver) == {"GET /stream": 1, "GET /closed": 1}


def test_the_file_that_the_guide_shows_works(receiver: Receiver, beside: str, file: Path) -> None:
    file.write_text(GUIDE.read_text().partition("```yaml\n")[2].partition("```")[0])
    done = run_launched(
        WORK,
        python=beside,
        OTEL_CONFIG_FILE=str(file),
        OTEL_PYTHON_DISTRO="spanbridge",
        SENTRY_DSN=receiver.dsn,
        SENTRY_TRACES_SAMPLE_RATE="1",
    )

    assert (done.exit_code, at_sentry(receiver)) == (0, ONCE)
    [issue] = receiver.issues
    assert issue.payload["environment"] == "staging"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("release:", "relaese:", "relaese in distribution.spanbridge of {file} is"),
        ("sample_rate: 1.0", "sample_rate: much", "sample_rate in distribution.spanbridge of"),
        ("dsn: ${THE_DSN}", "dsn: nonsense", "dsn in exporter sentry of {file} is"),
        (
            "timeout_s: 7",
            "timeout_s: long",
            "timeout_s in [destinations.sentry] of exporter sentry",
        ),
        ('release: "1.2.3"', "release: [", "OTEL_CONFIG_FILE is '{file}'"),
        ("distribution:\n  spanbridge:\n", "distribution:\n  other:\n", ""),
    ],
)
@pytest.mark.parametrize("configurator", ["configurator", "spanbridge"])
def test_what_is_wrong_is_named_by_its_key(
    receiver: Receiver,
    beside: str,
    file: Path,
    before: str,
    after: str,
    told: str,
    configurator: str,
) -> None:
    assert before in EVERYTHING
    file.write_text(EVERYTHING.replace(before, after))
    done = run_launched(
        "print('still here')",
        python=beside,
        OTEL_CONFIG_FILE=str(file),
        OTEL_PYTHON_CONFIGURATOR=configurator,
        OTEL_PYTHON_DISTRO="distro",
        THE_DSN=receiver.dsn,
        THE_COLLECTOR=receiver.otlp_endpoint,
    )

    assert (done.exit_code, done.stdout) == (0, "still here\n")
    ours = [line for line in done.log_lines if line.startswith("spanbridge:")]
    if told and not (configurator == "configurator" and "OTEL_CONFIG_FILE" in told):
        assert told.format(file=file) in ours[0]
    else:  # nothing wrong, or what is wrong was told by their configurator, which gave up
        assert ours == []


SENTRY_ALONE = """
import spanbridge
from opentelemetry import trace
with trace.get_tracer("work").start_as_current_span("root", attributes={"badge": "1234"}):
    pass
print(*spanbridge.configure().status().destinations)
"""
WHOEVER_SETS_UP = pytest.mark.parametrize("configurator", ["configurator", "spanbridge", "nobody"])


@WHOEVER_SETS_UP
def test_a_file_that_switches_the_sdk_off_switches_us_off(
    receiver: Receiver, beside: str, file: Path, configurator: str
) -> None:
    file.write_text('file_format: "1.1"\ndisabled: true\n')
    done = run_launched(
        SENTRY_ALONE,
        python=beside,
        OTEL_CONFIG_FILE=str(file),
        OTEL_PYTHON_CONFIGURATOR=configurator,
        OTEL_PYTHON_DISTRO="distro",
        OTEL_TRACES_EXPORTER="sentry",
        SENTRY_DSN=receiver.dsn,
    )

    assert (done.exit_code, done.stdout) == (0, "\n")
    assert "spanbridge:" not in done.stderr
    assert receiver.items() == []


@WHOEVER_SETS_UP
def test_a_file_without_a_tracer_provider_says_what_must_not_leave(
    receiver: Receiver, beside: str, file: Path, configurator: str
) -> None:
    file.write_text('file_format: "1.1"\ndistribution:\n  spanbridge:\n    deny_keys: badge\n')
    done = run_launched(
        SENTRY_ALONE,
        python=beside,
        OTEL_CONFIG_FILE=str(file),
        OTEL_PYTHON_CONFIGURATOR=configurator,
        OTEL_PYTHON_DISTRO="distro",
        SENTRY_DSN=receiver.dsn,
        SENTRY_TRACES_SAMPLE_RATE="1",
    )

    assert (done.exit_code, done.stdout) == (0, "sentry\n")
    [transaction] = receiver.transactions
    assert transaction.payload["transaction"] == "root"
    assert "1234" not in str(transaction.payload)


def test_the_package_that_reads_the_file_is_named_where_it_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(SETTINGS_ONLY)
    done = run_launched(
        "import spanbridge; print('sends:', *spanbridge.configure().status().destinations)",
        OTEL_CONFIG_FILE=str(file),
        SENTRY_DSN="http://key@127.0.0.1:9/1",
    )

    assert (done.exit_code, done.stdout) == (0, "sends:\n")
    [line] = done.log_lines
    assert "pip install 'opentelemetry-sdk[file-configuration]'" in line
