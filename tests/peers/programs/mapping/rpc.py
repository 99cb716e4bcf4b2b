"""A gRPC server and client in one process, calls of one message and of several, good and bad."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import suppress

import grpc
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient, GrpcInstrumentorServer

import spanbridge

spanbridge.configure()
GrpcInstrumentorClient().instrument()
GrpcInstrumentorServer().instrument()
tracer = trace.get_tracer("shop")


def get(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request == b"missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such item")
    if request == b"broken":
        raise LookupError("no such shelf")
    if request == b"down":
        context.abort(grpc.StatusCode.UNAVAILABLE, "the shop is closed")
    return request


def watch(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    yield request
    if request == b"missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such item")
    yield request


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Items", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/shop.Items/Get", None, None)
        for item in (b"book", b"missing", b"broken", b"down"):
            with tracer.start_as_current_span(f"get {item.decode()}"), suppress(grpc.RpcError):
                call(item)
        stream = channel.unary_stream("/shop.Items/Watch", None, None)
        for item in (b"book", b"missing"):
            with tracer.start_as_current_span(f"watch {item.decode()}"), suppress(grpc.RpcError):
                list(stream(item))
    server.stop(None).wait()
    spanbridge.shutdown()


if __name__ == "__main__":
    main()
