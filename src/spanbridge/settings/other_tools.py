"""Variables of Sentry's other tools, and which of the rest are misspelt ones of those we read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

SENTRY: Final = "SENTRY_"

_OTHERS: Final = frozenset(
    SENTRY + name
    for name in (
        # sentry-cli
        "ALLOW_FAILURE", "API_KEY", "AUTH_TOKEN", "CUSTOM_HEADER", "DISABLE_UPDATE_CHECK",
        "DOTENV_PATH", "HTTP_MAX_RETRIES", "LOAD_DOTENV", "LOG_LEVEL", "NO_PROGRESS_BAR", "ORG",
        "PIPELINE", "PROJECT", "PROPERTIES", "URL", "VCS_REMOTE",
        # SDKs of Sentry's, this language's and others
        "BAGGAGE", "ENABLE_LOGS", "ENABLE_TRACING", "ERROR_SAMPLE_RATE", "KEEP_ALIVE", "NAME",
        "PROFILES_SAMPLER", "PROFILES_SAMPLE_RATE", "PROFILE_LIFECYCLE",
        "PROFILE_SESSION_SAMPLE_RATE", "REPLAYS_ON_ERROR_SAMPLE_RATE",
        "REPLAYS_SESSION_SAMPLE_RATE", "SAMPLE_RATE", "SEND_DEFAULT_PII", "TAGS", "TRACE",
        "TRACES_SAMPLER", "USE_ENVIRONMENT",
    )
)  # fmt: skip
_ALIKE: Final = 0.85


def near_misses(environ: Mapping[str, str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Variables that mean nothing to anybody, each with the one that is spelt almost the same.

    Args:
        environ: All variables; an empty one counts as unset.
        known: Those that are read, all of them Sentry's.
    """
    by_suffix = {name.removeprefix(SENTRY): name for name in known}
    for variable in sorted(environ):
        if not variable.startswith(SENTRY) or not environ[variable].strip():
            continue
        suffix = variable.removeprefix(SENTRY)
        if variable in _OTHERS or suffix in by_suffix or suffix[-1:].isdigit():
            continue  # a number at the end is a second one of somebody's own
        near = _almost(suffix, by_suffix)
        if near is not None:
            yield variable, by_suffix[near]


def _almost(suffix: str, known: Iterable[str]) -> str | None:
    letters = sorted(suffix)
    swapped = next((name for name in known if sorted(name) == letters), None)
    alike = difflib.get_close_matches(suffix[:100], list(known), n=1, cutoff=_ALIKE)
    return swapped or next(iter(alike), None)
