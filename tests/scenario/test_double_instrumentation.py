"""Several instrumentations on top of each other: one trace, each span once, and one word on it."""

from __future__ import annotations

from collections import Counter

from spanbridge.receiver import Receiver
from tests.support.program import run_program

PROGRAM = """
import http.server, logging, threading, urllib.request
import httpx, requests, sentry_sdk, spanbridge
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from spanbridge.instrument.fastapi import instrument_app

class Next(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

downstream = http.server.HTTPServer(("127.0.0.1", 0), Next)
threading.Thread(target=downstream.serve_forever, daemon=True).start()

logging.basicConfig(level=logging.WARNING, format="%(name)s %(message)s")
for instrumentor in (HTTPXClientInstrumentor, RequestsInstrumentor, URLLib3Instrumentor):
    instrumentor().instrument()
spanbridge.configure()
sentry_sdk.init(**OPTIONS)  # everything else as it is by default
app = FastAPI()

@app.get("/work")
def work():
    url = f"http://127.0.0.1:{downstream.server_port}/next"
    CALL
    raise LookupError("nothing here")

instrument_app(app)
client = TestClient(app, raise_server_exceptions=False)
HTTPXClientInstrumentor.uninstrument_client(client)  # the caller is no part of the service
assert client.get("/work").status_code == 500
sentry_sdk.flush(5)
assert spanbridge.flush()
"""


def run(receiver: Receiver, call: str, options: str = "{}") -> str:
    done = run_program(
        PROGRAM.replace("CALL", call).replace("OPTIONS", options),
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
    )
    assert done.exit_code == 0, done.stderr
    return done.stderr


def test_a_request_with_one_call_and_one_error_is_one_trace_of_two_spans(
    receiver: Receiver,
) -> None:
    for count, call in enumerate(
        ("httpx.get(url)", "urllib.request.urlopen(url)", "requests.get(url)"), 1
    ):
        said = run(receiver, call)

        assert "traces too" not in said
        assert "instrumented twice" not in said
        assert len(receiver.transactions) == len(receiver.issues) == count
        transaction, issue = receiver.transactions[-1].payload, receiver.issues[-1].payload
        trace = transaction["contexts"]["trace"]
        assert trace["op"] == "http.server"
        assert issue["contexts"]["trace"]["trace_id"] == trace["trace_id"]
        assert issue["exception"]["values"][-1]["mechanism"]["handled"] is False
        # urllib is instrumented by nobody here; requests stands on urllib3.
        expected = {"httpx.get(url)": 1, "requests.get(url)": 1}.get(call, 0)
        kinds = Counter(span.get("op") for span in transaction["spans"])
        assert kinds == ({"http.client": expected} if expected else {})
        assert not [s for s in transaction["spans"] if "envelope" in s["description"]]
    assert receiver.violations == []


def test_tracing_of_sentrys_own_sdk_beside_is_told_of_once(receiver: Receiver) -> None:
    said = run(receiver, "httpx.get(url)", '{"traces_sample_rate": 1.0}')

    assert said.count("sentry_sdk traces too") == 1


def test_an_error_of_an_excluded_route_is_one_issue_also_beside_sentrys_own_sdk(
    receiver: Receiver,
) -> None:
    program = PROGRAM.replace("instrument_app(app)", 'instrument_app(app, excluded_urls="work")')
    done = run_program(
        program.replace("CALL", "httpx.get(url)").replace("OPTIONS", "{}"),
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="development",
    )

    assert done.exit_code == 0, done.stderr
    assert receiver.transactions == []
    [issue] = receiver.issues
    assert issue.payload["exception"]["values"][-1]["type"] == "LookupError"
