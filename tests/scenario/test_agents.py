"""Agents as Sentry sees them: who did what, in which conversation, and what it used."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.trace import Tracer

from spanbridge.instrument import agent_task
from spanbridge.receiver import Receiver
from tests.peers.relay import errors_after_relay
from tests.support.bridged import Bridged, bridged

USED_IN, USED_OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


@pytest.fixture
def under_test(receiver: Receiver) -> Iterator[Bridged]:
    with bridged(dsn=receiver.dsn) as running:
        yield running


def call_model(tracer: Tracer, name: str, tokens_in: int, tokens_out: int) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    with tracer.start_as_current_span(f"chat {name}", attributes=attributes) as span:
        span.set_attribute("gen_ai.request.model", name)
        span.set_attribute("gen_ai.response.model", f"{name}-2026")
        span.set_attribute(USED_IN, tokens_in)
        span.set_attribute(USED_OUT, tokens_out)
        with tracer.start_as_current_span("POST", attributes={"http.request.method": "POST"}):
            pass


def work(under_test: Bridged) -> None:
    """A planner that asks a searcher, gets the work back and answers; both sum up their calls."""
    tracer, provider = under_test.tracer, under_test.provider
    with tracer.start_as_current_span("GET /ask"):
        with agent_task("planner", conversation_id="c-1", tracer_provider=provider) as planner:
            call_model(tracer, "gpt-5", 100, 10)
            handoff = {"gen_ai.operation.name": "handoff"}
            with tracer.start_as_current_span("handoff from planner to searcher") as span:
                span.set_attributes(handoff)
            with agent_task("searcher", tracer_provider=provider) as searcher:
                tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
                with tracer.start_as_current_span("execute_tool search", attributes=tool):
                    pass
                call_model(tracer, "gpt-5-mini", 200, 20)
                call_model(tracer, "gpt-5-mini", 300, 30)
                searcher.set(input_tokens=500, output_tokens=50)
            call_model(tracer, "gpt-5", 400, 40)
            planner.set(input_tokens=1000, output_tokens=100)
        # One that tells only what it used in all.
        with agent_task("reporter", tracer_provider=provider) as reporter:
            reporter.set(input_tokens=7, output_tokens=3)


def sent(under_test: Bridged, receiver: Receiver) -> list[dict[str, Any]]:
    under_test.flush()
    assert receiver.violations == []
    [transaction] = receiver.transactions
    assert errors_after_relay(transaction.payload) == []
    spans: list[dict[str, Any]] = transaction.payload["spans"]
    return sorted(spans, key=lambda span: float(span["start_timestamp"]))


def test_each_span_is_of_the_agent_it_ran_under(under_test: Bridged, receiver: Receiver) -> None:
    work(under_test)

    assert [
        (span.get("op"), span["description"], span["data"].get("gen_ai.agent.name"))
        for span in sent(under_test, receiver)
    ] == [
        ("gen_ai.invoke_agent", "invoke_agent planner", "planner"),
        ("gen_ai.chat", "chat gpt-5", "planner"),
        ("http", "POST", "planner"),
        ("gen_ai.handoff", "handoff from planner to searcher", "planner"),
        ("gen_ai.invoke_agent", "invoke_agent searcher", "searcher"),
        ("gen_ai.execute_tool", "execute_tool search", "searcher"),
        ("gen_ai.chat", "chat gpt-5-mini", "searcher"),
        ("http", "POST", "searcher"),
        ("gen_ai.chat", "chat gpt-5-mini", "searcher"),
        ("http", "POST", "searcher"),
        ("gen_ai.chat", "chat gpt-5", "planner"),
        ("http", "POST", "planner"),
        ("gen_ai.invoke_agent", "invoke_agent reporter", "reporter"),
    ]


def test_the_conversation_is_on_every_span_of_it(under_test: Bridged, receiver: Receiver) -> None:
    work(under_test)

    conversations = [
        span["data"].get("gen_ai.conversation.id") for span in sent(under_test, receiver)
    ]
    assert conversations == ["c-1"] * 12 + [None]


def test_a_sum_over_the_spans_is_what_was_used(under_test: Bridged, receiver: Receiver) -> None:
    work(under_test)
    spans = sent(under_test, receiver)

    assert sum(span["data"].get(USED_IN, 0) for span in spans) == 1000 + 7
    assert sum(span["data"].get(USED_OUT, 0) for span in spans) == 100 + 3
    planner = spans[0]["data"]
    assert (planner["multi_agent.usage.input"], planner["multi_agent.usage.output"]) == (1000, 100)


def test_a_long_prompt_is_cut_and_nothing_else_is(receiver: Receiver) -> None:
    prompt = json.dumps([{"role": "user", "content": "long " * 600_000}])
    with bridged(dsn=receiver.dsn, capture_content="sentry") as running:
        with agent_task("a", tracer_provider=running.provider):
            call_model(running.tracer, "gpt-5", 100, 10)
            with running.tracer.start_as_current_span("chat") as span:
                span.set_attribute("gen_ai.operation.name", "chat")
                span.set_attribute("gen_ai.input.messages", prompt)
                span.set_attribute(USED_IN, 700_000)
        running.flush()

    [transaction] = receiver.transactions
    long = transaction.payload["spans"][-1]
    assert len(transaction.payload["spans"]) == 3
    assert long["data"][USED_IN] == 700_000
    [message] = json.loads(long["data"]["gen_ai.input.messages"])
    assert message["parts"][0]["content"].startswith("long long")
    annotation = transaction.payload["_meta"]["spans"]["2"]["data"]["gen_ai.input.messages"][""]
    assert annotation["len"] > 3_000_000
    assert errors_after_relay(transaction.payload) == []


class Answer:
    """As a pydantic model: its fields come from ``model_dump``."""

    def model_dump(self) -> dict[str, object]:
        return {"text": "yes", "score": 0.5}


def deep(levels: int) -> object:
    value: object = "bottom"
    for _ in range(levels):
        value = {"in": value}
    return value


VALUES: dict[str, object] = {
    "a.dict": {"b": 1, "a": [1, 2]},
    "a.list": [{"x": 1}, {"y": None}],
    "a.none": None,
    "a.bytes": b"\xff\x00",
    "a.decimal": Decimal("1.25"),
    "a.moment": dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    "a.model": Answer(),
    "a.nan": float("nan"),
    "a.deep": deep(200),
    "gen_ai.tool.call.arguments": {"city": "Bonn", "days": 2},
}


def test_any_value_arrives_the_same_each_time_and_without_a_warning(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with bridged(dsn=receiver.dsn, capture_content="sentry") as running:
        for _ in range(2):
            with agent_task("a", attributes=VALUES, tracer_provider=running.provider):
                pass
        running.flush()

    first, second = [item.payload["contexts"]["trace"]["data"] for item in receiver.transactions]
    own = {key: value for key, value in first.items() if key in VALUES}
    assert own == {key: second[key] for key in own}
    assert own == {
        "a.dict": '{"a":[1,2],"b":1}',
        "a.list": '[{"x":1},{}]',
        "a.bytes": "/wA=",
        "a.decimal": 1.25,
        "a.moment": "2026-11-01T00:00:00+00:00",
        "a.model": '{"score":0.5,"text":"yes"}',
        "a.nan": "NaN",
        "a.deep": own["a.deep"],
        "gen_ai.tool.call.arguments": '{"city":"Bonn","days":2}',
    }
    assert own["a.deep"].startswith('{"in":{"in":')
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_content_that_the_sdk_takes_as_it_is_becomes_json_text(receiver: Receiver) -> None:
    structured: Any = {"in": {"list": [1, None, 2.5], "raw": b"\x00"}}
    with bridged(dsn=receiver.dsn, capture_content="sentry") as running:
        with running.tracer.start_as_current_span("execute_tool t") as span:
            span.set_attribute("gen_ai.operation.name", "execute_tool")
            span.set_attribute("gen_ai.tool.call.result", structured)
        running.flush()

    [transaction] = receiver.transactions
    data = transaction.payload["contexts"]["trace"]["data"]
    assert json.loads(data["gen_ai.tool.call.result"])["in"]["list"] == [1, None, 2.5]
