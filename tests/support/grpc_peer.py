"""An OTLP receiver that speaks gRPC: a real server on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.program import wait_until


class GrpcPeer:
    """Keeps what it gets, unless it is told to fail or to hang."""

    def __init__(self) -> None:
        self.port = 0
        self.traces: list[trace_pb.ExportTraceServiceRequest] = []
        self.metrics: list[metrics_pb.ExportMetricsServiceRequest] = []
        self.metadata: list[dict[str, str | bytes]] = []
        """Of each request that came, also of those that failed."""
        self.refusal: grpc.StatusCode | None = None
        self.hangs = False
        self.rejects = 0
        """Items of each request that are rejected, though it is taken."""
        self._ends = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def latest(self) -> dict[str, Metric]:
        """The last of each metric by name."""
        return {
            metric.name: metric
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def wait_for_requests(self, count: int) -> None:
        wait_until(lambda: len(self.metadata) >= count, 20)

    def end(self) -> None:
        """Let go of whoever hangs."""
        self._ends.set()

    def _meet(self, context: grpc.ServicerContext) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.hangs:
            self._ends.wait(60)
        if self.refusal is not None:
            _refuse(context, self.refusal)


class _Traces(trace_grpc.TraceServiceServicer):
    def __init__(self, peer: GrpcPeer) -> None:
        self._peer = peer

    def Export(
        self, request: trace_pb.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_pb.ExportTraceServiceResponse:
        self._peer._meet(context)
        self._peer.traces.append(request)
        answer = trace_pb.ExportTraceServiceResponse()
        if self._peer.rejects:
            answer.partial_success.rejected_spans = self._peer.rejects
            answer.partial_success.error_message = "no quota"
        return answer


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, peer: GrpcPeer) -> None:
        self._peer = peer

    def Export(
        self, request: metrics_pb.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> metrics_pb.ExportMetricsServiceResponse:
        self._peer._meet(context)
        self._peer.metrics.append(request)
        answer = metrics_pb.ExportMetricsServiceResponse()
        if self._peer.rejects:
            answer.partial_success.rejected_data_points = self._peer.rejects
            answer.partial_success.error_message = "no quota"
        return answer


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode) -> NoReturn:
    context.abort(code, "the peer was told to refuse")
    raise AssertionError("unreachable")


@contextmanager
def grpc_peer(
    credentials: grpc.ServerCredentials | None = None, port: int = 0
) -> Iterator[GrpcPeer]:
    """A peer that listens until the end of the block.

    Args:
        credentials: For TLS; without them it takes plain connections.
        port: By default one that is free.
    """
    peer = GrpcPeer()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    # The generated code is not annotated.
    trace_grpc.add_TraceServiceServicer_to_server(_Traces(peer), server)  # type: ignore[no-untyped-call]
    metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(peer), server)  # type: ignore[no-untyped-call]
    address = f"127.0.0.1:{port}"
    peer.port = (
        server.add_insecure_port(address)
        if credentials is None
        else server.add_secure_port(address, credentials)
    )
    server.start()
    try:
        yield peer
    finally:
        peer.end()
        server.stop(grace=None).wait(10)
