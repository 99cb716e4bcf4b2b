"""Ids bound to a request are on all that it writes, whoever writes it, and on nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header
from opentelemetry import propagate, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanbridge.instrument import agent_task, bind, bound
from spanbridge.receiver import Receiver
from tests.support.bridged import Bridged, bridged

logger = logging.getLogger("shop")
KEYS = {"tenant.id", "gen_ai.conversation.id"}

CONVERSATION = "conversation-1"


def identified(x_tenant: str = Header(), x_conversation: str = Header()) -> Any:
    """A dependency that runs in a thread of its own: FastAPI's usual place for this."""
    bind(tenant_id=x_tenant)
    bind(conversation_id=x_conversation, override=True)


async def in_a_block() -> Any:
    with bound():
        yield


def application(under_test: Bridged, outgoing: list[dict[str, str]]) -> FastAPI:
    app = FastAPI(dependencies=[Depends(in_a_block), Depends(identified)])
    theirs = under_test.provider.get_tracer("openinference.instrumentation.somebody")
    provider = under_test.provider
    propagator = under_test.bridge.propagator
    propagator.beside = propagate.get_global_textmap()  # W3C's, baggage among them

    @app.get("/agent")
    async def agent(fail: bool = False) -> str:
        with agent_task("ethics", tracer_provider=provider):
            with theirs.start_as_current_span("chat") as span:
                await asyncio.sleep(0)
                span.set_attribute("gen_ai.conversation.id", "theirs")
                headers: dict[str, str] = {}
                propagator.inject(headers)
                outgoing.append(headers)
            await asyncio.gather(*(tool(n) for n in range(2)))
            await asyncio.to_thread(threaded)
            try:
                raise LookupError("logged")
            except LookupError:
                logger.exception("it failed")
            if fail:
                raise ValueError("escaped")
        return "done"

    async def tool(number: int) -> None:
        await asyncio.sleep(0)
        with theirs.start_as_current_span(f"tool {number}"):
            pass

    def threaded() -> None:
        theirs.start_span("in a thread").end()

    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, exclude_spans=["send", "receive"]
    )
    return app


async def ask(app: FastAPI, *requests: tuple[str, str, str]) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        await asyncio.gather(
            *(
                client.get(path, headers={"x-tenant": tenant, "x-conversation": conversation})
                for path, tenant, conversation in requests
            )
        )


def ids_of(attributes: Any) -> tuple[object, object]:
    return attributes.get("tenant.id"), attributes.get("gen_ai.conversation.id")


def test_two_ids_of_a_request_are_on_every_span_log_record_and_issue(
    receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "spans.jsonl"
    outgoing: list[dict[str, str]] = []
    with bridged(
        dsn=receiver.dsn, destinations={"sentry": {}, "file": {"path": str(file)}}
    ) as under_test:
        with under_test.chained():
            asyncio.run(
                ask(
                    application(under_test, outgoing),
                    ("/agent?fail=true", "acme", CONVERSATION),
                )
            )
        under_test.flush()

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    spans = [line for line in lines if line["type"] == "span"]
    assert {span["name"] for span in spans} >= {
        "GET /agent", "invoke_agent ethics", "chat", "tool 0", "tool 1", "in a thread",
    }  # fmt: skip
    for span in spans:
        assert ids_of(span["attributes"]) == ("acme", CONVERSATION), span["name"]
    [transaction] = receiver.transactions
    assert len(transaction.payload["spans"]) == len(spans) - 1
    for child in transaction.payload["spans"]:
        assert ids_of(child["data"]) == ("acme", CONVERSATION)
    assert {issue.payload["exception"]["values"][-1]["value"] for issue in receiver.issues} == {
        "logged", "escaped",
    }  # fmt: skip
    for issue in receiver.issues:
        assert ids_of(issue.payload["contexts"]["otel"]["attributes"]) == ("acme", CONVERSATION)
        assert issue.payload["contexts"]["agent"]["conversation_id"] == CONVERSATION
    assert {name for headers in outgoing for name in headers} == {
        "traceparent", "sentry-trace", "baggage",
    }  # fmt: skip
    assert "acme" not in str(outgoing)
    assert CONVERSATION not in str(outgoing)
    assert receiver.violations == []


def test_a_thousand_requests_at_once_never_mix(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        requests = [("/agent", f"t{n}", f"c{n}") for n in range(1000)]
        app = application(under_test, [])

        async def in_waves() -> None:
            for start in range(0, 1000, 250):
                await ask(app, *requests[start : start + 250])

        asyncio.run(in_waves())
        under_test.flush(20)

    by_trace: dict[str, set[tuple[object, object]]] = {}
    count = 0
    for line in file.read_text().splitlines():
        span = json.loads(line)
        if span["type"] == "issue":
            continue
        count += 1
        by_trace.setdefault(span["trace_id"], set()).add(ids_of(span["attributes"]))
    assert count == 6000
    assert len(by_trace) == 1000
    pairs = [pair for pairs in by_trace.values() for pair in pairs]
    assert sorted(map(str, pairs)) == sorted(str((f"t{n}", f"c{n}")) for n in range(1000))


def test_outside_of_spans_log_records_and_their_issues_carry_what_is_bound(
    receiver: Receiver,
) -> None:
    exported = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    with bridged(dsn=receiver.dsn) as under_test:
        provider = under_test.logger_provider
        provider.add_log_record_processor(SimpleLogRecordProcessor(exported))
        with under_test.chained(), bound(tenant_id="acme", user_id="u7"):
            try:
                raise LookupError("logged")
            except LookupError:
                logger.exception("it failed")
            provider.get_logger("otel").emit(
                severity_number=SeverityNumber.INFO, body="said", attributes={"tenant.id": "own"}
            )
            with bound(tenant_id="wins", override=True):
                provider.get_logger("otel").emit(
                    severity_number=SeverityNumber.INFO, body="x", attributes={"tenant.id": "own"}
                )
        under_test.flush()

    [issue] = receiver.issues
    assert issue.payload["contexts"]["log"]["tenant.id"] == "acme"
    assert issue.payload["user"]["id"] == "u7"
    told = [dict(one.log_record.attributes or {}) for one in exported.get_finished_logs()]
    assert [(one["tenant.id"], one["user.id"]) for one in told] == [("own", "u7"), ("wins", "u7")]
    assert receiver.violations == []


def spans_in(file: Path) -> dict[str, Any]:
    lines = map(json.loads, file.read_text().splitlines())
    return {line["name"]: line["attributes"] for line in lines}


@pytest.mark.parametrize("override", [False, True])
def test_a_value_of_the_spans_own_wins_unless_the_binding_overrides(
    override: bool, tmp_path: Path
) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        tracer = under_test.tracer
        with bound(conversation_id="ours", override=override):
            tracer.start_span("at start", attributes={"gen_ai.conversation.id": "theirs"}).end()
            with tracer.start_as_current_span("meanwhile") as span:
                span.set_attribute("gen_ai.conversation.id", "theirs")
            tracer.start_span("never").end()
        under_test.flush()

    told = {name: span["gen_ai.conversation.id"] for name, span in spans_in(file).items()}
    others = "ours" if override else "theirs"
    assert told == {"at start": others, "meanwhile": others, "never": "ours"}


def test_spans_full_of_attributes_carry_what_is_bound_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        provider = under_test.make_provider(span_limits=SpanLimits(max_span_attributes=4))
        with bound(tenant_id="acme"):
            span = provider.get_tracer("t").start_span("full")
            span.set_attributes({f"k{n}": n for n in range(9)})
            span.end()
        under_test.flush()

    assert spans_in(file)["full"]["tenant.id"] == "acme"


def test_an_issue_of_an_open_span_has_the_value_that_wins(receiver: Receiver) -> None:
    with bridged(dsn=receiver.dsn) as under_test:
        with (
            under_test.chained(),
            bound(conversation_id="ours", override=True),
            under_test.tracer.start_as_current_span("chat") as span,
        ):
            span.set_attribute("gen_ai.conversation.id", "theirs")
            try:
                raise LookupError("logged")
            except LookupError:
                logger.exception("it failed")
            under_test.flush()
            [issue] = receiver.issues
    attributes = issue.payload["contexts"]["otel"]["attributes"]
    assert attributes["gen_ai.conversation.id"] == "ours"


def test_a_span_that_ends_elsewhere_carries_what_was_bound_where_it_started(
    tmp_path: Path,
) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        with bound(tenant_id="start"):
            span = under_test.tracer.start_span("moved")
        with bound(tenant_id="end"):
            span.end()
        under_test.flush()
    assert spans_in(file)["moved"]["tenant.id"] == "start"


def test_nothing_is_kept_of_what_was_bound(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file), "sample_rate": 0.0}}) as under_test:
        with under_test.tracer.start_as_current_span("root") as root, bound(tenant_id="acme"):
            for _ in range(100):
                under_test.tracer.start_span("child").end()
            del _
            under_test.tracer.start_span("never ended")
            under_test.flush()
            local = under_test.bridge._traces.find(root.get_span_context())
            assert local is not None
            assert local.bound == {}


def test_other_exporters_see_what_is_bound_too() -> None:
    exported = InMemorySpanExporter()
    with bridged(destinations="console") as under_test:
        under_test.provider.add_span_processor(SimpleSpanProcessor(exported))
        with bound(tenant_id="acme"):
            under_test.tracer.start_span("one").end()
    [span] = exported.get_finished_spans()
    assert span.attributes == {"tenant.id": "acme"}


def test_what_is_bound_to_a_running_span_wins_at_its_end_if_it_overrides(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        with under_test.tracer.start_as_current_span("outside") as outside, bound():
            with under_test.tracer.start_as_current_span("inside") as inside:
                bind(tenant_id="mine", override=True)
                bind(user_id="mine")
                inside.set_attributes({"tenant.id": "theirs", "user.id": "theirs"})
            outside.set_attribute("tenant.id", "its own")
        under_test.flush()
    spans = spans_in(file)
    assert spans["inside"] == {"tenant.id": "mine", "user.id": "theirs"}
    assert spans["outside"] == {"tenant.id": "its own"}


def test_without_override_a_running_span_keeps_its_own_value(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        with (
            bound({"roles": ["none"]}, user_id="unknown"),
            under_test.tracer.start_as_current_span("one", attributes={"tenant.id": "own"}),
        ):
            bind({"roles": ["admin"]}, tenant_id="bound", user_id=7)
        under_test.flush()
    # What was bound before is no value of its own: what was bound last wins.
    assert spans_in(file)["one"] == {"tenant.id": "own", "user.id": 7, "roles": ["admin"]}


def test_a_full_span_loses_none_of_its_own_attributes(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        provider = under_test.make_provider(span_limits=SpanLimits(max_span_attributes=3))
        with bound({"a": "bound", "k0": "bound"}, tenant_id="acme", override=True):
            span = provider.get_tracer("t").start_span("full", attributes={"k0": 0, "k1": 1})
            with trace.use_span(span, end_on_exit=True):
                bind(user_id=7)
        under_test.flush()
    assert isinstance(span, ReadableSpan)
    assert span.dropped_attributes == 0
    assert dict(span.attributes or {}) == {"k0": "bound", "k1": 1, "a": "bound"}
    assert spans_in(file)["full"] == {
        **{"k0": "bound", "k1": 1, "a": "bound"},
        **{"tenant.id": "acme", "user.id": 7},
    }


def test_names_of_any_type_are_bound(tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    names: Any = {1: "one", "": "none", None: 2}
    with bridged(destinations={"file": {"path": str(file)}}) as under_test:
        with bound(names), under_test.tracer.start_as_current_span("one"):
            bind({2.5: True})  # type: ignore[dict-item]
        under_test.flush()
    assert spans_in(file)["one"] == {"1": "one", "None": 2, "2.5": True}
