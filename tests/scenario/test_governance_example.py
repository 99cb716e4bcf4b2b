"""The governance example does what its README says, on a plain OpenTelemetry SDK."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.governance.traffic import SCENARIOS, TrafficReport, send_traffic

REPOSITORY = Path(__file__).parents[2]
CONSTITUTION = "feedfacecafe0001"
STATUS_TRACE_ID = "5" * 32
STATUS_TRACE = {"traceparent": f"00-{STATUS_TRACE_ID}-{'1' * 16}-01"}


@dataclass(frozen=True)
class Span:
    """A span as the SDK writes it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start: str
    end: str
    status: str
    attributes: dict[str, Any]
    events: list[dict[str, Any]]

    @classmethod
    def parse(cls, line: str) -> Span:
        raw = json.loads(line)
        return cls(
            name=raw["name"],
            kind=raw["kind"].removeprefix("SpanKind."),
            trace_id=raw["context"]["trace_id"].removeprefix("0x"),
            span_id=raw["context"]["span_id"],
            parent_id=raw["parent_id"],
            start=raw["start_time"],
            end=raw["end_time"],
            status=raw["status"]["status_code"],
            attributes=raw["attributes"],
            events=raw["events"],
        )

    def event(self, name: str) -> dict[str, Any]:
        [event] = [event for event in self.events if event["name"] == name]
        attributes: dict[str, Any] = event["attributes"]
        return attributes


class Trace:
    """The spans of one request."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: span.start)

    @property
    def server(self) -> Span:
        [server] = [span for span in self.spans if span.kind == "SERVER"]
        return server

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        [span] = self.named(name)
        return span

    def validation_of(self, principle: str) -> Span:
        [span] = [s for s in self.spans if s.attributes.get("governance.principle") == principle]
        return span

    def children_of(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def tree(self, parent: Span | None = None) -> list[Any]:
        """Names from the server span down, siblings in alphabetical order."""
        parent = parent or self.server
        below = sorted((self.tree(child) for child in self.children_of(parent)), key=str)
        return [parent.name, *below]


@dataclass(frozen=True)
class Run:
    """What was sent to the example and which spans it made."""

    report: TrafficReport
    status: dict[str, Any]
    """What ``/system/status`` says."""
    answers: dict[str, httpx.Response]
    """The answer to one request of each kind."""
    traces: dict[str, Trace]
    """The trace of that request."""
    traffic: list[Trace]
    """The traces of the mixed traffic."""


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A loopback socket that queues connections until a server takes it over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def python(
    listener: socket.socket, directory: Path, *args: str, **environment: str
) -> Iterator[None]:
    """A Python process that takes the socket over and works in ``directory``."""
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, **environment},
        pass_fds=[listener.fileno()],
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def send_one_of_each(base_url: str, trace_ids: dict[str, str]) -> dict[str, httpx.Response]:
    answers = {}
    with httpx.Client(base_url=base_url, timeout=30) as http:
        for scenario in SCENARIOS:
            headers = {
                **scenario.headers,
                "traceparent": f"00-{trace_ids[scenario.kind]}-{'1' * 16}-01",
                "connection": "close",
            }
            body = scenario.proposal and scenario.proposal.model_dump()
            method = "POST" if body else "GET"
            answers[scenario.kind] = http.request(method, scenario.path, json=body, headers=headers)
    return answers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("governance")
    spans_path = directory / "spans.jsonl"
    trace_ids = {scenario.kind: secrets.token_hex(16) for scenario in SCENARIOS}
    with (
        listening() as stub,
        listening() as service,
        python(
            stub,
            directory,
            *("-m", "uvicorn", "--log-level", "warning", "--fd", str(stub.fileno())),
            "examples.governance.llm_stub:app",
        ),
        python(
            service,
            directory,
            *("-m", "tests.scenario.governance_on_plain_sdk", str(service.fileno())),
            str(spans_path),
            LLM_URL=address_of(stub),
            CONSTITUTIONAL_HASH=CONSTITUTION,
            SPANBRIDGE_DESTINATIONS="none",
        ),
    ):
        report = asyncio.run(send_traffic(address_of(service)))
        status = httpx.get(f"{address_of(service)}/system/status", headers=STATUS_TRACE).json()
        answers = send_one_of_each(address_of(service), trace_ids)
    by_trace = defaultdict(list)
    for line in spans_path.read_text().splitlines():
        span = Span.parse(line)
        by_trace[span.trace_id].append(span)
    traces = {kind: Trace(by_trace.pop(trace_id)) for kind, trace_id in trace_ids.items()}
    by_trace.pop(STATUS_TRACE_ID)
    return Run(report, status, answers, traces, [Trace(spans) for spans in by_trace.values()])


def test_every_request_is_answered_as_the_driver_promises(run: Run) -> None:
    assert run.report.surprises == ()
    assert run.report.sent.total() == 30


def test_every_request_is_one_trace_with_one_server_root_and_no_span_stands_apart(
    run: Run,
) -> None:
    assert len(run.traffic) == run.report.sent.total()
    for trace in run.traffic:
        assert trace.server.parent_id is None
        known = {span.span_id for span in trace.spans}
        assert {span.parent_id for span in trace.spans} - {None} <= known


def test_no_span_is_spent_on_the_parts_of_an_http_message(run: Run) -> None:
    names = Counter(span.name for trace in run.traffic for span in trace.spans)

    assert not [name for name in names if name.endswith((" send", " receive"))]


def test_the_tree_of_an_approved_proposal_reads_like_the_work(run: Run) -> None:
    assert run.traces["approved"].tree() == [
        "POST /proposals",
        ["INSERT governance.db"],
        ["connect"],
        [
            "consensus weighted_vote",
            ["consensus round"],
            ["invoke_agent ethics", ["chat stub-judge", ["POST"]]],
            ["invoke_agent legal", ["execute_tool statute_index"]],
            ["invoke_agent operational"],
        ],
        *[["validate principle"]] * 4,
    ]


def test_the_same_request_always_makes_the_same_tree(run: Run) -> None:
    expected: Counter[str] = Counter()
    for scenario in SCENARIOS:
        expected[str(run.traces[scenario.kind].tree())] += scenario.times

    assert Counter(str(trace.tree()) for trace in run.traffic) == expected


def test_the_agents_work_at_the_same_time(run: Run) -> None:
    trace = run.traces["approved"]
    agents = [trace.one(f"invoke_agent {name}") for name in ("ethics", "legal", "operational")]

    assert max(agent.start for agent in agents) < trace.one("invoke_agent operational").end
    assert trace.one("invoke_agent ethics").end > trace.one("invoke_agent operational").start


def test_the_language_model_is_described_by_the_genai_conventions(run: Run) -> None:
    trace = run.traces["approved"]
    chat = trace.one("chat stub-judge")

    assert chat.kind == "CLIENT"
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert chat.attributes["gen_ai.request.model"] == "stub-judge"
    assert chat.attributes["gen_ai.response.model"].startswith("stub-judge-")
    assert chat.attributes["gen_ai.usage.input_tokens"] == 11
    assert chat.attributes["gen_ai.usage.output_tokens"] == 1
    [http] = trace.children_of(chat)
    assert http.kind == "CLIENT"


def test_each_principle_is_validated_with_a_compliance_score(run: Run) -> None:
    scores = {
        span.attributes["governance.principle"]: span.attributes["governance.compliance.score"]
        for span in run.traces["approved"].named("validate principle")
    }

    assert scores == {
        "privacy": 1.0,
        "safety": 1.0,
        "transparency": 1.0,
        "proportionality": 1.0,
    }


def test_a_grave_violation_is_raised_and_fails_the_request(run: Run) -> None:
    trace = run.traces["violation_raised"]
    check = trace.validation_of("privacy")

    raised = check.event("exception")
    assert raised["exception.type"].endswith("ConstitutionalViolation")
    assert check.status == "ERROR"
    assert check.attributes["governance.compliance.score"] == 0.0
    assert check.attributes["governance.violation.severity"] == "critical"
    assert trace.server.status == "ERROR"
    assert trace.server.event("exception")["exception.message"] == raised["exception.message"]


def test_a_slight_violation_is_noticed_and_the_request_goes_on(run: Run) -> None:
    trace = run.traces["violation_noticed"]

    noticed = trace.validation_of("transparency").event("governance.violation")
    assert noticed["governance.violation.type"] == "transparency"
    assert noticed["governance.violation.severity"] == "medium"
    assert trace.server.status == "UNSET"
    assert run.answers["violation_noticed"].json()["outcome"] == "allow"


def test_an_agent_recovers_when_its_second_look_up_succeeds(run: Run) -> None:
    trace = run.traces["agent_recovered"]

    assert [span.status for span in trace.named("execute_tool statute_index")] == ["ERROR", "UNSET"]
    assert trace.one("invoke_agent legal").status != "ERROR"
    assert trace.server.status == "UNSET"


def test_an_agent_that_fails_twice_fails_the_request_with_its_own_exception(run: Run) -> None:
    trace = run.traces["agent_escaped"]

    assert [s.status for s in trace.named("execute_tool statute_index")] == ["ERROR", "ERROR"]
    for name in ("invoke_agent legal", "consensus weighted_vote", "POST /proposals"):
        span = trace.one(name)
        assert span.status == "ERROR"
        assert span.event("exception")["exception.type"].endswith("StatuteNotFoundError")


def test_the_other_agents_finish_their_work_when_one_fails(run: Run) -> None:
    trace = run.traces["agent_escaped"]

    assert trace.one("invoke_agent operational").end < trace.one("consensus weighted_vote").end
    assert trace.one("invoke_agent operational").status != "ERROR"


def test_an_agent_out_of_time_abstains_and_the_others_decide(run: Run) -> None:
    trace = run.traces["agent_timed_out"]
    agent = trace.one("invoke_agent operational")

    assert agent.attributes["multi_agent.task.outcome"] == "timeout"
    assert agent.attributes["multi_agent.task.timeout_s"] == 0.5
    assert trace.server.status == "UNSET"
    assert run.answers["agent_timed_out"].json()["agreement"] == pytest.approx(0.75)


def test_a_vote_takes_rounds_until_the_quorum_agrees(run: Run) -> None:
    trace = run.traces["approved_after_rounds"]
    attempt = trace.one("consensus weighted_vote")

    assert attempt.attributes["multi_agent.consensus.achieved"] is True
    assert attempt.attributes["multi_agent.consensus.iterations"] == 2
    choices = [
        [event["attributes"]["multi_agent.consensus.vote.choice"] for event in ballot.events]
        for ballot in trace.named("consensus round")
    ]
    assert choices == [["approve", "reject", "approve"], ["approve", "approve", "approve"]]


def test_a_vote_without_agreement_is_escalated_and_not_an_error(run: Run) -> None:
    trace = run.traces["escalated"]
    attempt = trace.one("consensus weighted_vote")

    assert attempt.attributes["multi_agent.consensus.achieved"] is False
    assert len(trace.named("consensus round")) == 3
    assert attempt.status != "ERROR"
    assert run.answers["escalated"].json()["outcome"] == "escalate"


def test_a_lost_quorum_is_answered_by_a_handler_and_stays_visible_on_the_spans(run: Run) -> None:
    trace = run.traces["quorum_lost"]
    attempt = trace.one("consensus weighted_vote")

    assert run.answers["quorum_lost"].json() == {"detail": "65% of the weight can agree, 70% must"}
    assert attempt.event("exception")["exception.type"].endswith("QuorumLostError")
    assert trace.named("consensus round") == []
    assert trace.server.status == "ERROR"


def test_a_decision_is_an_event_and_can_be_read_back(run: Run) -> None:
    event = run.traces["rejected"].server.event("governance.decision")

    assert event["governance.decision.outcome"] == "block"
    assert event["governance.decision.id"] == str(run.answers["rejected"].json()["id"])


def test_health_echoes_the_constitution_and_reports_a_mismatch(run: Run) -> None:
    same, other = run.answers["health"].json(), run.answers["health_other_constitution"].json()

    assert (same["status"], same["constitution_hash"]) == ("ok", CONSTITUTION)
    assert (other["status"], other["constitution_hash"]) == ("constitution_mismatch", CONSTITUTION)


def test_system_status_tells_how_telemetry_fares(run: Run) -> None:
    assert run.status["enabled"] is False
    assert run.status["destinations"] == {}


def test_every_request_carries_the_constitution_it_was_decided_by(run: Run) -> None:
    hashes = {trace.server.attributes["governance.constitution.hash"] for trace in run.traffic}

    assert hashes == {CONSTITUTION}


def test_the_driver_counts_what_its_requests_owe(run: Run) -> None:
    raised: Counter[str] = Counter()
    noticed = 0
    for trace in run.traffic:
        noticed += sum(e["name"] == "governance.violation" for s in trace.spans for e in s.events)
        if trace.server.status == "ERROR":
            exceptions = (e for s in trace.spans for e in s.events if e["name"] == "exception")
            raised[next(exceptions)["attributes"]["exception.type"].rpartition(".")[2]] += 1

    owed = {issue.type: count for issue, count in run.report.issues.items()}
    assert {name: count for name, count in owed.items() if " " not in name} == raised
    assert run.report.violations_noticed == noticed


def test_examples_import_opentelemetry_and_the_helpers_but_never_sentry() -> None:
    imported = set()
    application = [
        path
        for path in (REPOSITORY / "examples").rglob("*.py")
        if not path.name.startswith("demo")  # the demo looks at what arrived
    ]
    for path in application:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")

    assert not [name for name in imported if "sentry" in name]
    ours = {name for name in imported if name.startswith("spanbridge")}
    public = ("spanbridge.conventions", "spanbridge.instrument")
    assert all(name == "spanbridge" or name.startswith(public) for name in ours)
