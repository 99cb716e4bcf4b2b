"""Serves the governance example on OpenTelemetry's own SDK, with every span written to a file.

``python -m tests.scenario.governance_on_plain_sdk <listening socket's fd> <file>``
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from examples.governance.app import create_app


def serve(listener: socket.socket, spans_path: str) -> None:
    with open(spans_path, "w", encoding="utf-8") as spans:
        exporter = ConsoleSpanExporter(
            out=spans, formatter=lambda span: span.to_json(indent=None) + "\n"
        )
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        uvicorn.Server(uvicorn.Config(create_app(), log_level="critical")).run(sockets=[listener])


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
