"""Did every destination get what it was owed?"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from examples.governance.traffic import ExpectedIssue, TrafficReport
from spanbridge import Status
from spanbridge.conventions.generated import EVENT_GOVERNANCE_VIOLATION
from spanbridge.receiver import StoredItem, StoredSpan, StoredViolation, Trace, Wire


@dataclass(frozen=True)
class Evidence:
    """What was sent to the service, and what arrived where."""

    report: TrafficReport
    traces: Sequence[Trace]
    """What Sentry's trace view would show, whatever the wire."""
    issues: Sequence[StoredItem]
    spans: Sequence[StoredSpan]
    violations: Sequence[StoredViolation]
    printed: str
    lines: Sequence[str]
    wire: Wire = "transactions"
    delivered: Mapping[str, int] = field(default_factory=dict)
    """What the service says it delivered to Sentry, by signal."""


@dataclass(frozen=True)
class Check:
    """One destination and what, if anything, is missing."""

    name: str
    complaints: tuple[str, ...]
    verdict: str = "got all it was owed"
    """What there is to say if nothing is missing."""

    @property
    def passed(self) -> bool:
        """Whether nothing is missing."""
        return not self.complaints


def check_ledger(status: Status, destinations: Sequence[str]) -> Check:
    """Every item has its fate, and none was lost."""
    complaints = []
    if sorted(status.destinations) != sorted(destinations):
        complaints.append(f"the service sent to {sorted(status.destinations)}")
    for name, destination in status.destinations.items():
        if not destination.ledger.is_closed:
            complaints.append(f"{name}: pending {destination.ledger.pending}")
        if destination.ledger.reasons:
            complaints.append(f"{name}: lost {destination.ledger.reasons}")
    if status.failures:
        complaints.append(f"internal failures {status.failures}")
    return Check("ledger", tuple(complaints))


def check_silence(evidence: Evidence) -> Check:
    """Without a destination, nothing may have arrived anywhere."""
    arrived = {
        "traces": len(evidence.traces),
        "issues": len(evidence.issues),
        "spans": len(evidence.spans),
        "printed lines": len(evidence.printed.splitlines()),
        "lines": len(evidence.lines),
    }
    complaints = tuple(f"{count} {name} arrived" for name, count in arrived.items() if count)
    return Check("none", complaints, "nothing was sent, as asked")


def check_destination(name: str, evidence: Evidence) -> Check:
    """Whether ``name`` got one tree per request, and the issues that were raised."""
    roots, issues = {
        "sentry": _at_sentry,
        "otlp": _at_otlp,
        "console": _on_console,
        "file": _in_file,
    }[name](evidence)
    owed_roots, owed_issues = sum(evidence.report.sent.values()), evidence.report.issues
    complaints = []
    if roots != owed_roots:
        complaints.append(f"{roots} of {owed_roots} request trees arrived")
    if issues != owed_issues:
        complaints.append(f"issues {dict(issues)} arrived, {dict(owed_issues)} were owed")
    complaints += [
        f"protocol: {violation.rule} {violation.where} {violation.message}"
        for violation in evidence.violations
        if (violation.kind == "otlp_span") == (name == "otlp") and name in ("sentry", "otlp")
    ]
    if name == "sentry":
        complaints += _missing_at_sentry(evidence)
    complaints += [
        f"{answer.scenario.kind} was answered {answer.status}"
        for answer in evidence.report.surprises
    ]
    return Check(name, tuple(complaints))


def _at_sentry(evidence: Evidence) -> tuple[int, Counter[ExpectedIssue]]:
    issues: Counter[ExpectedIssue] = Counter()
    for item in evidence.issues:
        if "exception" in item.payload:
            outermost = item.payload["exception"]["values"][-1]
            issues[ExpectedIssue(outermost["type"], outermost["mechanism"]["handled"])] += 1
        else:
            issues[_message(item.payload["logentry"]["formatted"])] += 1
    return sum(len(trace.segments) for trace in evidence.traces), issues


def _missing_at_sentry(evidence: Evidence) -> Iterator[str]:
    """Whether it all came on the wire that was chosen, to the last span and log."""
    wires = {wire for trace in evidence.traces for wire in trace.wires}
    if others := wires - {evidence.wire}:
        yield f"{', '.join(others)} arrived where {evidence.wire} were chosen"
    logs = [log for trace in evidence.traces for log in trace.logs]
    arrived = {
        "span": sum(len(trace.spans) for trace in evidence.traces),
        "log": len(logs),
        "error": len(evidence.issues),
    }
    for signal, count in evidence.delivered.items():
        if arrived.get(signal) != count:
            yield f"{signal}: {count} were delivered, {arrived.get(signal)} arrived"
    owed = evidence.report.violations_noticed
    noticed = [
        log for log in logs if log.attributes.get("event.name") == EVENT_GOVERNANCE_VIOLATION
    ]
    if len(noticed) != owed:
        yield f"{len(noticed)} of {owed} noticed violations arrived as logs"


def _at_otlp(evidence: Evidence) -> tuple[int, Counter[ExpectedIssue]]:
    # OTLP has no issues: the exceptions are events on the spans. What is owed is the trees.
    roots = [span for span in evidence.spans if span.kind == "server"]
    return len(roots), evidence.report.issues


def _on_console(evidence: Evidence) -> tuple[int, Counter[ExpectedIssue]]:
    issues: Counter[ExpectedIssue] = Counter()
    roots = 0
    for line in evidence.printed.splitlines():
        roots += line.startswith("trace ")
        if line.startswith("ISSUE "):
            title, _, rest = line.removeprefix("ISSUE ").partition("  (")
            issues[ExpectedIssue(_first_words(title), "unhandled" not in rest)] += 1
    return roots, issues


def _in_file(evidence: Evidence) -> tuple[int, Counter[ExpectedIssue]]:
    issues: Counter[ExpectedIssue] = Counter()
    roots = 0
    for line in map(msgspec.json.decode, evidence.lines):
        if line["type"] == "issue" and line["exceptions"]:
            issues[ExpectedIssue(line["exceptions"][0]["type"], line["is_handled"])] += 1
        elif line["type"] == "issue":
            issues[_message(line["message"])] += 1
        else:
            roots += line["kind"] == "server"
    return roots, issues


def _message(text: str) -> ExpectedIssue:
    """Something that was noticed by a rule, and not raised."""
    return ExpectedIssue(_first_words(text), is_handled=True)


def _first_words(text: str) -> str:
    return text.split(":")[0]
