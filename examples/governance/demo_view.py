"""What the demo prints."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from examples.governance.demo_checks import Check
from examples.governance.traffic import TrafficReport
from spanbridge import Status
from spanbridge.receiver import StoredItem

_STATUS_STYLE = {"ok": "green", None: "green"}
_CONSOLE_LINES_SHOWN = 60


def show_sentry(
    console: Console, issues: Sequence[StoredItem], transactions: Sequence[StoredItem]
) -> None:
    """Issues as the Issues page would list them, and one tree of each kind of transaction."""
    console.rule("Sentry: issues")
    for title, events in _grouped(issues, _title).items():
        _show_issue(console, title, events)
    console.rule("Sentry: transactions")
    for (name, status), items in _grouped(transactions, _shape).items():
        console.print(f"[bold]{len(items)} x[/] {escape(name)} [dim]{status}[/]")
    console.print()
    shown = _grouped(transactions, _shape).values()
    for items in sorted(shown, key=lambda items: -len(items[0].payload["spans"]))[:3]:
        console.print(_transaction_tree(items[0].payload))


def show_console(console: Console, printed: str) -> None:
    """What the console destination printed, the beginning of it."""
    console.rule("console")
    lines = printed.splitlines()
    for line in lines[:_CONSOLE_LINES_SHOWN]:
        console.print(line, markup=False, soft_wrap=True)
    if len(lines) > _CONSOLE_LINES_SHOWN:
        console.print(f"… and {len(lines) - _CONSOLE_LINES_SHOWN} more lines")


def show_ledger(console: Console, status: Status) -> None:
    """The closed ledger: what was owed to each destination and what became of it."""
    console.rule("ledger")
    table = Table("destination", "address", "signal", "accepted", "fates", "pending")
    for name, destination in status.destinations.items():
        for signal, accepted in destination.ledger.accepted.items():
            fates = ", ".join(
                f"{fate} {count}" for fate, count in destination.ledger.outcomes[signal].items()
            )
            pending = str(destination.ledger.pending[signal])
            table.add_row(name, destination.address, signal, str(accepted), fates, pending)
    console.print(table if table.row_count else "nothing was sent anywhere")


def show_checks(console: Console, report: TrafficReport, checks: Sequence[Check]) -> None:
    """One line per destination: everything it was owed, or what is missing."""
    console.rule("result")
    sent = ", ".join(f"{kind} {count}" for kind, count in report.sent.items())
    console.print(f"{len(report.answers)} requests: {sent}")
    for check in checks:
        verdict = (
            "[green]got all it was owed[/]" if check.passed else "[red]is missing something[/]"
        )
        console.print(f"{check.name}: {verdict}")
        for complaint in check.complaints[:10]:
            console.print(f"  {escape(complaint)}")


def _grouped(items: Sequence[StoredItem], key: Any) -> dict[Any, list[StoredItem]]:
    groups: dict[Any, list[StoredItem]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _title(issue: StoredItem) -> str:
    outermost = issue.payload["exception"]["values"][-1]
    return f"{outermost['type']}: {outermost['value']}"


def _show_issue(console: Console, title: str, events: Sequence[StoredItem]) -> None:
    payload = events[0].payload
    outermost = payload["exception"]["values"][-1]
    handled = "handled" if outermost["mechanism"]["handled"] else "unhandled"
    console.print(f"[bold red]{escape(title)}[/]", soft_wrap=True)
    console.print(
        f"  {len(events)} x, level {payload['level']}, {handled}, in {payload['transaction']}"
    )
    frames = outermost.get("stacktrace", {}).get("frames", [])
    in_app = [frame for frame in frames if frame.get("in_app")] or frames
    if in_app:
        frame = in_app[-1]
        console.print(f"  {frame['filename']}:{frame['lineno']} in {frame['function']}")
        console.print(f"    {escape((frame.get('context_line') or '').strip())}")
    tags = " ".join(f"{key}={value}" for key, value in sorted(payload.get("tags", {}).items()))
    console.print(f"  [dim]{escape(tags)}[/]", soft_wrap=True)
    trace = payload["contexts"]["trace"]
    console.print(f"  [dim]trace {trace['trace_id']} span {trace['span_id']}[/]\n")


def _shape(transaction: StoredItem) -> tuple[str, str]:
    payload = transaction.payload
    return payload["transaction"], payload["contexts"]["trace"].get("status", "ok")


def _transaction_tree(payload: dict[str, Any]) -> Tree:
    trace = payload["contexts"]["trace"]
    root = {
        **trace,
        "description": payload["transaction"],
        "start_timestamp": payload["start_timestamp"],
        "timestamp": payload["timestamp"],
        "measurements": payload.get("measurements", {}),
    }
    tree = Tree(_span_label(root))
    branches = {trace["span_id"]: tree}
    waiting = list(payload["spans"])
    while waiting:
        placed = [span for span in waiting if span["parent_span_id"] in branches]
        if not placed:
            break
        for span in placed:
            branches[span["span_id"]] = branches[span["parent_span_id"]].add(_span_label(span))
        waiting = [span for span in waiting if span["span_id"] not in branches]
    return tree


def _span_label(span: dict[str, Any]) -> str:
    duration_ms = (span["timestamp"] - span["start_timestamp"]) * 1000
    style = _STATUS_STYLE.get(span.get("status"), "red")
    description = " ".join(str(span.get("description", "")).split())
    measured = " ".join(
        f"{name}={entry['value']:g}" + ("" if entry["unit"] == "none" else f" {entry['unit']}")
        for name, entry in span.get("measurements", {}).items()
    )
    return (
        f"[cyan]{escape(span.get('op', ''))}[/] {escape(description[:70])} "
        f"[dim]{duration_ms:.1f} ms[/] [{style}]{span.get('status', 'ok')}[/] "
        f"[magenta]{escape(measured)}[/]"
    )
