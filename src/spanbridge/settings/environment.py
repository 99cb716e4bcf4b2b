"""Which environment this is."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NamedTuple

from spanbridge.errors import ConfigurationError
from spanbridge.settings.choosing import Chosen, choose, kind_of
from spanbridge.settings.declaration import Variable, options_of
from spanbridge.settings.doubt import is_doubtful
from spanbridge.settings.findings import Findings
from spanbridge.settings.options import KINDS
from spanbridge.settings.sources import Place, Sources, destination_place, top_level_place
from spanbridge.settings.tree import Settings
from spanbridge.settings.unknown_tables import is_table

_PLACES: Final = ("host", "metrics", "metrics_endpoint")
"""What else says where something goes: who can see a page, and where metrics go."""
EVERYTHING_IS_LOCAL = "every destination is on this machine"


class Environment(NamedTuple):
    """An environment's name, and what named it."""

    name: str
    source: str


def detect_environment(sources: Sources, findings: Findings) -> Environment:
    """The environment that was named, or what the destinations' addresses suggest.

    Without a name and without a destination it is production, the careful one. So it is with a
    destination that cannot be read, which may be anywhere; the findings say whose fault it is.
    """
    option = options_of(Settings)["environment"]
    found = None
    try:
        found = sources.find(_place(sources))
        if found is not None:
            return Environment(str(found.read(option)), found.source)
    except ConfigurationError as problem:
        # A table [environment.…], which means nothing, may say what must not leave.
        is_privacy = found is not None and is_table(found.value) and is_doubtful(found.value)
        findings.note(problem, is_privacy=is_privacy)
        if found is None:  # it is not the name that cannot be read, but where it may stand
            findings.as_production.add(str(problem))
        return Environment("production", "default")
    return _suggested(sources, findings)


def _place(sources: Sources) -> Place:
    options = options_of(Settings)
    place = top_level_place(options["environment"])
    found = sources.find(top_level_place(options["environment_aliases"]))
    if found is None:
        return place
    aliases = found.read(options["environment_aliases"])
    assert isinstance(aliases, tuple)
    first_plain = next(i for i, v in enumerate(place.variables) if v.name == "ENVIRONMENT")
    return dataclasses.replace(
        place,
        variables=(
            *place.variables[:first_plain],
            *(Variable(name) for name in reversed(aliases)),
            *place.variables[first_plain:],
        ),
    )


class _NobodyKnows(Exception):
    """It cannot be told where a destination sends.

    Attributes:
        cause: The problem's text; the destination's name, if it lacks an address.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def _suggested(sources: Sources, findings: Findings) -> Environment:
    """Development if all that is chosen is known to be on this machine."""
    known, causes = 0, []
    for one in choose(sources, Findings()):
        try:
            if not _is_local(sources, one):
                return Environment("production", "default")
            known += 1
        except _NobodyKnows as unknown:
            causes.append(unknown.cause)
    if known and not causes:
        return Environment("development", EVERYTHING_IS_LOCAL)
    if known:  # without those it would be development
        findings.as_production.update(causes)
    return Environment("production", "default")


def _is_local(sources: Sources, chosen: Chosen) -> bool:
    try:
        kind = kind_of(sources, chosen)
        where: dict[str, Any] = {}
        for key, option in options_of(KINDS[kind]).items():
            if option.is_address or key in _PLACES:
                found = sources.find(destination_place(option, chosen.name, kind))
                where |= {key: found.read(option)} if found else {}
                if found is None and option.is_address and option.default is None:
                    raise _NobodyKnows(chosen.name)
    except ConfigurationError as problem:
        raise _NobodyKnows(str(problem)) from None
    return KINDS[kind](name=chosen.name, **where).is_local
