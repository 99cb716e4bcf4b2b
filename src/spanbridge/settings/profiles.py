"""What an environment's name changes by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

OnConfigError: TypeAlias = Literal["raise", "warn"]


@dataclass(frozen=True)
class Profile:
    """Defaults of one environment.

    Attributes:
        sentry_sample_rate: Share of traces that go to Sentry, 0 to 1.
        include_locals: Whether frames carry local variables.
        on_config_error: What an unusable setting does at start-up.
    """

    sentry_sample_rate: float
    include_locals: bool
    on_config_error: OnConfigError


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "development": Profile(1.0, include_locals=True, on_config_error="raise"),
        "staging": Profile(0.3, include_locals=False, on_config_error="warn"),
        "production": Profile(0.1, include_locals=False, on_config_error="warn"),
    }
)


def profile_name(environment: str) -> str:
    """The profile that ``environment`` uses: its own, in any case, or production's."""
    name = environment.lower()
    return name if name in PROFILES else "production"
