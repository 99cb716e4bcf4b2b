"""What an OTLP receiver answers, and what it is taken for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.grpc import exporter as grpc_exporter
from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanbridge.destinations.otlp import OtlpDestination
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.settings import OtlpOptions
from spanbridge.testing import Receiver
from tests.support.answering import Answer, AnsweringServer, answering_server
from tests.support.grpc_peer import grpc_peer
from tests.support.points import point
from tests.support.ports import free_port
from tests.support.program import wait_until
from tests.support.spans import local_trace, record


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering_server() as made:
        yield made


def destination(url: str, protocol: str = "http/protobuf") -> OtlpDestination:
    traces, metrics = (
        (url, url) if protocol == "grpc" else (f"{url}/v1/traces", f"{url}/v1/metrics")
    )
    options = OtlpOptions(endpoint=traces, metrics_endpoint=metrics, protocol=protocol)
    return OtlpDestination(options, PrivacyPolicy())


def accept(to: OtlpDestination, count: int = 1, **fields: Any) -> None:
    spans = [record(number, **fields) for number in range(1, count + 1)]
    to.accept_spans([(local_trace(), span) for span in spans], 0.0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_no_delivery_and_says_where_the_receiver_is(
    server: AnsweringServer, status: int
) -> None:
    with answering_server() as elsewhere:
        there = elsewhere.url.replace("://", "://user:hunter2@") + "/v1/traces?token=hunter2"
        server.usual = Answer(status, {"location": there})
        to = destination(server.url)
        accept(to, 2)
        assert to.flush(5)

        said = to.status().last_error or ""
        assert to.ledger.snapshot().outcomes == {"span": {"failed": 2}}
        assert f"HTTP {status}" in said
        assert f"redirected to {elsewhere.url}/v1/traces. Set `endpoint`" in said
        assert "hunter2" not in said
        assert to.close(5)
        assert (server.requests, elsewhere.requests) == (1, 0)


def test_after_a_refusal_a_server_that_is_well_gets_what_is_queued_at_the_end(
    server: AnsweringServer,
) -> None:
    for _ in range(5):
        server.next = [Answer(400)]
        to = destination(server.url)
        accept(to)
        assert to.flush(5)
        accept(to, 50)
        assert to.close(5)
        assert to.ledger.snapshot().outcomes == {"span": {"failed": 1, "delivered": 50}}


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``logging.config.dictConfig`` does to the loggers that exist, unless told otherwise."""
    for module in (grpc_exporter, metric_exporter, trace_exporter):
        monkeypatch.setattr(logging.getLogger(module.__name__), "disabled", True)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_server_that_is_away_is_known_without_the_exporters_log(protocol: str) -> None:
    to = destination(f"http://127.0.0.1:{free_port()}", protocol)
    accept(to)
    to.accept_metrics([point(1)])
    said = wait_until(lambda: to.status().last_error or "")
    wait_until(lambda: to._metrics is not None and to._metrics.exporting.is_retrying)
    began = time.monotonic()

    assert not to.close(30)
    assert time.monotonic() - began < 10
    assert "refused" in said
    outcomes = to.ledger.snapshot().outcomes
    assert outcomes == {"span": {"failed": 1}, "metric": {"failed": 1}}


@pytest.mark.usefixtures("silent")
def test_an_answer_of_no_use_is_said_without_the_exporters_log(server: AnsweringServer) -> None:
    server.usual = Answer(401)
    to = destination(server.url)
    accept(to)
    assert to.flush(5)

    assert (to.status().last_error or "").endswith("HTTP 401 Unauthorized")
    assert to.close(5)


def test_an_error_is_over_when_something_arrives_of_what_it_was_about(
    server: AnsweringServer,
) -> None:
    server.next = [Answer(401)]
    to = destination(server.url)
    accept(to)
    assert to.flush(5)
    said = to.status().last_error or ""
    to.accept_metrics([point(1)])  # they may go elsewhere, and say nothing of spans
    assert to.flush(5)

    assert said.endswith("HTTP 401 Unauthorized")
    assert to.status().last_error == said
    accept(to)
    assert to.flush(5)
    assert to.status().last_error is None

    server.next = [Answer(403)]
    to.accept_metrics([point(1)])
    assert to.flush(5)
    accept(to)
    assert to.flush(5)
    assert (to.status().last_error or "").endswith("HTTP 403 Forbidden")
    to.accept_metrics([point(1)])
    assert to.flush(5)
    assert to.status().last_error is None
    assert to.close(5)


def test_a_connection_that_was_no_longer_good_is_no_trouble() -> None:
    with Receiver() as receiver:
        receiver.fault("reset")
        to = destination(receiver.url)
        accept(to)
        assert to.close(5)

        assert to.ledger.snapshot().outcomes == {"span": {"delivered": 1}}
        assert to.status().last_error is None


@pytest.mark.parametrize("is_json", [False, True])
def test_spans_that_are_refused_of_a_batch_that_is_taken_have_failed(
    server: AnsweringServer, is_json: bool
) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 3
    answer.partial_success.error_message = "no quota"
    server.usual = (
        Answer(
            200, {"content-type": "application/json"}, json_format.MessageToJson(answer).encode()
        )
        if is_json
        else Answer(200, {"content-type": "application/x-protobuf"}, answer.SerializeToString())
    )
    to = destination(server.url)
    accept(to, 10)
    assert to.close(5)

    snapshot = to.ledger.snapshot()
    assert snapshot.outcomes == {"span": {"failed": 3, "delivered": 7}}
    assert snapshot.reasons == {"failed: refused by the server": 3}
    assert (to.status().last_error or "").endswith("no quota")
    assert server.requests == 1


def test_over_grpc_too() -> None:
    with grpc_peer() as peer:
        peer.rejects = 2
        to = destination(peer.url, "grpc")
        accept(to, 3)
        to.accept_metrics([point(1, name="a"), point(1, name="b"), point(1, name="c")])
        assert to.close(5)

    outcomes = to.ledger.snapshot().outcomes
    both = {"failed": 2, "delivered": 1}
    assert outcomes == {"span": both, "metric": both}
    assert (to.status().last_error or "").endswith("no quota")


@pytest.mark.parametrize("kind", ["text/html", "application/x-protobuf", "application/json"])
def test_a_yes_that_is_no_answer_of_otlp_is_a_yes(server: AnsweringServer, kind: str) -> None:
    server.usual = Answer(200, {"content-type": kind}, b"<html>fine</html>")
    to = destination(server.url)
    accept(to, 2)

    assert to.close(5)
    assert to.ledger.snapshot().outcomes == {"span": {"delivered": 2}}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_span_that_cannot_be_encoded_costs_itself_alone(protocol: str) -> None:
    with Receiver() as receiver, grpc_peer() as peer:
        to = destination(peer.url if protocol == "grpc" else receiver.url, protocol)
        accept(to, 100)
        accept(to, start_ns=1.5)  # whoever gave a start time of their own gave it in seconds
        accept(to, 100)
        to.accept_metrics([point(1), point(1, name="b", time_ns=-1), point(1, name="c")])
        assert to.close(5)

        assert len(receiver.spans) + len(peer.spans) == 200
    outcomes = to.ledger.snapshot().outcomes
    assert outcomes == {
        "span": {"failed": 1, "delivered": 200},
        "metric": {"failed": 1, "delivered": 2},
    }
