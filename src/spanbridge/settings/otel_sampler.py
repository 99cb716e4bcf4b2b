"""What ``OTEL_TRACES_SAMPLER`` and its argument say: a rate, somebody else's sampler, or nothing.

Source: OpenTelemetry specification, "General SDK configuration".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanbridge.errors import ConfigurationError
from spanbridge.settings.declaration import Variable
from spanbridge.settings.findings import Findings
from spanbridge.settings.masking import show
from spanbridge.settings.reading import RATE, Unusable, did_you_mean

SAMPLER_VARIABLE: Final = "OTEL_TRACES_SAMPLER"
ARGUMENT_VARIABLE: Final = "OTEL_TRACES_SAMPLER_ARG"
_GROUP: Final = "opentelemetry_traces_sampler"
_PARENT_BASED: Final = "parentbased_"
_BY_RATIO: Final = "traceidratio"
_FIXED_RATES: Final = {"always_on": 1.0, "always_off": 0.0}
_BY_RATE: Final = frozenset(
    prefix + name for prefix in ("", _PARENT_BASED) for name in (*_FIXED_RATES, _BY_RATIO)
)


def sampler_named(environ: Mapping[str, str]) -> str:
    """The sampler that is asked for, empty for none. The specification wants any case read."""
    return environ.get(SAMPLER_VARIABLE, "").strip().lower()


def is_rate(sampler: str) -> bool:
    """Whether a sampler is no more than a rate, which each destination can have; so is none."""
    return not sampler or sampler in _BY_RATE


def is_known(sampler: str) -> bool:
    """Whether a sampler is a rate, or is installed."""
    return is_rate(sampler) or sampler in _installed()


def check_sampler(environ: Mapping[str, str], findings: Findings) -> None:
    """Note a sampler that nobody has, and a ratio that is none, whoever would go by it."""
    sampler = sampler_named(environ)
    if not is_known(sampler):
        # The specification wants it ignored with a warning, so it does not stop the program.
        findings.note(_unknown(environ[SAMPLER_VARIABLE].strip(), sampler), is_certain=False)
    argument = environ.get(ARGUMENT_VARIABLE, "").strip()
    if argument and _ratio(argument, environ):
        try:
            RATE.convert(argument)
        except Unusable as unusable:
            findings.note(
                ConfigurationError(
                    ARGUMENT_VARIABLE, show(argument), unusable.problem, unusable.fix
                )
            )


def _unknown(written: str, sampler: str) -> ConfigurationError:
    known = sorted({*_BY_RATE, *_installed()})
    return ConfigurationError(
        SAMPLER_VARIABLE,
        show(written),
        "no sampler of this name is installed, so it is ignored",
        f"{did_you_mean(sampler, known)}Use {', '.join(known)}.",
    )


def _installed() -> set[str]:
    from importlib.metadata import entry_points  # only for people who name a sampler

    return {name.lower() for name in entry_points(group=_GROUP).names}


def _fixed_rate(_text: str, environ: Mapping[str, str]) -> object:
    # A sampler of somebody else decides before any destination does, so it gives no rate here.
    return _FIXED_RATES.get(sampler_named(environ).removeprefix(_PARENT_BASED))


def _ratio(text: str, environ: Mapping[str, str]) -> object:
    is_used = sampler_named(environ).removeprefix(_PARENT_BASED) == _BY_RATIO
    return text if is_used else None


SAMPLER: Final = Variable(SAMPLER_VARIABLE, _fixed_rate)
SAMPLER_ARGUMENT: Final = Variable(ARGUMENT_VARIABLE, _ratio)
