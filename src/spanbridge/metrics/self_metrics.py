"""The ledger as metrics: how each destination fares, for those who watch many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from opentelemetry.metrics import Observation

from spanbridge.conventions.upstream import ERROR_TYPE, OTEL_COMPONENT_NAME, OTEL_COMPONENT_TYPE
from spanbridge.model.outcome import Outcome, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.util.types import AttributeValue

    from spanbridge.model.metric import MetricPoint
    from spanbridge.runtime.totals import Totals

SCOPE: Final = "spanbridge"
"""Instrumentation scope of these metrics."""
TAKING: Final = frozenset({"otlp", "prometheus"})
"""Kinds of destinations that get them. Console and file are read beside the process itself, where
``status()`` is at hand, and each line they write would change the figures of the next."""

SIGNAL: Final = "spanbridge.ledger.signal"
OUTCOME: Final = "spanbridge.ledger.outcome"


_LOST: Final = (Outcome.FAILED, Outcome.RATE_LIMITED, Outcome.TRUNCATED)
"""Outcomes of an export that failed. What was lost before is in the ledger."""
_EXPORTED: Final = "Items whose export has ended, well or not."
_INFLIGHT: Final = "Items on their way."


class Component(NamedTuple):
    """A destination, and what was done under its name."""

    name: str
    totals: Totals

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """Which destination it is."""
        return {
            OTEL_COMPONENT_NAME: self.name,
            OTEL_COMPONENT_TYPE: f"spanbridge_{self.totals.kind}",
        }


Observe: TypeAlias = Callable[[Component], Iterator[Observation]]


def _accepted(component: Component) -> Iterator[Observation]:
    for signal, count in component.totals.ledger.accepted.items():
        yield Observation(count, {**component.attributes, SIGNAL: signal})


def _settled(component: Component) -> Iterator[Observation]:
    for signal, outcomes in component.totals.ledger.outcomes.items():
        for outcome, count in outcomes.items():
            yield Observation(count, {**component.attributes, SIGNAL: signal, OUTCOME: outcome})


def _pending(component: Component) -> Iterator[Observation]:
    for signal, count in component.totals.ledger.pending.items():
        yield Observation(count, {**component.attributes, SIGNAL: signal})


def _exported(signal: Signal) -> Observe:
    def observe(component: Component) -> Iterator[Observation]:
        outcomes = component.totals.ledger.outcomes.get(signal.value)
        if outcomes is None:
            return
        yield Observation(outcomes.get(Outcome.DELIVERED.value, 0), component.attributes)
        for outcome in _LOST:  # also while it is 0: what begins with a loss does not increase
            count = outcomes.get(outcome.value, 0)
            yield Observation(count, {**component.attributes, ERROR_TYPE: outcome.value})

    return observe


def _inflight(signal: Signal) -> Observe:
    def observe(component: Component) -> Iterator[Observation]:
        if (pending := component.totals.ledger.pending.get(signal.value)) is not None:
            yield Observation(pending, component.attributes)

    return observe


def _of_all(figure: Callable[[Totals], int]) -> Observe:
    def observe(component: Component) -> Iterator[Observation]:
        yield Observation(figure(component.totals), component.attributes)

    return observe


_COUNTERS: Final[tuple[tuple[str, str, str, Observe], ...]] = (
    ("spanbridge.ledger.accepted", "{item}", "Items owed to a destination.", _accepted),
    ("spanbridge.ledger.settled", "{item}", "Items that met their fate.", _settled),
    ("otel.sdk.exporter.span.exported", "{span}", _EXPORTED, _exported(Signal.SPAN)),
    ("otel.sdk.exporter.log.exported", "{log_record}", _EXPORTED, _exported(Signal.LOG)),
    (
        "otel.sdk.exporter.metric_data_point.exported",
        "{data_point}",
        _EXPORTED,
        _exported(Signal.METRIC),
    ),
    (
        "spanbridge.sent",
        "By",
        "Bodies of requests that were answered.",
        _of_all(lambda totals: totals.sent_bytes),
    ),
    (
        "spanbridge.retries",
        "{attempt}",
        "Attempts made again after one that failed.",
        _of_all(lambda totals: totals.retries),
    ),
)
_LEVELS: Final[tuple[tuple[str, str, str, Observe], ...]] = (
    ("spanbridge.ledger.pending", "{item}", "Items whose fate is open.", _pending),
    ("otel.sdk.exporter.span.inflight", "{span}", _INFLIGHT, _inflight(Signal.SPAN)),
    ("otel.sdk.exporter.log.inflight", "{log_record}", _INFLIGHT, _inflight(Signal.LOG)),
    (
        "otel.sdk.exporter.metric_data_point.inflight",
        "{data_point}",
        _INFLIGHT,
        _inflight(Signal.METRIC),
    ),
    (
        "spanbridge.spool.size",
        "{envelope}",
        "Envelopes on disk.",
        _of_all(lambda totals: totals.spooled),
    ),
)
"""Name, unit, description, and what is observed at each destination.

OpenTelemetry has no name for errors, and none for a closed ledger.

Source: semantic-conventions 1.44.0, "Semantic conventions for OpenTelemetry SDK metrics".
"""


def without_own(points: list[MetricPoint]) -> list[MetricPoint]:
    """The application's points, of all there are."""
    return [point for point in points if point.scope.name != SCOPE]


class SelfMetrics:
    """Observable instruments that read the ledgers when metrics are collected.

    Args:
        totals: What was done in all, by destination name.
    """

    def __init__(self, totals: Callable[[], Mapping[str, Totals]]) -> None:
        self._totals = totals
        self._components: tuple[Component, ...] = ()
        self.is_on = False
        """Whether there is anything to observe."""

    def register(self, provider: MeterProvider) -> None:
        """Create the instruments, once for the life of ``provider``."""
        meter = provider.get_meter(SCOPE, version("spanbridge"))
        # The SDK observes in the order of creation: what is read for the first one holds for the
        # others too, so that the sums of a collection are closed.
        observe_first = self._observing(_accepted, reads=True)
        for name, unit, description, observe in _COUNTERS:
            callback = observe_first if observe is _accepted else self._observing(observe)
            meter.create_observable_counter(name, [callback], unit, description)
        for name, unit, description, observe in _LEVELS:
            callback = self._observing(observe)
            meter.create_observable_up_down_counter(name, [callback], unit, description)

    def _observing(
        self, observe: Observe, *, reads: bool = False
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(options: CallbackOptions) -> list[Observation]:
            if reads:
                totals = self._totals() if self.is_on else {}
                self._components = tuple([Component(*item) for item in totals.items()])
            return [one for component in self._components for one in observe(component)]

        return callback
