"""What is installed where the program runs, as events tell it."""

from __future__ import annotations

from importlib import metadata


def installed_modules() -> dict[str, str]:
    """Versions by the name of the distribution in lower case; of several of a name, the first.

    Source: Sentry develop docs, "Event Payloads", attribute ``modules``; names as in Sentry's SDK.
    """
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        # The metadata of an installation that broke off may lack either.
        name, version = distribution.metadata["Name"], distribution.version
        if name is not None and version is not None:
            found.setdefault(name.lower(), version)
    return found
