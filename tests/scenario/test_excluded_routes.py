"""Health checks that nobody wants to see: no spans, no metrics, no orphans, but their failures."""

from __future__ import annotations

import pytest

from spanbridge.receiver import Receiver
from tests.support.program import run_program

BEGIN = """
import os, sys
import sqlalchemy, spanbridge
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
spanbridge.configure()
engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.NullPool)
SQLAlchemyInstrumentor().instrument(engine=engine)
tracer = trace.get_tracer("service")
arguments = {"excluded_urls": "health"} if "argument" in sys.argv else {}

def query():
    with engine.connect() as connection, tracer.start_as_current_span("plain"):
        with tracer.start_as_current_span("inner"):
            return connection.execute(sqlalchemy.text("select 1")).scalar()
"""

FASTAPI = """
import fastapi
from fastapi.testclient import TestClient
from spanbridge.instrument.fastapi import instrument_app
app = fastapi.FastAPI()

@app.get("/health")
@app.get("/work")
async def probe(fails: bool = False):
    if fails:
        with tracer.start_as_current_span("failing"):
            raise LookupError("the disk is full")
    return query()

instrument_app(app, **arguments)
client = TestClient(app, raise_server_exceptions=False)
"""

FLASK = """
import flask
from spanbridge.instrument.flask import instrument_app
app = flask.Flask("service")
instrument_app(app, **arguments)

@app.get("/health")
@app.get("/work")
def probe():
    if "fails" in flask.request.args:
        with tracer.start_as_current_span("failing"):
            raise LookupError("the disk is full")
    return str(query())

client = app.test_client()
"""

END = """
def points():
    data = reader.get_metrics_data()
    return sorted(
        (m.name, dict(p.attributes).get("http.target") or dict(p.attributes).get("http.route"))
        for r in (data.resource_metrics if data else ())
        for s in r.scope_metrics for m in s.metrics for p in m.data.data_points
        if m.name.startswith("http.")
    )

for number in range(100):
    answer = client.get("/health?fails=1" if number == 50 else "/health")
    assert answer.status_code == (500 if number == 50 else 200), answer.status_code
print(points())
assert client.get("/work").status_code == 200
print(len(points()) > 0)
assert spanbridge.flush()
"""


@pytest.mark.parametrize(
    ("framework", "how"),
    [
        ("FASTAPI", "argument"),
        ("FASTAPI", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"),
        ("FLASK", "argument"),
        ("FLASK", "OTEL_PYTHON_EXCLUDED_URLS"),
    ],
)
def test_an_excluded_route_leaves_neither_spans_nor_metrics_but_its_failure(
    receiver: Receiver, framework: str, how: str
) -> None:
    variables = {} if how == "argument" else {how: "health"}

    done = run_program(
        BEGIN + (FASTAPI if framework == "FASTAPI" else FLASK) + END,
        how,
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
        **variables,
    )

    assert (done.exit_code, done.lines) == (0, ["[]", "True"]), done.stderr
    [transaction] = receiver.transactions
    assert transaction.payload["transaction"] == "GET /work"
    names = {s["description"] for s in transaction.payload["spans"]}
    assert names == {"connect", "plain", "inner", "select ?"}
    [issue] = receiver.issues
    value = issue.payload["exception"]["values"][-1]
    assert (value["type"], value["mechanism"]["handled"]) == ("LookupError", False)
    assert receiver.violations == []


def test_an_error_that_an_excluded_route_handles_in_a_span_is_an_issue_too(
    receiver: Receiver,
) -> None:
    done = run_program(
        BEGIN
        + FASTAPI
        + """
@app.get("/health/deep")
async def deep():
    with tracer.start_as_current_span("check") as span:
        try:
            raise ConnectionError("no database")
        except ConnectionError as error:
            span.record_exception(error)
            span.set_status(trace.StatusCode.ERROR)
    return "degraded"

assert client.get("/health/deep").status_code == 200
assert spanbridge.flush()
""",
        "argument",
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
    )

    assert done.exit_code == 0, done.stderr
    assert receiver.transactions == []
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["type"] == "ConnectionError"
