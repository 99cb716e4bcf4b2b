"""``OTEL_TRACES_SAMPLER``: a mistake in it is told, whoever goes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanbridge.settings import load
from spanbridge.settings.loading import look_ahead
from spanbridge.settings.otel_sampler import is_known, is_rate

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Refuse, Warn

DSN = "https://key@sentry.example/1"
SENTRY = {"SENTRY_DSN": DSN}
KNOWN = (
    "Use always_off, always_on, parentbased_always_off, parentbased_always_on, "
    "parentbased_traceidratio, spanbridge, traceidratio."
)
UNKNOWN = "no sampler of this name is installed, so it is ignored."
RATE = "it does not lie between 0 and 1. Use 1 to keep every trace, 0.1 for 10 %."


@pytest.mark.parametrize("destination", ["sentry", "console", "none"])
@pytest.mark.parametrize(
    ("named", "line"),
    [
        ("nonsense", f"OTEL_TRACES_SAMPLER is 'nonsense': {UNKNOWN} {KNOWN}"),
        (
            "traceidratoi",
            f"OTEL_TRACES_SAMPLER is 'traceidratoi': {UNKNOWN} "
            f"Did you mean 'traceidratio'? {KNOWN}",
        ),
    ],
)
def test_an_unknown_sampler_is_told_and_stops_nothing(
    named: str, line: str, destination: str
) -> None:
    arguments = {"destinations": destination, "on_config_error": "raise"}

    settings = load(arguments, {**SENTRY, "OTEL_TRACES_SAMPLER": named})

    assert [str(problem) for problem in settings.problems] == [line]
    assert [one.name for one in settings.destinations] == [destination][: destination != "none"]


def test_a_ratio_that_is_none_is_told_also_where_only_sentrys_own_rate_counts(
    refuse: Refuse, warn: Warn
) -> None:
    environ = {
        **SENTRY,
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "10%",
    }
    line = "OTEL_TRACES_SAMPLER_ARG is '10%': it is not a number. Give a number, for example 0.5."

    assert refuse(environ=environ) == line
    settings = warn(environ=environ)
    assert [str(problem) for problem in settings.problems] == [line]
    assert [one.name for one in settings.destinations] == ["sentry"]


def test_a_ratio_that_a_destination_goes_by_is_told_once(warn: Warn) -> None:
    environ = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}

    [problem] = warn({"destinations": "console"}, environ).problems

    assert str(problem) == (f"OTEL_TRACES_SAMPLER_ARG is '2': {RATE} Until then it is 1.0.")


@pytest.mark.parametrize(
    ("sampler", "argument"),
    [("", "x"), ("always_on", "x"), ("nonsense", "x"), ("spanbridge", "x"), ("traceidratio", "")],
)
def test_an_argument_that_nobody_reads_is_not_spoken_of(sampler: str, argument: str) -> None:
    environ = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}

    problems = look_ahead({"destinations": "console"}, environ).settings.problems

    assert not [problem for problem in problems if problem.setting == "OTEL_TRACES_SAMPLER_ARG"]


def test_a_samplers_name_may_be_written_in_any_case() -> None:
    environ = {"OTEL_TRACES_SAMPLER": "Always_Off"}

    settings = load({"destinations": "console"}, environ)

    assert settings.problems == ()
    assert settings.destinations[0].sample_rate == 0


def test_an_installed_sampler_is_known_and_no_rate() -> None:
    assert is_known("spanbridge")
    assert not is_rate("spanbridge")
