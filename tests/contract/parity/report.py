"""The report: every field that differs, with its reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.contract.parity.allowed import Allowed, reason_for
from tests.contract.parity.compare import Difference, differences
from tests.contract.parity.runs import Pair

_MAX_SHOWN_CHARS = 60


class Finding(NamedTuple):
    """A difference of a program, and the entry of the table that allows it."""

    difference: Difference
    allowed: Allowed | None


def findings_of(program: str, pair: Pair) -> list[Finding]:
    """Every difference of one program."""
    return [
        Finding(difference, reason_for(program, difference))
        for difference in differences(pair.native, pair.ours)
    ]


def shown(program: str, findings: list[Finding]) -> Iterator[str]:
    """The lines on one program; what is not allowed is marked by ``!``."""
    yield program
    alike: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for difference, allowed in findings:
        alike[difference.place, allowed.reason if allowed else ""].append(difference)
    for (place, reason), those in alike.items():
        first = those[0]
        count = f" ×{len(those)}" if len(those) > 1 else ""
        values = f"{_short(first.native)} | {_short(first.ours)}"
        yield f"  {' ' if reason else '!'} {place}{count}: {values}"
        yield f"      {reason or 'NOT ALLOWED'}"


def summary(findings: dict[str, list[Finding]]) -> Iterator[str]:
    """How often each reason was needed, and what is not allowed."""
    counts: Counter[str] = Counter()
    programs: dict[str, set[str]] = defaultdict(set)
    for program, found in findings.items():
        for _, allowed in found:
            reason = allowed.reason if allowed else "NOT ALLOWED"
            counts[reason] += 1
            programs[reason].add(program)
    yield f"{len(findings)} programs, {sum(counts.values())} fields differ:"
    for reason, count in counts.most_common():
        yield f"{count:7} fields in {len(programs[reason]):3} programs: {reason}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[: _MAX_SHOWN_CHARS - 1]}…"
