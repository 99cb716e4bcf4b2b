"""Which destinations there are, what each of them is, and which were chosen."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from spanbridge.errors import ConfigurationError
from spanbridge.settings.declaration import PREFIX, Option, Variable, options_of
from spanbridge.settings.elsewhere import TRACES_EXPORTER
from spanbridge.settings.findings import Findings
from spanbridge.settings.masking import Shown, show, show_names
from spanbridge.settings.options import ENABLED, KIND, KINDS, destination_options
from spanbridge.settings.otlp_variables import (
    BASE_ENDPOINT,
    EXPORTER_ALIASES,
    exporters_with_prometheus,
)
from spanbridge.settings.reading import Reader, closest, did_you_mean, names_of, names_or_none_of
from spanbridge.settings.sources import (
    Found,
    Sources,
    Table,
    destination_place,
    destination_variable,
    top_level_place,
)
from spanbridge.settings.tree import Settings

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_KIND_VARIABLE: Final = re.compile(rf"{PREFIX}([A-Z][A-Z0-9_]*)_KIND")


def _names_of(raw: object) -> tuple[str, ...]:
    names = names_of(tuple(raw)) if isinstance(raw, Mapping) else names_or_none_of(raw)
    return tuple(dict.fromkeys(name.lower() for name in names))


def _exporter_names_of(raw: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(EXPORTER_ALIASES.get(name, name) for name in _names_of(raw)))


DESTINATIONS: Final = Option(
    key="destinations",
    default=None,
    sentence="Where telemetry goes: names or kinds.",
    reader=Reader("comma list of destinations, or `none`", _names_of),
    unset="those whose address is set",
    variables=(
        Variable(
            TRACES_EXPORTER,
            exporters_with_prometheus,
            Reader("comma list", _exporter_names_of),
        ),
    ),
    mask=show_names,
)


@dataclass(frozen=True)
class Chosen:
    """A destination to send to.

    Attributes:
        name: Its name.
        setting: What chose it, as the user wrote it.
        value: What that setting holds, safe to show; for a list, the name in it.
    """

    name: str
    setting: str
    value: Shown


def is_name(text: str) -> bool:
    """Whether a destination may be called so."""
    return _NAME.fullmatch(text) is not None


def known_names(sources: Sources) -> tuple[str, ...]:
    """The kinds, and every destination with a valid name that is mentioned anywhere."""
    names = dict.fromkeys(KINDS)
    for table in sources.all_tables:
        names.update(dict.fromkeys(table.destination_names()))
    written = {destination_variable(name, KIND.key) for name in names}
    for variable in sorted(sources.environ):
        match = _KIND_VARIABLE.fullmatch(variable)
        if match and variable not in written:
            names[match[1].lower()] = None
    return tuple(filter(is_name, names))


def kind_of(sources: Sources, chosen: Chosen) -> str:
    """What the destination is. Raises ``ConfigurationError`` for one that is not known."""
    name = chosen.name
    if not is_name(name):
        raise _unknown(sources, chosen)
    found = sources.find(destination_place(KIND, name, kind=None))
    if found is None:
        if name in KINDS:
            return name
        raise _unknown(sources, chosen)
    kind = str(found.read(KIND))
    _check_variables_are_its_own(sources, chosen, kind)
    return kind


def _unknown(sources: Sources, chosen: Chosen) -> ConfigurationError:
    tables = [one for one in sources.all_tables if chosen.name in one.destination_names()]
    if tables:  # what holds everywhere is the place for its kind
        return _without_kind(sources, chosen.name, tables[-1])
    known = known_names(sources)
    listed = ", ".join(name for name in known if name != chosen.name)
    hint = ""
    if is_name(chosen.name):
        hint = f", or say what it is with {destination_variable(chosen.name, KIND.key)}"
    return ConfigurationError(
        chosen.setting,
        show(chosen.name),
        "there is no such destination",
        f"{did_you_mean(chosen.name, (*(n for n in known if n != chosen.name), 'none'))}"
        f"Use {listed}{hint}.",
    )


def _without_kind(sources: Sources, name: str, table: Table) -> ConfigurationError:
    """What is wrong with a table under a name that says no kind."""
    path = (DESTINATIONS.key, name)
    setting, shown = table.label(path), show(name)
    if not is_name(name):
        fix = "Start with a small letter; small letters, digits, '_' and '-' may follow."
        return ConfigurationError(setting, shown, "it is no name of a destination", fix)
    found = table.find(path)
    suggested = kind_in_name(name)
    alike = closest(name, (other for other in known_names(sources) if other != name))
    kinds = ", ".join(KINDS)
    if suggested is None and alike is not None:
        fix = f"Did you mean the name {alike!r}? If not, write kind there: {kinds}."
    elif suggested := suggested or _kind_with_address(found.value if found else None):
        fix = f"Did you mean kind = {suggested!r}? Use {kinds}."
    else:
        fix = f"Write kind there: {kinds}."
    return ConfigurationError(setting, shown, "its kind is missing", fix)


def kind_in_name(name: str) -> str | None:
    """The kind that a part of a name starts with, as in ``sentry-eu``."""
    parts = re.split("[-_]", name)
    return next((kind for kind in KINDS if any(part.startswith(kind) for part in parts)), None)


def _kind_with_address(content: object) -> str | None:
    """The kind whose address stands in a table."""
    if not isinstance(content, Mapping):
        return None
    for kind, options in KINDS.items():
        if any(option.is_address and key in content for key, option in options_of(options).items()):
            return kind
    return None


def _check_variables_are_its_own(sources: Sources, chosen: Chosen, kind: str) -> None:
    taken = {
        variable.name
        for option in (DESTINATIONS, *options_of(Settings).values())
        for variable in top_level_place(option).variables
    }
    for other in known_names(sources):
        if other != chosen.name:
            taken.update(_variables_of(other, other if other in KINDS else kind))
    shared = sorted(taken & set(_variables_of(chosen.name, kind)))
    if shared:
        raise ConfigurationError(
            chosen.setting,
            show(chosen.name),
            f"as a destination's name it would give {shared[0]} two meanings",
            "Choose another name.",
        )


def _variables_of(name: str, kind: str) -> Iterator[str]:
    return (destination_variable(name, key) for key in destination_options(kind))


def choose(sources: Sources, findings: Findings) -> tuple[Chosen, ...]:
    """The destinations to send to, in order; unusable choices are noted and left out."""
    listed = _list_in(sources)
    first = _addressed(sources) if listed is None else _named_by(listed, findings)
    chosen = {one.name: one for one in first}
    for name in dict.fromkeys((*known_names(sources), *chosen)):
        try:
            found = sources.find(destination_place(ENABLED, name, kind=None))
            if found is None:
                continue
            if found.read(ENABLED):
                chosen.setdefault(name, Chosen(name, found.setting, found.shown(ENABLED)))
            else:
                chosen.pop(name, None)
        except ConfigurationError as problem:
            findings.note(problem, left_out=name)
            chosen.pop(name, None)
    return tuple(chosen.values())


def passed_over(sources: Sources, chosen: Collection[Chosen]) -> Iterator[str]:
    """A sentence on each destination with an address that OpenTelemetry's list does not name.

    A platform may have preset that list and know nothing of ours. Whoever leaves a destination out
    of a list of ours means it, and so does whoever writes ``none``, OpenTelemetry's off switch.
    """
    listed = _list_in(sources)
    is_off = sources.environ.get(TRACES_EXPORTER, "").strip().lower() == "none"
    if listed is None or is_off or not _is_opentelemetrys(listed):
        return
    for name in known_names(sources):
        address = None if name in {one.name for one in chosen} else _idle_address(sources, name)
        if address is not None:
            yield (
                f"{address} is set, but {listed.setting} does not name {name}, so spanbridge "
                f"sends nothing there. Name it there or in {PREFIX}DESTINATIONS. If this is "
                f"meant, set {destination_variable(name, ENABLED.key)}=false."
            )


def _is_opentelemetrys(listed: Found) -> bool:
    try:
        listed.read(DESTINATIONS)
    except ConfigurationError:
        return False  # nobody can say what it names
    return listed.source in {variable.name for variable in DESTINATIONS.variables}


def _idle_address(sources: Sources, name: str) -> str | None:
    """What gives a destination its address, if nobody switched it off."""
    try:
        kind = kind_of(sources, Chosen(name, DESTINATIONS.key, show(name)))
        address = _address_of(sources, name, kind)
        is_switched_off = sources.find(destination_place(ENABLED, name, kind=None)) is not None
    except ConfigurationError:
        return None  # what cannot be read is told of where it is needed
    # The general endpoint of OTLP is there for OpenTelemetry's other signals as well.
    if address is None or is_switched_off or address[1].setting == BASE_ENDPOINT:
        return None
    return address[1].setting


def source_of_choice(sources: Sources) -> str:
    """What says where telemetry goes, or that it goes nowhere; ``"default"`` if nothing does.

    Without it, those destinations are chosen whose address is set.
    """
    found = _list_in(sources)
    for name in known_names(sources) if found is None else ():
        with contextlib.suppress(ConfigurationError):  # it is noted where it is read
            found = found or sources.find(destination_place(ENABLED, name, kind=None))
    return found.source if found is not None else "default"


def _list_in(sources: Sources) -> Found | None:
    argument = sources.arguments.find((DESTINATIONS.key,))
    if argument is not None:
        return argument
    said = sources.said(top_level_place(DESTINATIONS))
    # In the file the same key also holds the destinations' own tables; those are no list.
    return next((found for found in said if not isinstance(found.value, Mapping)), None)


def _named_by(listed: Found, findings: Findings) -> Iterator[Chosen]:
    try:
        names = listed.read(DESTINATIONS)
    except ConfigurationError as problem:
        # An unreadable list chooses nothing: sending to places nobody named would be worse.
        findings.note(problem, left_out="a destination")
        return
    assert isinstance(names, tuple)
    yield from (Chosen(name, listed.setting, show(name)) for name in names)


def _addressed(sources: Sources) -> Iterator[Chosen]:
    for name in known_names(sources):
        chosen = _chosen_by_address(sources, name)
        if chosen is not None:
            yield chosen


def _chosen_by_address(sources: Sources, name: str) -> Chosen | None:
    """The destination if its address is set; one without address, if it has a table."""
    table = next((t for t in sources.all_tables if name in t.destination_names()), None)
    mention = table.label((DESTINATIONS.key, name)) if table else DESTINATIONS.key
    mentioned = Chosen(name, mention, show(name))
    try:
        kind = kind_of(sources, mentioned)
        if not any(option.is_address for option in options_of(KINDS[kind]).values()):
            return mentioned if table else None
        address = _address_of(sources, name, kind)
    except ConfigurationError as problem:
        # Chosen by something unusable, which resolving it will say.
        return Chosen(name, problem.setting, show(name))
    if address is None:
        return None
    option, found = address
    return Chosen(name, found.setting, found.shown(option))


def _address_of(sources: Sources, name: str, kind: str) -> tuple[Option, Found] | None:
    for option in options_of(KINDS[kind]).values():
        if option.is_address:
            found = sources.find(destination_place(option, name, kind))
            if found is not None:
                return option, found
    return None
