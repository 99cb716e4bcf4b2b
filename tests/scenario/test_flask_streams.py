"""Streams of a Flask application under gunicorn, taken whole and left half way."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.ports import free_port
from tests.support.program import running

TEXT = """
import logging, time
import flask, spanbridge
from opentelemetry import baggage, trace
from spanbridge.instrument.flask import instrument_app

said = []

class Keep(logging.Handler):
    def emit(self, record):
        if record.name.startswith("opentelemetry"):
            said.append(record.getMessage())

logging.getLogger().addHandler(Keep())
spanbridge.configure()
tracer = trace.get_tracer("service")
app = flask.Flask("service")
instrument_app(app)

@app.get("/sse")
def sse():
    count = int(flask.request.args["count"])
    def parts():
        # Plain OpenTelemetry: what is current across a yield is current for this stream only.
        with tracer.start_as_current_span("llm.stream") as span:
            span.set_attribute("tenant.id", baggage.get_baggage("tenant"))
            for number in range(count):
                with tracer.start_as_current_span("token"):
                    pass
                yield f"data: {number}\\n\\n"
                time.sleep(0.01)
    return flask.Response(parts(), mimetype="text/event-stream")

@app.get("/said")
def what_was_said():
    return {"said": said}
"""


@pytest.mark.parametrize("threads", ["1", "4"], ids=["sync", "gthread"])
def test_a_stream_is_part_of_its_request_also_if_the_client_leaves(
    receiver: Receiver, tmp_path: Path, threads: str
) -> None:
    (tmp_path / "service.py").write_text(TEXT)
    port = free_port()
    command = ("-m", "gunicorn", "service:app", "--chdir", str(tmp_path), "-b", f"127.0.0.1:{port}")
    with running(
        *command, "--threads", threads, port=port, SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
    ) as program:  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        for number in range(8):
            tenant = {"baggage": f"tenant=t{number}"}
            answer = httpx.get(f"{url}/sse?count=5", headers=tenant, timeout=20)
            assert answer.text.count("data") == 5
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(
                    b"GET /sse?count=1000000 HTTP/1.0\r\nhost: x\r\nbaggage: tenant=gone\r\n\r\n"
                )
                assert client.recv(64)
        receiver.wait_for(lambda r: len(r.transactions) == 16, 30)
        assert httpx.get(f"{url}/said", timeout=20).json() == {"said": []}
        program.send_signal(15)
        program.wait()

    streams = [i.payload for i in receiver.transactions if "sse" in i.payload["transaction"]]
    outcomes: Counter[object] = Counter()
    tenants = set()
    for payload in streams:
        trace = payload["contexts"]["trace"]
        outcomes[trace["data"].get("spanbridge.outcome")] += 1
        [inner] = [s for s in payload["spans"] if s["description"] == "llm.stream"]
        assert inner["parent_span_id"] == trace["span_id"]
        assert inner["timestamp"] <= payload["timestamp"]
        tokens = [s for s in payload["spans"] if s is not inner]
        assert {s["parent_span_id"] for s in tokens} == {inner["span_id"]}
        tenants.add(inner["data"]["tenant.id"])
        if "spanbridge.outcome" not in trace["data"]:
            assert trace["data"]["spanbridge.stream.chunk.count"] == len(tokens) == 5
    assert outcomes == {None: 8, "disconnected": 8}
    assert tenants == {"gone", *(f"t{n}" for n in range(8))}
    assert receiver.issues == []
    assert receiver.violations == []
