"""Compares the trees of both sides, span by span and field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.peers.traces_parity.runs import CALLER, SCENARIOS, Run
from tests.peers.traces_parity.trees import Json, Node, Trace, traces_of, walk, without


class Missing:
    """What one side does not have."""

    def __repr__(self) -> str:
        return "-"


MISSING: Final = Missing()


class Difference(NamedTuple):
    """One field, or one whole span, that differs."""

    scenario: str
    span: str
    """The op of the span on our side, else on the native one; ``trace`` for all of it."""
    field: str
    native: Json
    ours: Json

    @property
    def place(self) -> str:
        """What the table of allowed differences names it by."""
        return f"{self.span} {self.field}"


class Shape(NamedTuple):
    """How the tree of one side differs by what only that side instruments."""

    side: str
    what: str
    reason: str


SHAPES: Final = (
    Shape(
        "native",
        "queue.submit.celery",
        "two spans around queue.publish that tell nothing else; the task hangs on the inner one",
    ),
    Shape(
        "native",
        "queue.task.celery",
        "a segment around queue.process, which is a segment itself with us",
    ),
    Shape(
        "native",
        "db.redis below cache.*",
        "the command again, below the span of the cache; with us both are one span",
    ),
    Shape(
        "bridged", "db connect", "the time that a connection takes, which only OpenTelemetry has"
    ),
    Shape(
        "bridged",
        "BackgroundTask",
        "work after the answer, in a segment of its own if it ends after the request was sent;"
        " Sentry's SDK puts what it does below the request itself",
    ),
)


def differences(native: Run, ours: Run) -> tuple[list[Difference], set[Shape]]:
    """Everything in which the two runs differ, and the differences of shape that were met."""
    sides = {
        "native": traces_of(native.transactions, native.issues, CALLER),
        "bridged": traces_of(ours.transactions, ours.issues, CALLER),
    }
    found: list[Difference] = []
    met: set[Shape] = set()
    for scenario in SCENARIOS:
        if not scenario.is_upstream_known:
            continue
        pair = [sides[side].pop(scenario.trace_id, None) for side in ("native", "bridged")]
        found += _of_traces(scenario.name, pair[0], pair[1], met)
    heads = [_heads(sides[side]) for side in ("native", "bridged")]
    for scenario in SCENARIOS:
        if not scenario.is_upstream_known:
            pair = [side.pop(scenario.service, None) for side in heads]
            found += _of_traces(scenario.name, pair[0], pair[1], met)
    for left_native, left_ours in zip(*(_left(side, heads) for side in range(2)), strict=True):
        found.append(Difference("in no trace", "trace", "segment", left_native, left_ours))
    return found, met


def _heads(traces: dict[str, Trace]) -> dict[str, Trace]:
    """Traces that began here, by the service; the others of it stay under their name."""
    heads: dict[str, Trace] = {}
    for trace in traces.values():
        [top] = trace.tops
        service = top.fields["server_name"]
        is_request = top.op == "http.server"
        heads[service if is_request else f"{service} {top.fields['name']} {len(heads)}"] = trace
    return heads


def _left(side: int, heads: list[dict[str, Trace]]) -> list[Json]:
    longest = max(map(len, heads))
    names = [f"{trace.tops[0].op} {trace.tops[0].fields['name']}" for trace in heads[side].values()]
    return [*names, *[MISSING] * (longest - len(names))]


def _of_traces(
    scenario: str, native: Trace | None, ours: Trace | None, met: set[Shape]
) -> Iterator[Difference]:
    if native is None or ours is None:
        yield Difference(scenario, "trace", "delivered", native is not None, ours is not None)
        return
    if native.lost_parents or ours.lost_parents:
        yield Difference(scenario, "trace", "lost parents", native.lost_parents, ours.lost_parents)
    if sorted(native.issues) != sorted(ours.issues):
        yield Difference(scenario, "trace", "issues", native.issues, ours.issues)
    yield from _of_lists(scenario, _native_shape(native.tops, met), _our_shape(ours.tops, met))


def _of_lists(scenario: str, native: list[Node], ours: list[Node]) -> Iterator[Difference]:
    for position in range(max(len(native), len(ours))):
        if position >= len(ours):
            yield Difference(
                scenario, native[position].op, "span", _told(native[position]), MISSING
            )
        elif position >= len(native):
            yield Difference(scenario, ours[position].op, "span", MISSING, _told(ours[position]))
        else:
            yield from _of_nodes(scenario, native[position], ours[position])


def _of_nodes(scenario: str, native: Node, ours: Node) -> Iterator[Difference]:
    span = ours.op if ours.op != "-" else native.op
    for name in sorted(native.fields.keys() | ours.fields.keys()):
        sides = native.fields.get(name, MISSING), ours.fields.get(name, MISSING)
        if sides[0] != sides[1]:
            yield Difference(scenario, span, name, *sides)
    if native.is_segment != ours.is_segment:
        yield Difference(scenario, span, "is a segment", native.is_segment, ours.is_segment)
    yield from _of_lists(scenario, native.children, ours.children)


def _told(node: Node) -> str:
    return f"{node.op} {node.fields.get('description', node.fields.get('name'))}"


# ------------------------------------------------------------------ what only one side has


def _native_shape(tops: list[Node], met: set[Shape]) -> list[Node]:
    submit, task, raw = SHAPES[:3]
    for node in walk(tops):
        if node.op == "queue.task.celery" and [child.op for child in node.children] == [
            "queue.process"
        ]:
            [process] = node.children
            node.fields = {**node.fields, **_without_nothing(process.fields)}
            del node.fields["description"]
            node.children = process.children
            met.add(task)
        published = [child for child in node.children if child.op == "queue.publish"]
        if published:
            tasks = [child for child in node.children if child.is_segment]
            node.children = [child for child in node.children if not child.is_segment]
            published[-1].children += tasks
        if node.op.startswith("cache."):
            below = [child for child in node.children if child.op == "db.redis"]
            if below:
                met.add(raw)
                node.fields = {**_command_of(below[0]), **node.fields}
                node.children = [child for child in node.children if child not in below]
    noted: list[Node] = []
    kept = without(tops, lambda node: node.op == "queue.submit.celery", noted)
    if noted:
        met.add(submit)
    return kept


def _our_shape(tops: list[Node], met: set[Shape]) -> list[Node]:
    noted: list[Node] = []
    kept = without(tops, lambda node: _is_connect(node) or is_background(node), noted)
    met.update(SHAPES[3] if _is_connect(node) else SHAPES[4] for node in noted)
    return kept


def _is_connect(node: Node) -> bool:
    return node.op == "db" and node.fields.get("description") == "connect"


def is_background(node: Node) -> bool:
    """Whether it is work after the answer.

    That is a span of the request or a segment after it, as the work or the delivery is quicker.
    """
    told = node.fields.get("name") if node.is_segment else node.fields.get("description")
    return str(told).startswith("BackgroundTask ")


def _without_nothing(fields: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def _command_of(node: Node) -> dict[str, Json]:
    return {name: value for name, value in node.fields.items() if name.startswith(("data", "tags"))}
