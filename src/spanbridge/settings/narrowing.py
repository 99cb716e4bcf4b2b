"""What was to narrow down what a destination gets, but stands under a name that means nothing.

Whoever wrote it gives a destination a part alone, such as one tenant's. Without it that one would
get everything, so it gets nothing until the name is right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from spanbridge.errors import ConfigurationError
from spanbridge.settings.choosing import DESTINATIONS, Chosen, kind_of, known_names
from spanbridge.settings.declaration import PREFIX, options_of
from spanbridge.settings.doubt import keys_in
from spanbridge.settings.findings import Findings
from spanbridge.settings.known_keys import unknown_variables
from spanbridge.settings.masking import plain, show
from spanbridge.settings.match_names import (
    MATCH,
    WITHOUT_DESTINATION,
    holds_narrowing,
    is_alike,
    may_be_conditions,
    narrows,
    nearest,
    top_level_options,
)
from spanbridge.settings.options import KINDS, destination_options
from spanbridge.settings.sources import (
    Path,
    Sources,
    Table,
    destination_place,
    destination_variable,
)
from spanbridge.settings.unknown_tables import ENVIRONMENTS, NOT_ONLY_TEXT, is_table

_WORD: Final = re.compile("[-_]")


class _Place(NamedTuple):
    """A name that means nothing, and the destination that was to be narrowed down by it."""

    setting: str
    destination: str


def leave_out_what_is_too_wide(
    sources: Sources, chosen: Collection[Chosen], findings: Findings
) -> None:
    """Leave out every destination that would get more than somebody wanted.

    Args:
        sources: As they hold in the environment.
        chosen: The destinations that were chosen.
        findings: Hold what is wrong with each name already.
    """
    lookup = _Lookup(sources, tuple(one.name for one in chosen))
    for setting, destination in lookup.places():
        if destination in lookup.chosen:
            findings.leave_out(destination, setting)


class _Lookup:
    """Finds such names in tables and variables.

    Args:
        sources: As they hold in the environment.
        chosen: Names of the destinations that were chosen.
    """

    def __init__(self, sources: Sources, chosen: tuple[str, ...]) -> None:
        self._sources = sources
        self.chosen = chosen
        self._names = tuple(dict.fromkeys((*chosen, *known_names(sources))))

    def places(self) -> Iterator[_Place]:
        for table in self._sources.all_tables:
            for key, value in table.content.items():
                if key == DESTINATIONS.key and isinstance(value, Mapping):
                    for name, content in value.items():
                        yield from self._in_destination(table, str(name), content)
                elif _means_nothing(table, key, value):
                    for destination in self._meant_by_key(str(key), value):
                        yield _Place(table.label((str(key),)), destination)
        for variable in unknown_variables(self._sources, self.chosen):
            for destination in self._meant_by_variable(variable):
                yield _Place(plain(variable), destination)

    def _in_destination(self, table: Table, name: str, content: object) -> Iterator[_Place]:
        path: Path = (DESTINATIONS.key, name)
        try:
            kind = kind_of(self._sources, Chosen(name, table.label(path), show(name)))
        except ConfigurationError as unknown:
            near = nearest(name, [other for other in self.chosen if other != name])
            if near is not None and self._is_open(near) and holds_narrowing(content):
                yield _Place(unknown.setting, near)
            return
        if not isinstance(content, Mapping):
            if may_be_conditions(content):
                yield _Place(table.label(path), name)
            return
        known = destination_options(kind)
        for key, value in content.items():
            if key not in known and narrows(str(key), value):
                yield _Place(table.label((*path, str(key))), name)

    def _meant_by_key(self, key: str, value: object) -> Iterator[str]:
        """The destinations that were to be narrowed down by a key outside of their tables."""
        if is_alike(key, WITHOUT_DESTINATION):
            yield from filter(self._is_open, self.chosen)
        elif is_table(value):
            for path, inner in keys_in({key: value}):
                named = inner if isinstance(inner, str) else path[-1]
                whole = value if isinstance(inner, str) else inner
                near = nearest(named, self._names)
                is_meant = near is not None and (near == named or self._is_open(near))
                if near and is_meant and holds_narrowing(whole):
                    yield near

    def _meant_by_variable(self, variable: str) -> Iterator[str]:
        suffix = variable.removeprefix(PREFIX).lower()
        value = self._sources.environ[variable]
        if not value.strip():
            return
        if is_alike(suffix, WITHOUT_DESTINATION):
            yield from filter(self._is_open, self.chosen)
            return
        heads = {name.replace("-", "_"): name for name in self._names}
        owners = [head for head in heads if suffix.startswith(f"{head}_")]
        if owners:
            owner = max(owners, key=len)
            if narrows(suffix.removeprefix(f"{owner}_"), value):
                yield heads[owner]
            return
        for end in _WORD.finditer(suffix):
            near = nearest(suffix[: end.start()], heads)
            if near and self._is_open(heads[near]) and narrows(suffix[end.end() :], value):
                yield heads[near]
        written = {destination_variable(name, MATCH): name for name in self._names}
        near = nearest(suffix, [one.removeprefix(PREFIX).lower() for one in written])
        if near and self._is_open(owner := written[f"{PREFIX}{near.upper()}"]):
            yield owner

    def _is_open(self, name: str) -> bool:
        """Whether nothing narrows it down. If something does, another one was meant."""
        try:
            kind = kind_of(self._sources, Chosen(name, name, show(name)))
            option = options_of(KINDS[kind])[MATCH]
            return self._sources.find(destination_place(option, name, kind)) is None
        except ConfigurationError:
            return True


def _means_nothing(table: Table, key: object, value: object) -> bool:
    """Whether nobody reads it: under an unknown key, or a table where a text belongs."""
    if table.origin and not table.section and key == ENVIRONMENTS:
        return False
    return key not in top_level_options() or (is_table(value) and key not in NOT_ONLY_TEXT)
