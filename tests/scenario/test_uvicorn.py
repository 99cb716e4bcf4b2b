"""Services under uvicorn: one trace over two of them, errors with their request, no mixing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from spanbridge.receiver import Receiver
from tests.support.service import Service, serving

TEXT = """
import asyncio, os
import httpx, spanbridge
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from spanbridge.instrument.fastapi import instrument_app

spanbridge.configure()
app = FastAPI()
tracer = trace.get_tracer("service")

@app.get("/front/{number}")
async def front(number: int):
    async with httpx.AsyncClient(base_url=os.environ["NEXT"]) as http:
        HTTPXClientInstrumentor.instrument_client(http)
        answer = await http.get(f"/back/{number}", headers={"baggage": "tenant=acme"})
        return answer.json()

@app.get("/back/{number}")
async def back(number: int):
    with tracer.start_as_current_span("look up", attributes={"app.number": number}):
        await asyncio.sleep(0.005)
    return number

@app.get("/boom")
async def boom():
    with tracer.start_as_current_span("inner"):
        raise LookupError("nothing here")

instrument_app(app)
"""


@pytest.fixture
def back(receiver: Receiver, tmp_path: Path) -> Iterator[Service]:
    folder = tmp_path / "back"
    folder.mkdir()
    with serving(
        folder, TEXT, NEXT="", SENTRY_DSN=receiver.dsn, OTEL_SERVICE_NAME="back"
    ) as service:
        yield service


def test_a_request_through_two_services_is_one_trace(
    receiver: Receiver, tmp_path: Path, back: Service
) -> None:
    with serving(
        tmp_path,
        TEXT,
        NEXT=back.url,
        SENTRY_DSN=receiver.dsn,
        SENTRY_RELEASE="front@7",
        SENTRY_TRACES_SAMPLE_RATE="0.5",
        OTEL_SERVICE_NAME="front",
    ) as front:
        for number in range(30):
            assert httpx.get(f"{front.url}/front/{number}").json() == number
        front.program.send_signal(15)
        back.program.send_signal(15)
        front.program.wait()
        back.program.wait()

    assert receiver.violations == []
    transactions = {
        (item.payload["transaction"], item.payload["contexts"]["trace"]["trace_id"]): item
        for item in receiver.transactions
    }
    heads = {trace_id for name, trace_id in transactions if name.startswith("GET /front")}
    tails = {trace_id for name, trace_id in transactions if name.startswith("GET /back")}
    assert heads == tails  # the second service keeps exactly what the first one kept
    assert len(transactions) == len(receiver.transactions) == 2 * len(heads)
    assert 0 < len(heads) < 30
    for trace_id in heads:
        head = transactions["GET /front/{number}", trace_id]
        tail = transactions["GET /back/{number}", trace_id]
        [call] = [s for s in head.payload["spans"] if s["op"] == "http.client"]
        assert tail.payload["contexts"]["trace"]["parent_span_id"] == call["span_id"]
        context = dict(tail.envelope_header["trace"])
        assert context["release"] == "front@7"
        assert {k: v for k, v in head.envelope_header["trace"].items() if k in context} == context


def test_an_exception_is_one_issue_of_its_request(receiver: Receiver, back: Service) -> None:
    assert httpx.get(f"{back.url}/boom").status_code == 500

    [issue] = receiver.wait_for(lambda r: r.issues, 30)
    [transaction] = receiver.wait_for(lambda r: r.transactions, 30)
    assert issue.payload["exception"]["values"][-1]["type"] == "LookupError"
    assert issue.payload["exception"]["values"][-1]["mechanism"]["handled"] is False
    where, request = issue.payload["contexts"]["trace"], transaction.payload["contexts"]["trace"]
    assert where["trace_id"] == request["trace_id"]
    [inner] = [s for s in transaction.payload["spans"] if s["description"] == "inner"]
    assert where["span_id"] == inner["span_id"]
    assert issue.payload["transaction"] == transaction.payload["transaction"] == "GET /boom"


def test_requests_at_the_same_time_never_mix(receiver: Receiver, back: Service) -> None:
    async def ask_all() -> None:
        async with httpx.AsyncClient(base_url=back.url, timeout=20) as http:
            answers = await asyncio.gather(*(http.get(f"/back/{n}") for n in range(60)))
            assert [answer.json() for answer in answers] == list(range(60))

    asyncio.run(ask_all())
    receiver.wait_for(lambda r: len(r.transactions) == 60, 30)

    numbers = set()
    for item in receiver.transactions:
        [span] = item.payload["spans"]
        number = span["data"]["app.number"]
        numbers.add(number)
        assert item.payload["request"]["url"].endswith(f"/back/{number}")
    assert numbers == set(range(60))
