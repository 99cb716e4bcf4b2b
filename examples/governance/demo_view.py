"""What the demo prints."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from examples.governance.demo_checks import Check
from examples.governance.demo_trees import otlp_tree, sentry_tree
from examples.governance.traffic import TrafficReport
from spanbridge import Status
from spanbridge.receiver import StoredItem, StoredSpan, Trace

WIDTH = 100
"""Columns of all that is printed; a narrower terminal gets less."""
_TREES_SHOWN = 3
_HANDLED = {True: "handled", False: "unhandled", None: "noticed"}


def show_sentry(console: Console, issues: Sequence[StoredItem], traces: Sequence[Trace]) -> None:
    """Issues as the Issues page would list them, and one tree of each kind of trace."""
    console.rule("Sentry: issues")
    for title, events in _grouped(issues, _title).items():
        _show_issue(console, title, events)
    console.rule("Sentry: traces")
    shapes = _grouped([trace for trace in traces if trace.spans], _shape)
    for (name, status), alike in shapes.items():
        console.print(f"[bold]{len(alike)} x[/] {escape(name)} [dim]{escape(status)}[/]")
    console.print()
    largest = sorted(shapes.values(), key=lambda alike: -len(alike[0].spans))
    for alike in largest[:_TREES_SHOWN]:
        console.print(sentry_tree(alike[0], console.width))
    logs = Counter((log.level, log.body) for trace in traces for log in trace.logs)
    if logs:
        console.rule("Sentry: logs")
    for (level, body), count in logs.most_common():
        _print_line(console, f"{count} x {level} {body}")


def show_console(console: Console, printed: str) -> None:
    """One tree and one issue of each kind out of what the console destination printed."""
    console.rule("console")
    trees, issues = _console_blocks(printed)
    by_title: dict[str, list[str]] = {}
    for block in issues:
        by_title.setdefault(block[0], block)
    for block in [*sorted(trees, key=len)[-1:], *by_title.values()]:
        for line in block:
            _print_line(console, line)
        console.print()
    console.print(f"These are out of {len(trees)} trees and {len(issues)} issues.")


def show_otlp(console: Console, spans: Sequence[StoredSpan]) -> None:
    """The largest trace in which something was raised."""
    console.rule("OTLP")
    traces = list(_grouped(spans, lambda span: span.trace_id).values())
    raised = [trace for trace in traces if any(_is_raised_in(span) for span in trace)]
    for trace in sorted(raised or traces, key=len)[-1:]:
        console.print(otlp_tree(trace, console.width))
    console.print(f"\nThis is one of {len(traces)} traces, {len(spans)} spans in all.")


def show_file(console: Console, lines: Sequence[Mapping[str, Any]]) -> None:
    """One span and one issue out of the file, each field on a line of its own."""
    console.rule("file")
    for kind in ("span", "issue"):
        for line in [line for line in lines if line["type"] == kind][:1]:
            _show_fields(console, line)
            console.print()
    console.print(f"These are 2 of {len(lines)} lines." if lines else "(no lines)")


def show_ledger(console: Console, status: Status) -> None:
    """The closed ledger: what was owed to each destination and what became of it."""
    if not status.destinations:
        return
    console.rule("ledger")
    table = Table("destination", "signal", "accepted", "fates", "pending")
    for name, destination in status.destinations.items():
        for signal, accepted in destination.ledger.accepted.items():
            fates = ", ".join(
                f"{fate} {count}"
                for fate, count in sorted(destination.ledger.outcomes[signal].items())
            )
            pending = str(destination.ledger.pending[signal])
            table.add_row(name, signal, str(accepted), fates, pending)
    console.print(table)


def show_checks(console: Console, report: TrafficReport, checks: Sequence[Check]) -> None:
    """One line per destination: everything it was owed, or what is missing."""
    console.rule("result")
    sent = ", ".join(f"{kind} {count}" for kind, count in report.sent.items())
    _print_hanging(console, f"{len(report.answers)} requests: {sent}")
    for check in checks:
        verdict = f"[green]{check.verdict}[/]" if check.passed else "[red]is not as it should be[/]"
        console.print(f"{check.name}: {verdict}")
        for complaint in check.complaints[:10]:
            _print_hanging(console, complaint, indent="  ")


def _print_hanging(console: Console, text: str, indent: str = "", style: str = "") -> None:
    """Print ``text`` with its further lines indented, broken between words alone."""
    lines = textwrap.wrap(
        text,
        console.width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        console.print(line, style=style, markup=False, soft_wrap=True)


def _print_line(console: Console, line: str, style: str = "") -> None:
    cut = line if len(line) <= console.width else f"{line[: console.width - 1]}…"
    console.print(cut, style=style, markup=False, soft_wrap=True)


def _grouped(items: Iterable[Any], key: Any) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _title(issue: StoredItem) -> str:
    if "exception" not in issue.payload:
        return str(issue.payload["logentry"]["formatted"])
    outermost = issue.payload["exception"]["values"][-1]
    return f"{outermost['type']}: {outermost['value']}"


def _show_issue(console: Console, title: str, events: Sequence[StoredItem]) -> None:
    payload = events[0].payload
    outermost = payload["exception"]["values"][-1] if "exception" in payload else {}
    handled = _HANDLED[outermost.get("mechanism", {}).get("handled")]
    _print_hanging(console, title, style="bold red")
    _print_line(
        console,
        f"  {len(events)} x, level {payload['level']}, {handled}, in {payload['transaction']}",
    )
    frames = outermost.get("stacktrace", {}).get("frames", [])
    in_app = [frame for frame in frames if frame.get("in_app")] or frames
    if in_app:
        frame = in_app[-1]
        _print_line(console, f"  {frame['filename']}:{frame['lineno']} in {frame['function']}")
        _print_line(console, f"    {(frame.get('context_line') or '').strip()}")
    tags = " ".join(f"{key}={value}" for key, value in sorted(payload.get("tags", {}).items()))
    if tags:
        _print_line(
            console, f"  {textwrap.shorten(tags, console.width - 2, placeholder=' …')}", "dim"
        )
    trace = payload["contexts"]["trace"]
    _print_line(console, f"  trace {trace['trace_id']} span {trace['span_id']}", "dim")
    console.print()


def _shape(trace: Trace) -> tuple[str, str]:
    root = trace.spans[0]
    return root.name, root.status or "ok"


def _console_blocks(printed: str) -> tuple[list[list[str]], list[list[str]]]:
    """The trees and the issues, each as its lines."""
    trees: list[list[str]] = []
    issues: list[list[str]] = []
    block: list[str] = []
    for line in printed.splitlines():
        if line.startswith(("trace ", "ISSUE ")):
            block = []
            (trees if line.startswith("trace ") else issues).append(block)
        block.append(line)
    return trees, issues


def _is_raised_in(span: StoredSpan) -> bool:
    return any(event.name == "exception" for event in span.events)


def _show_fields(console: Console, line: Mapping[str, Any]) -> None:
    width = max(map(len, line))
    for key, value in line.items():
        if value or value is False:
            _print_line(console, f"  {key:<{width}}  {_brief(value)}")


def _brief(value: Any) -> str:
    match value:
        case {"type": kind, "value": text}:
            return f"{kind}: {text}"
        case {"name": name, "span_id": span_id}:
            return f"{name} ({span_id})"
        case {"name": name, "version": version}:
            return f"{name} {version}"
        case dict():
            return " ".join(f"{key}={_brief(inner)}" for key, inner in value.items())
        case list():
            return ", ".join(map(_brief, value))
        case _:
            return str(value)
