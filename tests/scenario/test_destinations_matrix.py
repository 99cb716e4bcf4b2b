"""The same program, unchanged, under every choice of destinations: the same story in each cell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spanbridge.receiver import Receiver
from tests.support.ports import free_port
from tests.support.program import Finished, run_program

PROGRAM = """
import asyncio, threading, spanbridge
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

spanbridge.configure()
tracer = trace.get_tracer("matrix", "1.0")

async def agent(name):
    with tracer.start_as_current_span(f"agent {name}", attributes={"app.agent": name}) as span:
        await asyncio.sleep(0.01)
        with tracer.start_as_current_span("think", attributes={"app.depth": 3, "app.sure": True}):
            pass
        span.set_status(Status(StatusCode.OK))

async def request():
    with tracer.start_as_current_span("decide", kind=SpanKind.SERVER) as span:
        span.set_attribute("app.parts", ["a", "b"])
        span.set_attribute("password", "hunter2")
        span.set_attribute("gen_ai.input.messages", "a secret prompt")
        span.add_event("decided", {"app.choice": "yes", "api_key": "hunter2"})
        await asyncio.gather(agent("ethics"), agent("legal"))
        current = context.get_current()
        def in_thread():
            tracer.start_span("in a thread", context=current).end()
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()

asyncio.run(request())
try:
    with tracer.start_as_current_span("fails"):
        with tracer.start_as_current_span("inner"):
            raise ValueError("the reason")
except ValueError:
    pass
print("THE PROGRAM'S OWN OUTPUT")
assert spanbridge.flush()
tell_status()
"""

EXPECTED_PATHS = Counter(
    {
        ("decide",): 1,
        ("decide", "agent ethics"): 1,
        ("decide", "agent legal"): 1,
        ("decide", "agent ethics", "think"): 1,
        ("decide", "agent legal", "think"): 1,
        ("decide", "in a thread"): 1,
        ("fails",): 1,
        ("fails", "inner"): 1,
    }
)


class Span(NamedTuple):
    """What every destination can tell of a span."""

    span_id: str
    parent_id: str | None
    name: str
    has_failed: bool
    attributes: str
    """The application's own attributes, ``app.*``, as sorted JSON."""


@dataclass
class Told:
    """What arrived where in one run."""

    program: Finished
    by_destination: dict[str, list[Span]] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
    """Everything that left, as text, to search for secrets."""
    issues: dict[str, list[str]] = field(default_factory=dict)


def own(attributes: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in attributes.items() if k.startswith("app.")}, sort_keys=True)


def from_file(path: Path) -> tuple[list[Span], list[str]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    spans = [
        Span(
            line["span_id"],
            line["parent_span_id"],
            line["name"],
            line["status"] == "error",
            own(line["attributes"]),
        )
        for line in lines
        if line["type"] == "span"
    ]
    return spans, [i["exceptions"][0]["value"] for i in lines if i["type"] == "issue"]


def from_otlp(receiver: Receiver) -> list[Span]:
    def plain(attributes: Any) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items()}

    return [
        Span(s.span_id, s.parent_span_id, s.name, s.status == "error", own(plain(s.attributes)))
        for s in receiver.spans
    ]


def from_sentry(receiver: Receiver) -> list[Span]:
    spans = []
    for item in receiver.transactions:
        root = item.payload["contexts"]["trace"]
        parts = [(root, item.payload["transaction"])]
        parts += [(span, span["description"]) for span in item.payload["spans"]]
        spans += [
            Span(
                part["span_id"],
                part.get("parent_span_id"),
                name,
                part.get("status") not in (None, "ok"),
                own(part["data"]),
            )
            for part, name in parts
        ]
    return spans + [
        Span(
            span["span_id"],
            span.get("parent_span_id"),
            span["name"],
            span["status"] == "error",
            own({key: typed["value"] for key, typed in span["attributes"].items()}),
        )
        for item in receiver.items("span")
        for span in item.payload["items"]
    ]


def run_on(destinations: str, receiver: Receiver, folder: Path, **variables: str) -> Told:
    path = folder / "told.jsonl"
    usual = {
        "SPANBRIDGE_DESTINATIONS": destinations,
        "SENTRY_DSN": receiver.dsn,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.otlp_endpoint,
        "SPANBRIDGE_FILE_PATH": str(path),
        "SPANBRIDGE_PROMETHEUS_PORT": str(free_port()),
        "SENTRY_ENVIRONMENT": "development",
    }
    program = run_program(PROGRAM, **{**usual, **variables})
    told = Told(program)
    in_file, issues_in_file = from_file(path)
    told.by_destination = {
        "file": in_file,
        "otlp": from_otlp(receiver),
        "sentry": from_sentry(receiver),
    }
    told.issues = {
        "file": issues_in_file,
        "sentry": [i.payload["exception"]["values"][-1]["value"] for i in receiver.issues],
    }
    told.raw = {
        "file": path.read_text() if path.exists() else "",
        "otlp": repr(receiver.spans),
        "sentry": repr([item.body for item in receiver.items()]),
        "console": program.stdout,
    }
    return told


def paths(spans: Iterable[Span]) -> Counter[tuple[str, ...]]:
    """The names from the root to each span."""
    by_id = {span.span_id: span for span in spans}

    def path(span: Span) -> tuple[str, ...]:
        parent = by_id.get(span.parent_id or "")
        return (*(path(parent) if parent else ()), span.name)

    return Counter(path(span) for span in by_id.values())


@pytest.mark.parametrize(
    "destinations",
    [
        "none",
        "console",
        "file",
        "otlp",
        "sentry",
        "prometheus",
        "sentry,otlp",
        "sentry,prometheus",
        "sentry,otlp,console,file,prometheus",
    ],
)
def test_each_cell_tells_the_same_story(
    receiver: Receiver, tmp_path: Path, destinations: str
) -> None:
    told = run_on(destinations, receiver, tmp_path)
    chosen = [] if destinations == "none" else destinations.split(",")

    assert (told.program.exit_code, told.program.stderr) == (0, "")
    assert "THE PROGRAM'S OWN OUTPUT" in told.program.lines
    assert receiver.violations == []
    assert list(told.program.status.destinations) == chosen
    for name, spans in told.by_destination.items():
        if name not in chosen:
            assert spans == []
            continue
        assert paths(spans) == EXPECTED_PATHS
        assert {s.name for s in spans if s.has_failed} == {"fails", "inner"}
        assert sum('"app.depth": 3, "app.sure": true' in span.attributes for span in spans) == 2
    printed = [line for line in told.program.lines if line.startswith(("trace ", "ISSUE "))]
    assert len(printed) == (3 if "console" in chosen else 0)
    for name, values in told.issues.items():
        assert values == (["the reason"] if name in chosen else [])
    for name, status in told.program.status.destinations.items():
        assert status.ledger.is_closed
        expected = {} if name == "prometheus" else {"delivered": 8}
        assert status.ledger.outcomes.get("span", {}) == expected, name
    for text in told.raw.values():
        assert "hunter2" not in text
        assert "secret prompt" not in text


def test_side_by_side_the_destinations_got_the_very_same_spans(
    receiver: Receiver, tmp_path: Path
) -> None:
    told = run_on("sentry,otlp,file", receiver, tmp_path)

    file, otlp, sentry = (set(told.by_destination[name]) for name in ("file", "otlp", "sentry"))
    assert len(file) == 8
    assert file == otlp
    assert file == sentry


RECEIVER = "http://receiver.example"
"""In place of the address of the receiver."""
OTHER_WAYS: dict[str, dict[str, str]] = {
    "streamed spans": {"SPANBRIDGE_SENTRY_WIRE": "spans"},
    "errors to Sentry, traces to OTLP": {"SPANBRIDGE_SENTRY_MODE": "errors"},
    "errors to Sentry, and traces to it over OTLP": {
        "SPANBRIDGE_SENTRY_MODE": "errors",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{RECEIVER}/api/1/integration/otlp/v1/traces/",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"x-sentry-auth=sentry%20sentry_key%3D{'a' * 32}",
    },
    "by a file of settings": {"SPANBRIDGE_CONFIG": "settings.toml", "SPANBRIDGE_DESTINATIONS": ""},
    "a second Sentry project": {
        "SPANBRIDGE_DESTINATIONS": "sentry,otlp,file,second",
        "SPANBRIDGE_SECOND_KIND": "sentry",
    },
    "with rules that concern nothing": {
        "SPANBRIDGE_RULES": json.dumps(
            [
                {"on": "span", "match": {"span": "nobody"}, "drop": True},
                {"on": "span", "match": {"span": "nobody"}, "keep": True},
                {"on": "trace", "match": {"root": "nobody"}, "sample": 0},
            ]
        )
    },
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_other_ways_to_the_same_destinations_tell_the_same_set(
    receiver: Receiver, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").write_text(
        f"""
        [destinations.sentry]
        dsn = "{receiver.dsn}"
        [destinations.otlp]
        endpoint = "{receiver.otlp_endpoint}/v1/traces"
        [destinations.file]
        path = "{tmp_path / "told.jsonl"}"
        """
    )
    with Receiver() as second:
        variables = {"SPANBRIDGE_DESTINATIONS": "sentry,otlp,file", **OTHER_WAYS[way]}
        if "SPANBRIDGE_SECOND_KIND" in variables:
            variables["SPANBRIDGE_SECOND_DSN"] = second.dsn
        variables = {
            name: value.replace(RECEIVER, receiver.url) for name, value in variables.items()
        }
        told = run_on("", receiver, tmp_path, **variables)
        others = from_sentry(second)
        assert receiver.violations == second.violations == []

    assert (told.program.exit_code, told.program.stderr) == (0, "")
    expected = set(told.by_destination["file"])
    assert paths(expected) == EXPECTED_PATHS
    assert set(told.by_destination["otlp"]) == expected
    has_traces = OTHER_WAYS[way].get("SPANBRIDGE_SENTRY_MODE") != "errors"
    assert set(told.by_destination["sentry"]) == (expected if has_traces else set())
    assert set(others) == (expected if way == "a second Sentry project" else set())
    assert told.issues == {"file": ["the reason"], "sentry": ["the reason"]}


def test_a_destination_that_hangs_changes_nothing_for_the_other(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.fault("hang", delay_s=60, times=None, endpoint="otlp")
    program = PROGRAM.replace("assert spanbridge.flush()", "assert not spanbridge.flush(2)")
    done = run_program(
        program,
        SPANBRIDGE_DESTINATIONS="otlp,sentry",
        SENTRY_DSN=receiver.dsn,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.otlp_endpoint,
        SPANBRIDGE_SHUTDOWN_TIMEOUT_S="1",
    )

    assert done.exit_code == 0
    assert paths(from_sentry(receiver)) == EXPECTED_PATHS
    assert len(receiver.issues) == 1
    outcomes = {name: d.ledger.outcomes for name, d in done.status.destinations.items()}
    assert outcomes["sentry"]["span"] == {"delivered": 8}
    assert outcomes["otlp"] == {"span": {}} or "delivered" not in outcomes["otlp"]["span"]


SAMPLED = """
import spanbridge
from opentelemetry import trace
spanbridge.configure()
tracer = trace.get_tracer("x")
for number in range(2000):
    try:
        with tracer.start_as_current_span("root"):
            with tracer.start_as_current_span("child"):
                tracer.start_span("grandchild").end()
                if number % 100 == 0:
                    raise ValueError(number)
    except ValueError:
        pass
assert spanbridge.flush(60)
tell_status()
"""


@pytest.mark.parametrize("ids", ["random", "UUID4"])
def test_each_destination_samples_whole_traces_by_its_own_rate_and_errors_always(
    receiver: Receiver, tmp_path: Path, ids: str
) -> None:
    path = tmp_path / "told.jsonl"
    uuid_ids = """
import uuid
from opentelemetry.sdk.trace import id_generator
id_generator.RandomIdGenerator.generate_trace_id = lambda self: uuid.uuid4().int
"""
    done = run_program(
        (uuid_ids if ids == "UUID4" else "") + SAMPLED,
        SPANBRIDGE_DESTINATIONS="sentry,file",
        SENTRY_DSN=receiver.dsn,
        SENTRY_ENVIRONMENT="production",
        SPANBRIDGE_FILE_PATH=str(path),
    )

    assert (done.exit_code, done.stderr) == (0, "")
    in_file, issues_in_file = from_file(path)
    at_sentry = from_sentry(receiver)
    assert paths(in_file)[("root", "child", "grandchild")] == 2000
    kept = paths(at_sentry)
    # 200 expected, standard deviation 13.4; five of them either way.
    assert 133 <= kept[("root",)] <= 267
    assert set(kept.values()) == {kept[("root",)]}
    assert set(kept) == {("root",), ("root", "child"), ("root", "child", "grandchild")}
    assert {span.span_id for span in at_sentry} <= {span.span_id for span in in_file}
    errors = [issue.payload["exception"]["values"][-1]["value"] for issue in receiver.issues]
    assert sorted(errors, key=int) == issues_in_file == [str(n) for n in range(0, 2000, 100)]
    ledger = done.status.destinations["sentry"].ledger
    assert ledger.outcomes["span"] == {
        "delivered": 3 * kept[("root",)],
        "sampled_out": 6000 - 3 * kept[("root",)],
    }
    assert receiver.violations == []
    discarded: Counter[tuple[str, str]] = Counter()
    for report in receiver.items("client_report"):
        for event in report.payload["discarded_events"]:
            discarded[event["reason"], event["category"]] += event["quantity"]
    assert discarded["sample_rate", "transaction"] == 2000 - kept[("root",)]


def test_where_only_metrics_go_headers_pass_as_they_came() -> None:
    done = run_program(
        """
        import spanbridge
        from opentelemetry import propagate, trace
        spanbridge.configure()
        came = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "v=1"}
        left = {}
        with trace.get_tracer("x").start_as_current_span("passes", propagate.extract(came)):
            propagate.inject(left)
        assert left == came, left
        none = {}
        with trace.get_tracer("x").start_as_current_span("starts here"):
            propagate.inject(none)
        assert none == {}, none

        spanbridge.configure(destinations="console")
        with trace.get_tracer("x").start_as_current_span("told"):
            pass
        assert spanbridge.flush()
        """,
        SPANBRIDGE_DESTINATIONS="prometheus",
        SPANBRIDGE_PROMETHEUS_PORT=str(free_port()),
    )

    assert (done.exit_code, done.stderr) == (0, "")
    assert [line for line in done.lines if "told" in line]
