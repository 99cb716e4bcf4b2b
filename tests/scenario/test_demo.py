"""The demo: exit code 0 if every destination got what it was owed, and only then."""

from __future__ import annotations

import msgspec
import pytest

from examples.governance.demo_checks import (
    Check,
    Evidence,
    check_destination,
    check_ledger,
    check_silence,
)
from examples.governance.demo_view import WIDTH
from examples.governance.traffic import SCENARIOS, Answer, TrafficReport
from spanbridge import DestinationStatus, Status
from spanbridge.receiver import StoredItem, StoredSpan, StoredViolation, Trace
from spanbridge.receiver.traces import join_trace
from spanbridge.runtime.ledger import LedgerSnapshot
from tests.support.program import running

SHOWN = {
    "none": ["none: nothing was sent, as asked"],
    "sentry": [
        "StatuteNotFoundError: moon-act-1",
        "consensus weighted_vote",
        "timeout 0.5 s",
        "log info multi_agent.consensus.vote",
        "2 x info governance.violation",
    ],
    "console": ["· POST /proposals", "ISSUE StatuteNotFoundError: moon-act-1"],
    "otlp": ["server POST /proposals", "exception examples.governance.agents.Statute"],
    "file": ["name                validate principle", "local_root   POST /proposals"],
}
"""What a person sees of each destination."""


@pytest.mark.parametrize(
    ("destinations", "wire"),
    [
        ("none", "transactions"),
        ("console", "transactions"),
        ("file", "transactions"),
        ("otlp", "transactions"),
        ("sentry,otlp", "transactions"),
        ("sentry", "spans"),
    ],
)
def test_the_demo_succeeds_on_any_destination(destinations: str, wire: str) -> None:
    command = ("-m", "examples.governance.demo", "--destinations", destinations, "--wire", wire)
    with running(*command) as demo:
        done = demo.wait(150)

    assert done.exit_code == 0, done.stdout + done.stderr
    satisfied = [line for line in done.lines if line.endswith(": got all it was owed")]
    chosen = [] if destinations == "none" else destinations.split(",")
    assert [line.partition(":")[0] for line in satisfied] == ["ledger", *chosen]
    assert max(map(len, done.lines)) <= WIDTH
    for name in chosen or ["none"]:
        assert [part for part in SHOWN[name] if part not in done.stdout] == []


def test_the_demo_names_a_destination_it_does_not_know() -> None:
    with running("-m", "examples.governance.demo", "--destinations", "sentri") as demo:
        done = demo.wait()

    assert done.exit_code == 1
    assert done.log_lines == [
        "unknown destination 'sentri': choose among sentry, otlp, console, file or none"
    ]


ANSWERS = tuple(Answer(scenario, scenario.status) for scenario in SCENARIOS)
REPORT = TrafficReport(ANSWERS)
ISSUES = [(issue.type, issue.is_handled) for issue in REPORT.issues.elements()]


NOTICED = {"event.name": {"type": "string", "value": "governance.violation"}}


def one_trace(number: int) -> Trace:
    """A request's trace, with a log if it noticed a violation."""
    trace_id = f"{number:032x}"
    context = {"trace": {"trace_id": trace_id, "span_id": "1" * 16}}
    log = {"trace_id": trace_id, "attributes": NOTICED}
    logs = [item("log", {"items": [log]})] if number < REPORT.violations_noticed else []
    return join_trace(trace_id, [item("transaction", {"contexts": context}), *logs])


def streamed_trace(number: int) -> Trace:
    row = {"trace_id": f"{number:032x}", "span_id": "1" * 16, "is_segment": True}
    return join_trace(row["trace_id"], [item("span", {"items": [row]})])  # type: ignore[arg-type]


def item(kind: str, payload: dict[str, object]) -> StoredItem:
    return StoredItem(1, kind, {}, payload, b"{}", {}, "key", "1", "identity", (), 0.0)


def server_span() -> StoredSpan:
    fields = dict.fromkeys(StoredSpan.__struct_fields__)
    return StoredSpan(**{**fields, "kind": "server"})  # type: ignore[arg-type]


def event(kind: str, is_handled: bool) -> StoredItem:
    values = [{"type": kind, "mechanism": {"handled": is_handled}}]
    return item("event", {"exception": {"values": values}})


def complete() -> Evidence:
    """What a run leaves in which nothing is missing anywhere."""
    printed = ["trace 0af7651916cd43dd8448eb211c80319c"] * len(ANSWERS)
    printed += [f"ISSUE {k}: x  ({'handled' if h else 'unhandled'}, POST /)" for k, h in ISSUES]
    lines: list[object] = [{"type": "span", "kind": "server"}] * len(ANSWERS)
    lines += [{"type": "issue", "exceptions": [{"type": k}], "is_handled": h} for k, h in ISSUES]
    return Evidence(
        report=REPORT,
        traces=list(map(one_trace, range(len(ANSWERS)))),
        issues=[event(kind, is_handled) for kind, is_handled in ISSUES],
        spans=[server_span()] * len(ANSWERS),
        violations=[],
        printed="\n".join(printed),
        lines=[msgspec.json.encode(line).decode() for line in lines],
        delivered={
            "span": len(ANSWERS),
            "log": REPORT.violations_noticed,
            "error": len(ISSUES),
        },
    )


EVERYWHERE = ("sentry", "otlp", "console", "file")


def test_complete_evidence_passes_everywhere() -> None:
    for name in EVERYWHERE:
        assert check_destination(name, complete()) == Check(name, ())


@pytest.mark.parametrize("name", EVERYWHERE)
def test_one_missing_request_is_noticed(name: str) -> None:
    evidence = complete()
    less = Evidence(
        report=evidence.report,
        traces=evidence.traces[:-1],
        issues=evidence.issues,
        spans=evidence.spans[1:],
        violations=[],
        printed=evidence.printed.partition("\n")[2],
        lines=evidence.lines[1:],
    )

    complaint = check_destination(name, less).complaints[0]
    assert complaint == f"{len(ANSWERS) - 1} of {len(ANSWERS)} request trees arrived"


@pytest.mark.parametrize("name", ["sentry", "console", "file"])
def test_one_missing_issue_is_noticed(name: str) -> None:
    evidence = complete()
    less = Evidence(
        report=evidence.report,
        traces=evidence.traces,
        issues=evidence.issues[:-1],
        spans=evidence.spans,
        violations=[],
        printed=evidence.printed.rpartition("\n")[0],
        lines=evidence.lines[:-1],
    )

    [complaint] = check_destination(name, less).complaints
    assert complaint.startswith("issues ")


@pytest.mark.parametrize(("kind", "name"), [("transaction", "sentry"), ("otlp_span", "otlp")])
def test_a_breach_of_the_protocol_is_noticed_where_it_belongs(kind: str, name: str) -> None:
    evidence = complete()
    violation = StoredViolation("dsc.trace_id", "trace", "is bad", kind=kind, received_at=0.0)
    breached = Evidence(**{**vars(evidence), "violations": [violation]})

    for each in EVERYWHERE:
        assert check_destination(each, breached).passed == (each != name)


@pytest.mark.parametrize("signal", ["span", "log", "error"])
def test_what_was_delivered_and_did_not_arrive_is_noticed(signal: str) -> None:
    evidence = complete()
    more = {**evidence.delivered, signal: 99}

    [complaint] = check_destination("sentry", changed(evidence, delivered=more)).complaints
    assert complaint == f"{signal}: 99 were delivered, {evidence.delivered[signal]} arrived"


def test_a_missing_log_is_noticed() -> None:
    evidence = complete()
    traces = [one_trace(number + 1) for number in range(len(ANSWERS))]
    delivered = {**evidence.delivered, "log": 0}

    check = check_destination("sentry", changed(evidence, traces=traces, delivered=delivered))
    assert check.complaints == ("0 of 1 noticed violations arrived as logs",)


def test_a_trace_on_the_wrong_wire_is_noticed() -> None:
    evidence = complete()
    traces = [*evidence.traces[:-1], streamed_trace(len(ANSWERS) - 1)]

    check = check_destination("sentry", changed(evidence, traces=traces))
    assert check.complaints == ("spans arrived where transactions were chosen",)


def changed(evidence: Evidence, **fields: object) -> Evidence:
    return Evidence(**{**vars(evidence), **fields})


def test_what_arrives_although_nothing_was_to_be_sent_is_noticed() -> None:
    silent = Evidence(REPORT, (), (), (), (), "", ())

    assert check_silence(silent).passed
    for name in ("traces", "issues", "spans", "printed", "lines"):
        loud = Evidence(**{**vars(silent), name: vars(complete())[name]})
        assert not check_silence(loud).passed


def test_an_unexpected_answer_is_noticed() -> None:
    evidence = complete()
    surprising = TrafficReport((Answer(SCENARIOS[0], 500), *ANSWERS[1:]))

    check = check_destination("sentry", Evidence(**{**vars(evidence), "report": surprising}))
    assert check.complaints == ("approved was answered 500",)


def status(snapshot: LedgerSnapshot, **fields: object) -> Status:
    sentry = DestinationStatus("sentry", "sentry", "host", 1.0, 0, snapshot)
    return msgspec.structs.replace(Status(True, "development", None, {"sentry": sentry}), **fields)


DELIVERED = LedgerSnapshot({"span": 2}, {"span": {"delivered": 2}}, {}, {"span": 0})


def test_a_closed_ledger_passes() -> None:
    assert check_ledger(status(DELIVERED), ["sentry"]).passed


@pytest.mark.parametrize(
    "broken",
    [
        status(LedgerSnapshot({"span": 2}, {"span": {"delivered": 1}}, {}, {"span": 1})),
        status(LedgerSnapshot({"span": 1}, {"span": {"failed": 1}}, {"failed: x": 1}, {"span": 0})),
        status(DELIVERED, destinations={}),
        status(DELIVERED, failures={"a bug": 1}),
    ],
    ids=["pending", "lost", "no destination", "failure"],
)
def test_whatever_else_the_service_tells_fails(broken: Status) -> None:
    assert not check_ledger(broken, ["sentry"]).passed
