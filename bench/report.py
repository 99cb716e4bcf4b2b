"""The table for people and the JSON for machines."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.arms import DELIVERS_NOTHING, PARTICIPATION
from bench.delivered import Delivered

if TYPE_CHECKING:
    from bench.measures import Measure, Result
    from bench.rounds import Observation, Run

_PACKAGES = (
    "spanbridge",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation-fastapi",
    "sentry-sdk",
    "fastapi",
)
_TITLE_WIDTH = 38
_CELL_WIDTH = 20


@dataclass(frozen=True)
class Deliveries:
    """What one arm offered in one experiment, and what arrived."""

    experiment: str
    arm: str
    unit: str
    offered: int
    received: Delivered

    @property
    def delivered(self) -> int:
        return self.received.errors if self.unit == "errors" else self.received.spans

    @property
    def dropped(self) -> int:
        return self.offered - self.delivered

    @property
    def reported(self) -> str:
        """What the arm itself told the server it had discarded, by reason and category."""
        return ", ".join(f"{name} {count:,}" for name, count in self.received.discarded.items())

    @property
    def content(self) -> str:
        """What is in one delivered item, to show that the arms are compared at equal content."""
        if not self.delivered:
            return ""
        received = self.received
        wire_bytes = f"{received.wire_bytes / self.received.requests:,.0f} B/request"
        if self.unit == "errors":
            frames, source, with_locals = (
                count / received.errors
                for count in (
                    received.frames,
                    received.frames_with_source,
                    received.frames_with_locals,
                )
            )
            return (
                f"{frames:g} frames, {source:g} with source, {with_locals:g} with locals per error,"
                f" {wire_bytes}"
            )
        return f"{received.attributes / received.traces:.1f} attributes per 8 spans, {wire_bytes}"


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cpus": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def versions() -> dict[str, str]:
    """The packages under test."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def deliveries(observations: list[Observation]) -> list[Deliveries]:
    """Sums per experiment and arm.

    Under FastAPI the frameworks' glue adds spans of its own, so only their number is of interest.
    """
    sums: dict[tuple[str, str], Deliveries] = {}
    for seen in observations:
        if seen.arm in DELIVERS_NOTHING or seen.experiment == "fastapi":
            continue
        key = (seen.experiment, seen.arm)
        unit = "errors" if seen.experiment == "errors" else "spans"
        before = sums.get(key, Deliveries(*key, unit, 0, Delivered()))
        sums[key] = Deliveries(
            *key, unit, before.offered + seen.sample.produced, before.received + seen.delivered
        )
    return list(sums.values())


def as_text(plan: str, run: Run, results: list[Result]) -> str:
    """The whole report as plain text."""
    arms = [name for name in PARTICIPATION if any(seen.arm == name for seen in run.observations)]
    lines = [
        f"spanbridge benchmark ({plan})",
        "  " + " · ".join(f"{key} {value}" for key, value in machine().items()),
        "  " + " · ".join(f"{name} {version}" for name, version in versions().items()),
        "",
        _row("", arms, "goal"),
    ]
    for result in results:
        if result.figures:
            lines += _result_lines(result, arms)
    lines += ["", "Delivered, as counted by the server"]
    lines += [_delivery_line(entry) for entry in deliveries(run.observations)]
    if not run.on_default_port:
        lines += [
            "",
            "Port 80 of a loopback address was not to be had: the native arms ran without their",
            "http.client instrumentation, which would have traced their own uploads.",
        ]
    if run.unavailable:
        lines += ["", "Not measured"]
        lines += [f"  {arm}: {reason}" for arm, reason in run.unavailable.items()]
    return "\n".join(lines)


def as_json(plan: str, run: Run, results: list[Result]) -> dict[str, Any]:
    """The report and every single observation; dataclasses inside, ready for msgspec."""
    return {
        "plan": plan,
        "machine": machine(),
        "versions": versions(),
        "is_on_default_port": run.on_default_port,
        "unavailable": run.unavailable,
        "measures": [
            {
                "title": result.measure.title,
                "experiment": result.measure.experiment,
                "unit": result.measure.unit,
                "baseline": result.measure.baseline,
                "goal": result.measure.goal and str(result.measure.goal),
                "verdict": result.verdict,
                "arms": result.figures,
            }
            for result in results
        ],
        "deliveries": [
            {
                "experiment": entry.experiment,
                "arm": entry.arm,
                "unit": entry.unit,
                "offered": entry.offered,
                "delivered": entry.delivered,
                "dropped": entry.dropped,
                "received": entry.received,
            }
            for entry in deliveries(run.observations)
        ],
        "observations": run.observations,
    }


def _result_lines(result: Result, arms: list[str]) -> list[str]:
    measure = result.measure
    goal = f"{measure.goal} {result.verdict}" if measure.goal else ""
    absolute = [_number(result, arm) for arm in arms]
    if measure.baseline is None:
        return [_row(f"{measure.title}, {measure.unit}", absolute, goal)]
    return [
        _row(_title(measure), [_ratio(result, arm) for arm in arms], goal),
        _row(f"  median, {measure.unit}", absolute),
    ]


def _title(measure: Measure) -> str:
    return f"{measure.title} / {measure.baseline}"


def _ratio(result: Result, arm: str) -> str:
    figure = result.figures.get(arm)
    if figure is None or figure.ratio is None or figure.ratio_quartiles is None:
        return "-"
    lower, upper = figure.ratio_quartiles
    return f"{figure.ratio:.2f} ({lower:.2f}..{upper:.2f})"


def _number(result: Result, arm: str) -> str:
    figure = result.figures.get(arm)
    return "-" if figure is None else f"{figure.value:,.1f}".removesuffix(".0")


def _row(title: str, cells: list[str], goal: str = "") -> str:
    row = f"{title:{_TITLE_WIDTH}}" + "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)
    return f"{row}   {goal}".rstrip()


def _delivery_line(entry: Deliveries) -> str:
    counts = f"{entry.delivered:,} of {entry.offered:,} {entry.unit}"
    if entry.dropped:
        counts += f", {entry.dropped:,} dropped (reported: {entry.reported or 'nothing'})"
    return f"  {entry.experiment:9}{entry.arm:16}{counts}; {entry.content}"


def _cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
