"""The report: every field that differs, with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tests.peers.traces_parity.allowed import ALLOWED, Allowed, reason_for
from tests.peers.traces_parity.compare import SHAPES, Difference, differences
from tests.peers.traces_parity.runs import SCENARIOS, Run

_MAX_SHOWN_CHARS: Final = 50

_HEAD: Final = """\
# Traces of Sentry's SDK and ours

One application, in FastAPI and in Flask, with SQLAlchemy, httpx, Redis and Celery, is run twice:
once traced by `sentry_sdk` and its integrations, once by OpenTelemetry's instrumentations and
spanbridge. What both delivered is compared span by span: shape of the trees, op, name and its
source, description, status, origin, attributes, trace header, continuity over HTTP and the queue,
and issues. This page lists every difference; one that is not listed fails a test.

Old names of attributes are read as the current ones, as the server does. Of an origin the category
is compared: `auto.http.starlette` and `auto.http.otel.fastapi` are alike.

`python -m tests.peers.traces_parity` prints the differences with their values.
"""


class Finding(NamedTuple):
    """A difference, and the entry of the table that allows it."""

    difference: Difference
    allowed: Allowed | None


def findings_of(native: Run, ours: Run) -> list[Finding]:
    """Every difference of the two runs but those of shape."""
    found, _ = differences(native, ours)
    return [Finding(difference, reason_for(difference)) for difference in found]


def shown(findings: Sequence[Finding]) -> Iterator[str]:
    """What differs, in places; what is not allowed is marked by ``!``."""
    alike: dict[tuple[str, Allowed | None], list[Difference]] = defaultdict(list)
    for difference, allowed in findings:
        alike[difference.place, allowed].append(difference)
    for (place, allowed), those in sorted(alike.items(), key=lambda item: item[0][0]):
        first = those[0]
        values = f"{_short(first.native)} | {_short(first.ours)}"
        yield f"{' ' if allowed else '!'} {place} ×{len(those)}: {values}  ({first.scenario})"
        yield f"      {f'{allowed.verdict}: {allowed.reason}' if allowed else 'NOT ALLOWED'}"


def summary(findings: Sequence[Finding]) -> Iterator[str]:
    """How many fields differ, by what it means."""
    counts: dict[str, int] = defaultdict(int)
    for _, allowed in findings:
        counts[allowed.verdict if allowed else "NOT ALLOWED"] += 1
    yield f"{len(SCENARIOS)} requests, {len(findings)} fields differ"
    for verdict, count in sorted(counts.items()):
        yield f"{count:6} {verdict}"


def page() -> str:
    """The documented table, as ``docs/reference/parity-of-traces.md`` has it."""
    lines = [_HEAD, "## Shapes", "", "| only in | spans | why |", "|---|---|---|"]
    sides = {"native": "Sentry's SDK", "bridged": "ours"}
    lines += [f"| {sides[shape.side]} | {shape.what} | {shape.reason} |" for shape in SHAPES]
    for verdict, title in (
        ("ours says more", "Where ours says more"),
        ("Sentry's SDK says more", "Where Sentry's SDK says more"),
        ("alike", "The same in other words"),
    ):
        lines += ["", f"## {title}", "", "| spans and fields | why |", "|---|---|"]
        lines += [
            f"| {', '.join(f'`{place}`' for place in allowed.places)} | {allowed.reason} |"
            for allowed in ALLOWED
            if allowed.verdict == verdict
        ]
    return "\n".join([*lines, ""])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[: _MAX_SHOWN_CHARS - 1]}…"
