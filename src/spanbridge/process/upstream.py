"""What the caller in another process already decided about the trace, carried in the context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.context import Context

_KEY = otel_context.create_key("spanbridge-upstream")


class Upstream(NamedTuple):
    """Sentry's part of the incoming headers.

    Source: Sentry develop docs, "Trace Propagation".
    """

    is_sampled: bool | None
    """The flag of ``sentry-trace``; ``None`` if the decision was left to us."""
    dsc: Mapping[str, str]
    """The frozen ``sentry-*`` baggage members without their prefix; empty if there were none."""
    trace_id: int
    """The trace it speaks of. A context passes it on to whatever starts in it, other traces too."""

    @property
    def is_frozen(self) -> bool:
        """Whether the sampling context is the head's and must not be changed any more.

        A caller that decided but sent no sampling context froze an empty one.
        """
        return bool(self.dsc) or self.is_sampled is not None

    @property
    def sample_rand(self) -> float | None:
        """The trace's random number in [0, 1), if the head of the trace sent a valid one."""
        try:
            value = float(self.dsc["sample_rand"])
        except (KeyError, ValueError):
            return None
        return value if 0.0 <= value < 1.0 else None

    @property
    def sample_rate(self) -> float | None:
        """The rate at which the head of the trace decided, if it sent a valid one."""
        try:
            value = float(self.dsc["sample_rate"])
        except (KeyError, ValueError):
            return None
        return value if 0.0 < value <= 1.0 else None


def with_upstream(context: Context, upstream: Upstream) -> Context:
    """A copy of ``context`` that carries ``upstream``."""
    return otel_context.set_value(_KEY, upstream, context)


def upstream_of(context: Context | None, trace_id: int) -> Upstream | None:
    """What the caller decided on a trace, if its headers said so.

    Args:
        context: Where to look; ``None`` means the current context.
        trace_id: The trace asked about.
    """
    value = otel_context.get_value(_KEY, context)
    return value if isinstance(value, Upstream) and value.trace_id == trace_id else None
