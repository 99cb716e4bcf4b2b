"""OTLP over gRPC: the same spans as over HTTP, with TLS, metadata and compression as it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from tests.hostile.test_shutdown import one_line_per_cause
from tests.support.grpc_peer import GrpcPeer, grpc_peer
from tests.support.ports import free_port
from tests.support.program import TELL_STATUS, Finished, clean_environment, run_program

PROGRAM = """
import spanbridge
from opentelemetry import metrics, trace

spanbridge.configure()
orders = metrics.get_meter("shop").create_counter("orders")
tracer = trace.get_tracer("shop", "1.0")
with tracer.start_as_current_span("order", attributes={"app.parts": ["a"], "password": "hunter2"}):
    tracer.start_span("ship").end()
    orders.add(3, {"app.kind": "book", "api_key": "hunter2"})
"""
AT_EXIT = """
import atexit
atexit.register(tell_status)
"""


def run_on(peer: GrpcPeer, **variables: str) -> Finished:
    return run_program(
        AT_EXIT + PROGRAM,
        **{
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": peer.url,
            "SPANBRIDGE_RERAISE": "1",
            "SPANBRIDGE_SHUTDOWN_TIMEOUT_S": "10",
            **variables,
        },
    )


def outcomes(done: Finished, name: str = "otlp") -> dict[str, dict[str, int]]:
    ledger = done.status.destinations[name].ledger
    assert ledger.is_closed
    return ledger.outcomes


def test_spans_and_metrics_arrive_scrubbed_at_the_end_of_the_program() -> None:
    with grpc_peer() as peer:
        done = run_on(peer)

    assert (done.exit_code, done.stderr) == (0, "")
    assert outcomes(done) == {"span": {"delivered": 2}, "metric": {"delivered": 1}}
    assert done.status.destinations["otlp"].sent_bytes > 200
    assert done.status.destinations["otlp"].address == f"127.0.0.1:{peer.port}"
    ship, order = sorted(peer.spans, key=lambda span: span.name, reverse=True)
    assert (ship.name, ship.parent_span_id) == ("ship", order.span_id)
    attributes = {a.key: a.value for a in order.attributes}
    assert attributes["app.parts"].array_value.values[0].string_value == "a"
    [point] = peer.latest["orders"].sum.data_points
    assert point.as_int == 3
    assert {a.key: a.value.string_value for a in point.attributes}["app.kind"] == "book"
    [exemplar] = point.exemplars
    assert exemplar.span_id == order.span_id
    assert "hunter2" not in str(peer.traces) + str(peer.metrics)


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_headers_are_metadata_and_bodies_are_compressed(compression: str) -> None:
    with grpc_peer() as peer:
        done = run_on(
            peer,
            OTEL_EXPORTER_OTLP_HEADERS="api-key=a%20b",
            OTEL_EXPORTER_OTLP_COMPRESSION=compression,
        )

    assert done.exit_code == 0, done.stderr
    assert len(peer.metadata) == 2
    assert [metadata["api-key"] for metadata in peer.metadata] == ["a b", "a b"]
    assert len(peer.spans) == 2


def test_each_signal_may_have_a_server_of_its_own() -> None:
    with grpc_peer() as of_traces, grpc_peer() as of_metrics:
        done = run_on(
            of_traces,
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=of_metrics.url,
            OTEL_EXPORTER_OTLP_TRACES_HEADERS="key=traces",
            OTEL_EXPORTER_OTLP_METRICS_HEADERS="key=metrics",
        )

    assert done.exit_code == 0, done.stderr
    assert (len(of_traces.spans), len(of_traces.metrics)) == (2, 0)
    assert (len(of_metrics.spans), list(of_metrics.latest)) == (0, ["orders"])
    assert [m["key"] for m in of_traces.metadata] == ["traces"]
    assert [m["key"] for m in of_metrics.metadata] == ["metrics"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_credentials(authority: trustme.CA, *, mutual: bool) -> grpc.ServerCredentials:
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), chain)],
        root_certificates=authority.cert_pem.bytes() if mutual else None,
        require_client_auth=mutual,
    )


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1:{}", "localhost:{}"])
def test_a_private_authority_is_trusted_when_named(
    authority: trustme.CA, tmp_path: Path, endpoint: str
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with grpc_peer(server_credentials(authority, mutual=False)) as peer:
        done = run_on(
            peer,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.format(peer.port),
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"),
        )

    assert done.exit_code == 0, done.stderr
    assert outcomes(done) == {"span": {"delivered": 2}, "metric": {"delivered": 1}}


def test_a_client_certificate_is_shown(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = authority.issue_cert("client.example")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in own.cert_chain_pems))
    with grpc_peer(server_credentials(authority, mutual=True)) as peer:
        done = run_on(
            peer,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"https://127.0.0.1:{peer.port}",
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(tmp_path / "cert.pem"),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(tmp_path / "key.pem"),
        )

    assert done.exit_code == 0, done.stderr
    assert outcomes(done) == {"span": {"delivered": 2}, "metric": {"delivered": 1}}


def test_an_unknown_authority_is_not_trusted(authority: trustme.CA) -> None:
    with grpc_peer(server_credentials(authority, mutual=False)) as peer:
        done = run_on(
            peer,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"https://127.0.0.1:{peer.port}",
            SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1",
        )

    assert done.exit_code == 0
    assert outcomes(done) == {"span": {"failed": 2}, "metric": {"failed": 1}}
    assert peer.metadata == []


def test_host_and_port_without_a_scheme_are_plain_only_if_somebody_says_so() -> None:
    with grpc_peer() as peer:
        done = run_on(
            peer,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"127.0.0.1:{peer.port}",
            OTEL_EXPORTER_OTLP_INSECURE="true",
        )

    assert done.exit_code == 0, done.stderr
    assert len(peer.spans) == 2


def test_a_refusal_is_no_reason_to_try_again_and_is_said_once() -> None:
    with grpc_peer() as peer:
        peer.refusal = grpc.StatusCode.UNAUTHENTICATED
        done = run_on(peer)

    assert done.exit_code == 0
    assert outcomes(done) == {"span": {"failed": 2}, "metric": {"failed": 1}}
    assert len(peer.metadata) == 2
    assert one_line_per_cause(done), done.stderr
    assert "UNAUTHENTICATED" in done.stderr
    assert "the peer was told to refuse" in done.stderr


def test_what_a_busy_server_refuses_is_tried_again_until_it_takes_it() -> None:
    with grpc_peer() as peer:
        peer.refusal = grpc.StatusCode.UNAVAILABLE
        program = PROGRAM + (
            "import sys, time\n"
            "while spanbridge.status().destinations['otlp'].last_error is None: time.sleep(0.01)\n"
            "print('met it', flush=True)\n"
            "sys.stdin.read()\n"
            "assert spanbridge.flush(20)\n"
            "tell_status()\n"
        )
        done = run_with_recovery(peer, program)

    assert done.exit_code == 0, done.stderr
    assert outcomes(done) == {"span": {"delivered": 2}, "metric": {"delivered": 1}}
    assert len({span.span_id for span in peer.spans}) == len(peer.spans) == 2
    assert one_line_per_cause(done), done.stderr


def run_with_recovery(peer: GrpcPeer, program: str) -> Finished:
    process = subprocess.Popen(
        [sys.executable, "-c", TELL_STATUS + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_ENDPOINT=peer.url
        ),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "met it\n"
        peer.refusal = None
        stdout, stderr = process.communicate("", timeout=60)
    finally:
        process.kill()
    return Finished(process.returncode, stdout, stderr, 0.0)


@pytest.mark.parametrize("trouble", ["hangs", "is away"])
def test_a_server_in_trouble_does_not_hold_up_the_end(trouble: str) -> None:
    with grpc_peer() as peer:
        peer.hangs = trouble == "hangs"
        if trouble == "is away":
            peer.port = free_port()
        done = run_on(peer, SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1")

    assert done.exit_code == 0
    assert done.seconds < 15  # the exporter alone would try for ten seconds, twice
    assert outcomes(done) == {"span": {"failed": 2}, "metric": {"failed": 1}}
    assert one_line_per_cause(done), done.stderr


FORKING = """
import os, sys, spanbridge
from opentelemetry import metrics, trace
spanbridge.configure()
tracer = trace.get_tracer("x")
orders = metrics.get_meter("x").create_counter("orders")
tracer.start_span("of the parent").end()
orders.add(100)
if "used" in sys.argv:
    assert spanbridge.flush()
child = os.fork()
name = "child" if child == 0 else "parent"
for number in range(20):
    tracer.start_span(f"of the {name}, later").end()
    orders.add(1, {"who": name})
assert spanbridge.flush(10)
if child == 0:
    tell_status()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert spanbridge.shutdown()
tell_status()
"""


@pytest.mark.parametrize("use", ["used", "not used"])
def test_parent_and_child_have_connections_of_their_own(use: str) -> None:
    with grpc_peer() as peer:
        done = run_program(
            FORKING,
            use,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=peer.url,
            SPANBRIDGE_RERAISE="1",
        )

    assert done.exit_code == 0, done.stderr
    names = sorted(span.name for span in peer.spans)
    assert names == ["of the child, later"] * 20 + ["of the parent"] + ["of the parent, later"] * 20
    of_child, of_parent = (status.destinations["otlp"].ledger for status in done.statuses)
    assert of_child.outcomes["span"] == {"delivered": 20}
    assert of_parent.outcomes["span"] == {"delivered": 21}
    by_process = {
        who: {point.as_int for point in points_of(peer, who)} for who in ("", "child", "parent")
    }
    assert by_process == {"": {100}, "child": {20}, "parent": {20}}


def points_of(peer: GrpcPeer, who: str) -> list[Any]:
    return [
        point
        for request in peer.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
        if "".join(attribute.value.string_value for attribute in point.attributes) == who
    ]
