"""Several OTLP receivers at once, each by a name of its own: what one suffers, no other notices."""

from __future__ import annotations

from pathlib import Path

from spanbridge.receiver import Receiver
from tests.hostile.test_shutdown import one_line_per_cause
from tests.support.grpc_peer import grpc_peer
from tests.support.headers_server import headers_server
from tests.support.ports import free_port
from tests.support.program import run_program

BUSY = """
import sys, time, spanbridge
from opentelemetry import metrics, trace

spanbridge.configure()
tracer = trace.get_tracer("shop")
orders = metrics.get_meter("shop").create_counter("orders")
for number in range(300):
    with tracer.start_as_current_span("order"):
        tracer.start_span("ship").end()
    orders.add(1)
    time.sleep(0.002)
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    healthy = [spanbridge.status().destinations[name].ledger for name in ("fine", "tonic")]
    if all(l.outcomes["span"].get("delivered", 0) == 600 for l in healthy):
        break
    spanbridge.flush(0.2)
print("all others have everything:", time.monotonic() < deadline)
spanbridge.shutdown(2)
tell_status()
"""


def test_one_hangs_one_is_away_one_answers_503_and_the_others_get_everything_in_time() -> None:
    with Receiver() as hanging, Receiver() as busy, Receiver() as fine, grpc_peer() as tonic:
        hanging.fault("hang", delay_s=60, times=None)
        busy.fault("status", status=503, times=None)
        urls = {
            "hanging": hanging.otlp_endpoint,
            "away": f"http://127.0.0.1:{free_port()}",
            "busy": busy.otlp_endpoint,
            "fine": fine.otlp_endpoint,
            "tonic": tonic.url,
        }
        variables = {"SPANBRIDGE_TONIC_PROTOCOL": "grpc", "SPANBRIDGE_DESTINATIONS": ",".join(urls)}
        for name, url in urls.items():
            variables[f"SPANBRIDGE_{name.upper()}_KIND"] = "otlp"
            variables[f"SPANBRIDGE_{name.upper()}_ENDPOINT"] = url
            variables[f"SPANBRIDGE_{name.upper()}_HEADERS"] = f"api-key={name}"
        done = run_program(BUSY, SENTRY_ENVIRONMENT="development", **variables)
        spans_by_receiver = [len(one.spans) for one in (hanging, busy, fine)]

    assert done.exit_code == 0, done.stderr
    assert "all others have everything: True" in done.lines
    assert spans_by_receiver == [0, 0, 600]
    assert len(tonic.spans) == 600
    assert {metadata["api-key"] for metadata in tonic.metadata} == {"tonic"}
    ledgers = {name: d.ledger for name, d in done.status.destinations.items()}
    assert list(ledgers) == list(urls)
    for name, ledger in ledgers.items():
        assert ledger.is_closed, name
        assert ledger.accepted["span"] == 600, name
        fate = "delivered" if name in ("fine", "tonic") else "failed"
        assert ledger.outcomes["span"] == {fate: 600}, name
        assert set(ledger.outcomes["metric"]) == {fate}, name
    assert one_line_per_cause(done), done.stderr


KEYS = """
import spanbridge
from opentelemetry import metrics, trace
spanbridge.configure()
trace.get_tracer("x").start_span("told").end()
metrics.get_meter("x").create_counter("orders").add(1)
assert spanbridge.shutdown()
tell_status()
"""


def test_the_key_in_otels_variables_reaches_the_destination_of_that_name_alone(
    tmp_path: Path,
) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text("no authority at all")
    with headers_server() as own, headers_server() as other:
        done = run_program(
            KEYS,
            SPANBRIDGE_DESTINATIONS="otlp,vendor,keyless",
            OTEL_EXPORTER_OTLP_ENDPOINT=own.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-team-key=secret-of-otlp",
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(authorities),
            SPANBRIDGE_VENDOR_KIND="otlp",
            SPANBRIDGE_VENDOR_ENDPOINT=other.url,
            SPANBRIDGE_VENDOR_HEADERS="api-key=secret-of-vendor",
            SPANBRIDGE_KEYLESS_KIND="otlp",
            SPANBRIDGE_KEYLESS_ENDPOINT=other.url,
            SPANBRIDGE_KEYLESS_COMPRESSION="gzip",
        )

    assert (done.exit_code, done.stderr) == (0, "")
    assert [r["x-team-key"] for r in own.seen] == ["secret-of-otlp"] * 2
    assert sorted(request.get("api-key", "") for request in other.seen) == [
        "",
        "",
        "secret-of-vendor",
        "secret-of-vendor",
    ]
    for request in other.seen:
        assert "x-team-key" not in request
        assert request["content-type"] == "application/x-protobuf"
    assert sorted(r.get("content-encoding", "") for r in other.seen) == ["", "", "gzip", "gzip"]
    assert {request["path"] for request in other.seen} == {"/v1/traces", "/v1/metrics"}


def test_over_grpc_too() -> None:
    with grpc_peer() as own, grpc_peer() as other:
        done = run_program(
            KEYS,
            SPANBRIDGE_DESTINATIONS="otlp,vendor",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=own.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-team-key=secret-of-otlp",
            SPANBRIDGE_VENDOR_KIND="otlp",
            SPANBRIDGE_VENDOR_PROTOCOL="grpc",
            SPANBRIDGE_VENDOR_ENDPOINT=other.url,
        )

    assert (done.exit_code, done.stderr) == (0, "")
    assert [m["x-team-key"] for m in own.metadata] == ["secret-of-otlp"] * 2
    assert len(other.metadata) == 2
    assert not any("x-team-key" in metadata for metadata in other.metadata)
