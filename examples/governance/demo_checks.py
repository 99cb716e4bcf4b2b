"""Did every destination get what it was owed?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from examples.governance.traffic import ExpectedIssue, TrafficReport
from spanbridge import Status
from spanbridge.receiver import StoredItem, StoredSpan, StoredViolation


@dataclass(frozen=True)
class Evidence:
    """What was sent to the service, and what arrived where."""

    report: TrafficReport
    transactions: Sequence[StoredItem]
    issues: Sequence[StoredItem]
    spans: Sequence[StoredSpan]
    violations: Sequence[StoredViolation]
    printed: str
    lines: Sequence[str]


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
        "transactions": len(evidence.transactions),
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
    return len(evidence.transactions), issues


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
