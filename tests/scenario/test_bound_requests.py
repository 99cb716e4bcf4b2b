"""What a route binds is on all that its request writes from there on, and ends with the request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import run_program

FASTAPI = """
import spanbridge
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from opentelemetry.trace import get_tracer
from spanbridge.instrument import bind
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure(destinations="file")
tracer = get_tracer("shop")
app = FastAPI()
instrument_app(app)

def work(name):
    with tracer.start_as_current_span(name):
        pass

@app.get("/sync/{tenant}")
def sync(tenant: str, background: BackgroundTasks):
    with tracer.start_as_current_span("look up"):
        bind({"tenant.id": tenant})
    work("work")
    background.add_task(work, "afterwards")

@app.get("/streamed/{tenant}")
async def streamed(tenant: str):
    bind({"tenant.id": tenant})

    async def parts():
        for _ in range(2):
            work("part")
            yield "x"

    return StreamingResponse(parts())

@app.get("/unbound")
async def unbound():
    work("of nobody")

client = TestClient(app)
"""

FLASK = """
import flask, spanbridge
from opentelemetry.trace import get_tracer
from spanbridge.instrument import bind
from spanbridge.instrument.flask import instrument_app

spanbridge.configure(destinations="file")
tracer = get_tracer("shop")
app = flask.Flask("shop")
instrument_app(app)

def work(name):
    with tracer.start_as_current_span(name):
        pass

@app.get("/sync/<tenant>")
def sync(tenant):
    with tracer.start_as_current_span("look up"):
        bind({"tenant.id": tenant})
    work("work")
    return ""

@app.get("/streamed/<tenant>")
def streamed(tenant):
    bind({"tenant.id": tenant})

    def parts():
        for _ in range(2):
            work("part")
            yield "x"

    return parts()

@app.get("/unbound")
def unbound():
    work("of nobody")
    return ""

client = app.test_client()
"""

ASK = """
for path in ("/sync/acme", "/unbound", "/streamed/other", "/unbound"):
    client.get(path).text  # all of it
bind({"tenant.id": "nobody"})
work("outside")
"""


def tenants_of(file: Path) -> list[tuple[str, Any]]:
    lines = map(json.loads, file.read_text().splitlines())
    spans = [line for line in lines if line["type"] == "span" and line["kind"] == "internal"]
    spans.sort(key=lambda span: span["start_ns"])
    return [(span["name"], span["attributes"].get("tenant.id")) for span in spans]


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_what_a_route_binds_holds_for_its_request(framework: str, tmp_path: Path) -> None:
    program = FASTAPI if framework == "fastapi" else FLASK

    done = run_program(program + ASK, cwd=str(tmp_path))

    assert done.exit_code == 0, done.stderr
    afterwards = (
        [("BackgroundTask work", "acme"), ("afterwards", "acme")] if framework == "fastapi" else []
    )
    assert tenants_of(tmp_path / "telemetry.jsonl") == [
        ("look up", "acme"),
        ("work", "acme"),
        *afterwards,
        ("of nobody", None),
        ("part", "other"),
        ("part", "other"),
        ("of nobody", None),
        ("outside", None),
    ]
    assert done.stderr.count("outside of a bound() block") == 1  # the one outside of any request
