"""Traces as trees that fit the terminal."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text
from rich.tree import Tree

from spanbridge.conventions.generated import MEASUREMENTS
from spanbridge.receiver import StoredLog, StoredSpan, Trace, TraceSpan

_GUIDE_COLUMNS = 4
_SHORTEST_NAME = 20
_UNITS = {"none": "", "ratio": "", "second": "s", "millisecond": "ms", "byte": "B"}


class _Node(NamedTuple):
    span_id: str
    parent_id: str | None
    kind: str
    name: str
    start_s: float
    duration_ms: float | None
    """``None`` for what has none: a log."""
    status: str
    notes: str
    """What was measured, or raised."""


def sentry_tree(trace: Trace, width: int) -> Tree:
    """A trace with its spans and logs, whatever the wire they came on."""
    spans = [_sentry_node(span) for span in trace.spans]
    logs = [_log_node(log, number) for number, log in enumerate(trace.logs)]
    return _tree([*spans, *logs], width)


def otlp_tree(spans: Sequence[StoredSpan], width: int) -> Tree:
    """The spans of one trace, with the exceptions that are events on them."""
    return _tree([_otlp_node(span) for span in spans], width)


def _sentry_node(span: TraceSpan) -> _Node:
    return _Node(
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        kind=span.op,
        name=span.name,
        start_s=span.start_s or 0.0,
        duration_ms=(span.duration_s or 0.0) * 1e3,
        status=span.status or "ok",
        notes=", ".join(_measured(_measurements(span))),
    )


def _log_node(log: StoredLog, number: int) -> _Node:
    return _Node(
        span_id=f"log {number}",
        parent_id=log.span_id,
        kind=f"log {log.level}",
        name=log.body,
        start_s=log.timestamp_s or 0.0,
        duration_ms=None,
        status="",
        notes=", ".join(f"{name} {value}" for name, value in log.own_attributes.items()),
    )


def _measurements(span: TraceSpan) -> Mapping[str, Any]:
    """Those of a transaction, or what a streamed span has among its attributes."""
    if span.wire == "transactions":
        return span.measurements
    return {
        name: {"value": span.attributes[name], "unit": unit}
        for name, unit in MEASUREMENTS.items()
        if name in span.attributes
    }


def _otlp_node(span: StoredSpan) -> _Node:
    raised = [
        f"exception {event.attributes.get('exception.type')}: "
        f"{event.attributes.get('exception.message')}"
        for event in span.events
        if event.name == "exception"
    ]
    return _Node(
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        kind=span.kind or "",
        name=span.name,
        start_s=span.start_ns / 1e9,
        duration_ms=(span.end_ns - span.start_ns) / 1e6,
        status=span.status,
        notes="\n".join(raised),
    )


def _measured(measurements: Mapping[str, Any]) -> Iterable[str]:
    for name, entry in measurements.items():
        unit = _UNITS.get(entry["unit"], entry["unit"])
        short = " ".join(name.split(".")[-2 if name.endswith(".count") else -1 :])
        if unit == "s":
            short = short.removesuffix("_s")  # the unit says it
        yield f"{short} {entry['value']:g} {unit}".rstrip()


def _tree(nodes: Sequence[_Node], width: int) -> Tree:
    known = {node.span_id for node in nodes}
    root = next(node for node in nodes if node.parent_id not in known)
    tree = Tree(_label(root, width))
    branches = {root.span_id: (tree, 0)}
    waiting = sorted((node for node in nodes if node is not root), key=lambda node: node.start_s)
    while waiting:
        placed = [node for node in waiting if node.parent_id in branches]
        if not placed:
            break
        for node in placed:
            branch, depth = branches[str(node.parent_id)]
            room = width - _GUIDE_COLUMNS * (depth + 1)
            branches[node.span_id] = (branch.add(_label(node, room)), depth + 1)
        waiting = [node for node in waiting if node.span_id not in branches]
    return tree


def _label(node: _Node, width: int) -> Text:
    took = "" if node.duration_ms is None else f" {node.duration_ms:.1f} ms "
    room = max(width - len(node.kind) - len(took) - len(node.status) - 1, _SHORTEST_NAME)
    is_bad = node.status not in ("ok", "unset", "")
    label = Text.assemble(
        (f"{node.kind} ", "cyan"),
        _shortened(node.name, room),
        (took, "dim"),
        (node.status, "red" if is_bad else "green"),
    )
    if node.notes and "\n" not in node.notes and len(label) + len(node.notes) + 2 <= width:
        return label.append(f"  {node.notes}", "magenta")
    for line in node.notes.splitlines():
        for part in textwrap.wrap(line, width - 4, break_long_words=False):
            label.append(f"\n    {part}", "magenta")
    return label


def _shortened(text: str, width: int) -> str:
    """``text`` on one line, cut between words where it is too long."""
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    return f"{line[: width - 1].rpartition(' ')[0] or line[: width - 2]} …"
