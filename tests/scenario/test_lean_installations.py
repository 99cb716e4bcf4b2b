"""Each destination needs the packages of its own extra and no others."""

from __future__ import annotations

import pytest

from tests.support.ports import free_port
from tests.support.program import run_program

PROGRAM = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    \"\"\"As if these packages were not installed.\"\"\"

    def find_spec(self, name, path, target=None):
        if any(name == package or name.startswith(package + ".") for package in MISSING):
            raise ModuleNotFoundError(name, name=name)

MISSING = sys.argv[1].split(",")
sys.meta_path.insert(0, Missing())
import spanbridge
spanbridge.configure()
from opentelemetry import metrics, trace
trace.get_tracer("x").start_span("told").end()
metrics.get_meter("x").create_counter("orders").add(1)
spanbridge.flush(0.5)
print("done")
"""

GRPC = "grpc,opentelemetry.exporter.otlp.proto.grpc"
HTTP = "requests,opentelemetry.exporter.otlp.proto.http"
OTLP = f"{GRPC},{HTTP},google.protobuf,opentelemetry.proto,opentelemetry.exporter"


@pytest.mark.parametrize(
    ("destinations", "missing"),
    [
        ("console,file", f"{OTLP},prometheus_client"),
        ("sentry", f"{OTLP},prometheus_client"),
        ("prometheus", OTLP),
        ("otlp", f"{GRPC},prometheus_client"),
        ("grpc", f"{HTTP},prometheus_client"),
    ],
)
def test_a_destination_works_without_the_packages_of_others(
    destinations: str, missing: str, tmp_path: object
) -> None:
    done = run_program(
        PROGRAM,
        missing,
        cwd=str(tmp_path),
        SPANBRIDGE_DESTINATIONS=destinations,
        SPANBRIDGE_GRPC_KIND="otlp",
        SPANBRIDGE_GRPC_PROTOCOL="grpc",
        SENTRY_DSN=f"http://{'5' * 32}@127.0.0.1:{free_port()}/1",
        SPANBRIDGE_PROMETHEUS_PORT=str(free_port()),
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="0.5",
        SENTRY_ENVIRONMENT="development",
    )

    assert done.exit_code == 0, done.stderr
    assert "done" in done.lines
    assert "ModuleNotFoundError" not in done.stderr
