"""What one side delivered of one trace, as a tree whose spans can be compared."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from spanbridge.sentry.convert.renames import RENAMED
from spanbridge.testing import StoredItem

Json: TypeAlias = Any
"""Decoded JSON, which has no narrower type."""

_MADE_ANEW: Final = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"/tmp/[^/]+/orders\.sqlite"), "/orders.sqlite"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
)
_PORTS: Final = ("server.port", "network.peer.port", "net.host.port", "net.peer.port")


@dataclass
class Node:
    """One span, or one segment with its root."""

    span_id: str
    fields: dict[str, Json]
    """What is compared, by names such as ``op`` and ``data.db.system.name``."""
    is_segment: bool
    children: list[Node] = field(default_factory=list)

    @property
    def op(self) -> str:
        """Its op, or ``-``."""
        return str(self.fields.get("op", "-"))


class Trace(NamedTuple):
    """Everything of one trace."""

    tops: list[Node]
    """Segments that are not below another one, in order of their start."""
    lost_parents: int
    """Segments and spans whose parent did not come, nor is the caller's."""
    issues: list[str]
    """``type on the op of its span: handled``, in words that can be compared."""


def traces_of(
    transactions: Iterable[StoredItem], issues: Iterable[StoredItem], caller: str
) -> dict[str, Trace]:
    """All traces by their id.

    Args:
        transactions: What was delivered.
        issues: Errors that were delivered.
        caller: Span id of the callers, which deliver nothing themselves.
    """
    segments: dict[str, list[StoredItem]] = defaultdict(list)
    for item in sorted(transactions, key=lambda item: str(item.payload["start_timestamp"])):
        segments[item.payload["contexts"]["trace"]["trace_id"]].append(item)
    errors: dict[str, list[Json]] = defaultdict(list)
    for item in issues:
        errors[item.payload["contexts"]["trace"]["trace_id"]].append(item.payload)
    return {
        trace_id: _trace(items, errors.pop(trace_id, []), caller)
        for trace_id, items in segments.items()
    }


def _trace(items: list[StoredItem], errors: list[Json], caller: str) -> Trace:
    nodes: dict[str, Node] = {}
    parents: dict[str, str | None] = {}
    for item in items:
        trace = item.payload["contexts"]["trace"]
        nodes[trace["span_id"]] = Node(trace["span_id"], _segment_fields(item), True)
        parents[trace["span_id"]] = trace.get("parent_span_id")
        for span in sorted(item.payload["spans"], key=lambda span: str(span["start_timestamp"])):
            nodes[span["span_id"]] = Node(span["span_id"], _span_fields(span), False)
            parents[span["span_id"]] = span.get("parent_span_id")
    tops, lost = [], 0
    for span_id, parent in parents.items():
        if parent in nodes:
            nodes[parent].children.append(nodes[span_id])
        else:
            tops.append(nodes[span_id])
            lost += parent not in (None, caller)
    return Trace(tops, lost, [_issue(error, nodes) for error in errors])


def _issue(error: Json, nodes: dict[str, Node]) -> str:
    value = error["exception"]["values"][-1]
    node = nodes.get(error["contexts"]["trace"]["span_id"])
    place = "no span" if node is None else "a segment" if node.is_segment else "a span"
    handled = "handled" if value["mechanism"]["handled"] else "unhandled"
    return f"{value['type']} on {place}: {handled}"


def _segment_fields(item: StoredItem) -> dict[str, Json]:
    payload = item.payload
    trace = payload["contexts"]["trace"]
    return {
        **_common(trace),
        "name": _alike(payload["transaction"]),
        "source": payload["transaction_info"]["source"],
        **_flat("dsc", item.envelope_header["trace"]),
        **_flat("data", trace.get("data", {})),
        **_flat("tags", payload.get("tags", {})),
        **_flat("request", payload.get("request", {})),
        **_flat("measurements", payload.get("measurements", {})),
        **_flat("contexts", {k: v for k, v in payload["contexts"].items() if k != "trace"}),
        **{
            key: _alike(payload.get(key))
            for key in ("release", "environment", "server_name", "user", "extra", "platform")
            if payload.get(key) is not None
        },
    }


def _span_fields(span: Json) -> dict[str, Json]:
    return {
        **_common(span),
        "description": _alike(span.get("description")),
        **_flat("data", span.get("data", {})),
        **_flat("tags", span.get("tags", {})),
    }


def _common(span: Json) -> dict[str, Json]:
    fields = {key: span[key] for key in ("op", "status") if span.get(key) is not None}
    origin = span.get("origin", "manual")
    # ``auto.<category>``: what comes after it is the name of the integration.
    fields["origin"] = ".".join(origin.split(".")[:2])
    return fields


def _flat(prefix: str, values: dict[str, Json]) -> dict[str, Json]:
    """Values under current names, as the server reads them, with what each run makes anew alike."""
    renamed = {}
    for key, value in values.items():
        current = RENAMED.get(key, key) if prefix == "data" else key
        if value is not None and (current == key or current not in values):
            renamed[f"{prefix}.{current}"] = "PORT" if current in _PORTS else _alike(value)
    return renamed


def _alike(value: Json) -> Json:
    if isinstance(value, str):
        for pattern, word in _MADE_ANEW:
            value = pattern.sub(word, value)
    if isinstance(value, dict):
        return {key: _alike(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_alike(inner) for inner in value]
    return value


def without(
    nodes: list[Node], is_unneeded: Callable[[Node], bool], noted: list[Node]
) -> list[Node]:
    """The trees without some spans, whose children take their places; the spans are ``noted``."""
    kept = []
    for node in nodes:
        node.children = without(node.children, is_unneeded, noted)
        if is_unneeded(node):
            noted.append(node)
            kept += node.children
        else:
            kept.append(node)
    return kept


def walk(nodes: list[Node]) -> Iterator[Node]:
    """Every span, parents first."""
    for node in nodes:
        yield node
        yield from walk(node.children)
