"""What is compared, with which arm, and what spanbridge must reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bench.arms import DELIVERS_NOTHING, Experiment
from bench.workload import SPANS_PER_TRACE

if TYPE_CHECKING:
    from bench.rounds import Observation

Verdict: TypeAlias = Literal["pass", "MISSED", "not measured", ""]

CONTENDERS = ("spanbridge", "spanbridge_spans")
"""Both of Sentry's wires have to reach a goal, where both take part."""


@dataclass(frozen=True)
class Goal:
    """A limit for :data:`CONTENDERS`, on the ratio if there is a baseline, else on the value."""

    limit: float
    is_upper: bool = True

    def __str__(self) -> str:
        return f"{'<=' if self.is_upper else '>='} {self.limit:g}"

    def is_met(self, figure: float) -> bool:
        return figure <= self.limit if self.is_upper else figure >= self.limit


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    title: str
    experiment: Experiment
    unit: str
    value: Callable[[Observation], float | None]
    """None where the arm did not deliver, so that there is nothing to relate to."""
    baseline: str | None = None
    goal: Goal | None = None


@dataclass(frozen=True)
class Figure:
    """One arm's result in one measure: the median over the rounds, with quartiles."""

    value: float
    ratio: float | None
    """Median of the ratios within each round; None without a baseline."""
    ratio_quartiles: tuple[float, float] | None

    @property
    def judged(self) -> float:
        return self.value if self.ratio is None else self.ratio


@dataclass(frozen=True)
class Result:
    """One measure over all arms that took part."""

    measure: Measure
    figures: dict[str, Figure]

    @property
    def verdict(self) -> Verdict:
        if self.measure.goal is None:
            return ""
        figures = [self.figures[arm] for arm in CONTENDERS if arm in self.figures]
        if not figures or (self.measure.baseline and any(f.ratio is None for f in figures)):
            return "not measured"
        is_met = all(self.measure.goal.is_met(figure.judged) for figure in figures)
        return "pass" if is_met else "MISSED"


def _app_us_per_span(seen: Observation) -> float | None:
    return seen.sample.app_ns / 1e3 / seen.sample.produced


def _cpu_us_per_trace(seen: Observation) -> float | None:
    return _per_delivered(seen, seen.delivered.spans, SPANS_PER_TRACE)


def _cpu_us_per_unsampled_trace(seen: Observation) -> float | None:
    return seen.sample.cpu_ns / 1e3 * SPANS_PER_TRACE / seen.sample.produced


def _cpu_us_per_error(seen: Observation) -> float | None:
    return _per_delivered(seen, seen.delivered.errors, 1)


def _per_delivered(seen: Observation, delivered: int, items_per_unit: int) -> float | None:
    items = seen.sample.produced if seen.arm in DELIVERS_NOTHING else delivered
    return seen.sample.cpu_ns / 1e3 * items_per_unit / items if items else None


def _p50_us(seen: Observation) -> float | None:
    return seen.sample.p50_ns / 1e3


def _traces_per_second(seen: Observation) -> float | None:
    return seen.delivered.traces / (seen.sample.wall_ns / 1e9)


def _growth_mb(seen: Observation) -> float | None:
    resident_bytes = seen.sample.resident_bytes
    return (resident_bytes[-1] - resident_bytes[0]) / 1e6


def _late_growth_mb(seen: Observation) -> float | None:
    resident_bytes = seen.sample.resident_bytes
    return (resident_bytes[-1] - resident_bytes[len(resident_bytes) // 2]) / 1e6


def _ended_spans_lost(seen: Observation) -> float | None:
    if seen.arm in DELIVERS_NOTHING:
        return None
    return seen.sample.produced - seen.delivered.spans


MEASURES: Sequence[Measure] = (
    Measure("app-thread time per span", "cost", "µs", _app_us_per_span, "bare", Goal(1.10)),
    Measure("CPU per delivered trace", "cost", "µs", _cpu_us_per_trace, "otlp", Goal(0.75)),
    Measure("app-thread time per unsampled span", "unsampled", "µs", _app_us_per_span, "sentry"),
    Measure("CPU per unsampled trace", "unsampled", "µs", _cpu_us_per_unsampled_trace, "sentry"),
    Measure("CPU per delivered error", "errors", "µs", _cpu_us_per_error, "sentry", Goal(0.4)),
    Measure("FastAPI p50", "fastapi", "µs", _p50_us, "bare", Goal(1.05)),
    Measure(
        "delivered traces/s flat out",
        "flat_out",
        "1/s",
        _traces_per_second,
        "otlp",
        Goal(1.2, is_upper=False),
    ),
    Measure("RSS growth, 1 % never end", "memory", "MB", _growth_mb, goal=Goal(8)),
    Measure("… in the second half", "memory", "MB", _late_growth_mb),
    Measure("… ended spans lost", "memory", "spans", _ended_spans_lost, goal=Goal(0)),
)


def results(observations: Iterable[Observation]) -> list[Result]:
    """Every measure over everything that was observed."""
    seen = list(observations)
    return [Result(measure, _figures(measure, seen)) for measure in MEASURES]


def _figures(measure: Measure, observations: list[Observation]) -> dict[str, Figure]:
    values: dict[str, dict[int, float]] = {}
    for seen in observations:
        if seen.experiment == measure.experiment:
            value = measure.value(seen)
            if value is not None:
                values.setdefault(seen.arm, {})[seen.round] = value
    base = values.get(measure.baseline, {}) if measure.baseline else {}
    return {arm: _figure(by_round, base) for arm, by_round in values.items()}


def _figure(by_round: dict[int, float], base: dict[int, float]) -> Figure:
    ratios = [value / base[number] for number, value in by_round.items() if base.get(number)]
    return Figure(
        value=statistics.median(by_round.values()),
        ratio=statistics.median(ratios) if ratios else None,
        ratio_quartiles=_quartiles(ratios) if ratios else None,
    )


def _quartiles(ratios: list[float]) -> tuple[float, float]:
    if len(ratios) == 1:
        return ratios[0], ratios[0]
    lower, _, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return lower, upper
