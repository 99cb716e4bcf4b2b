"""What every destination can be told, and what checking any of them takes."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field
from typing import ClassVar

from spanbridge.model.rule import Condition
from spanbridge.settings.conditions import MATCH
from spanbridge.settings.declaration import Variable, masked_repr, option
from spanbridge.settings.otel_sampler import SAMPLER, SAMPLER_ARGUMENT
from spanbridge.settings.privacy import PrivacyOverrides
from spanbridge.settings.reading import BOOLEAN, COUNT, RATE, TRACES_PER_S, Unusable


class Incomplete(Unusable):
    """A problem that belongs to one field and shows only once the options are complete."""

    def __init__(self, key: str, problem: str, fix: str, value: object = None) -> None:
        super().__init__(problem, f"{fix}.")
        self.key = key
        self.value = value


@dataclass(frozen=True, kw_only=True, repr=False)
class CommonOptions(PrivacyOverrides):
    """What every destination has.

    Attributes:
        name: The destination's name, by default its kind.
        sample_rate_source: Where the rate comes from, for logs and ``status()``.
        capture_content: Whether prompts and answers may go here.
    """

    is_remote: ClassVar[bool] = False
    """Whether data leaves the process over a network. A server on loopback may pass it on."""
    takes_traces: ClassVar[bool] = True
    """Whether spans go there, and thus whether it has a sample rate."""

    name: str
    sample_rate: float = option(
        1.0,
        "Share of traces sent here.",
        RATE,
        variables=(SAMPLER, SAMPLER_ARGUMENT),
        careful=lambda profile: profile.sentry_sample_rate,  # all may be a hundred times too much
    )
    sample_rate_source: str = field(default="default", compare=False)
    capture_content: bool = False
    queue_max_items: int = option(
        65_536,
        "Spans and errors that may wait for this destination.",
        COUNT,
        unit="items",
        has_safe_default=True,
    )
    queue_max_bytes: int = option(
        64 * 1024 * 1024,
        "Memory they may take while they wait.",
        COUNT,
        unit="bytes",
        has_safe_default=True,
    )

    match: tuple[Condition, ...] = option(
        (),
        "What a span has to be to go here. Others are left out, and what is below them moves up "
        "to the nearest span that goes. Issues go by the span they arose in.",
        MATCH,
        empty="every span",
    )
    max_traces_per_s: float | None = option(
        None,
        "The most traces a process sends here in a second, in the long run; beyond it the share "
        "of traces is lowered. As many as in a second, and at least ten, may come at once. Errors, "
        "traces that a rule keeps, and those that a caller decided on, are not limited.",
        TRACES_PER_S,
        unset="no limit",
        unit="per second",
        careful=lambda _profile: 1.0,  # whoever sets a ceiling wants no flood
    )

    __repr__ = masked_repr

    @property
    def place(self) -> str:
        """Where it sends to, as a log line may show it; empty if there is nothing to say."""
        return ""

    @property
    def manner(self) -> str:
        """How it sends, where there is a choice, as a table may show it."""
        return ""

    @property
    def share(self) -> str:
        """How much of the traces goes there, as a log line says it; empty if none can."""
        rate = self.rate_of_traces
        return "" if rate is None else f"{rate * 100:g} %"

    @property
    def rate_of_traces(self) -> float | None:
        """Which part of the traces goes there; ``None`` if none can."""
        return self.sample_rate if self.takes_traces else None

    @property
    def is_local(self) -> bool:
        """Whether nothing it sends leaves this machine, as far as its address tells."""
        return True

    @property
    def takes_self_metrics(self) -> bool:
        """Whether what the ledger counts can go there as metrics."""
        return False

    def verify(self) -> None:
        """Check what only the whole can show. Raises ``Unusable``."""


def metrics_option(*variables: Variable) -> bool:
    """Declare whether metrics go there, of a destination that takes traces first of all."""
    return option(
        True,
        "Whether metrics go there too.",
        BOOLEAN,
        variables=variables,
        careful=lambda _profile: False,  # they may be what was to be switched off
    )


def verify_readable(options: CommonOptions, *keys: str) -> None:
    for key in keys:
        path = getattr(options, key)
        if path is not None and not os.access(path, os.R_OK):
            raise Incomplete(
                key,
                "there is nothing that can be read",
                "Correct the path or its permissions",
                path,
            )


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent package is missing, or a stub stands in for it
        return False
