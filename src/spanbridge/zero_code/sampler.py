"""Entry points ``opentelemetry_traces_sampler`` and ``opentelemetry_sampler``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, SamplingResult

from spanbridge.telemetry import TELEMETRY

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes


def sampler(argument: object = None) -> SettingsSampler:
    """A sampler that follows the destinations' rates.

    Args:
        argument: Of ``OTEL_TRACES_SAMPLER_ARG``; nothing is made of it.
    """
    return SettingsSampler()


class SettingsSampler(Sampler):
    """Samples what a destination keeps, and everything while there is none.

    Attributes:
        leads_to: The process's sampler, which follows the settings.
    """

    def __init__(self) -> None:
        self.leads_to = TELEMETRY.prepare().sampler
        self._otherwise = ParentBased(ALWAYS_ON)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on a new span."""
        sampler = self._otherwise if self.leads_to.policy is None else self.leads_to
        return sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """The name shown by tools."""
        return self.leads_to.get_description()
