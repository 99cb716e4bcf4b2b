"""Finds names nobody declared: misspelt arguments, keys of the settings file, variables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import RERAISE_VARIABLE
from spanbridge.settings.choosing import DESTINATIONS, Chosen, is_name, kind_of, known_names
from spanbridge.settings.declaration import PREFIX, Option, options_of
from spanbridge.settings.doubt import is_doubtful
from spanbridge.settings.findings import Findings
from spanbridge.settings.masking import Shown, mask_whole, plain, show
from spanbridge.settings.match_names import MATCH, narrows, top_level_options
from spanbridge.settings.options import KIND, KINDS, destination_options
from spanbridge.settings.other_tools import SENTRY, near_misses
from spanbridge.settings.reading import PartlyUnusable, closest, form_of
from spanbridge.settings.sources import (
    Found,
    Path,
    Sources,
    Table,
    destination_place,
    destination_variable,
    top_level_place,
)
from spanbridge.settings.tree import Settings
from spanbridge.settings.unknown_tables import ENVIRONMENTS, NOT_ONLY_TEXT, is_table, table_meant


def check_names(sources: Sources, chosen: Collection[Chosen], findings: Findings) -> None:
    """Note every name that means nothing.

    One that resembles a privacy setting, or holds one, counts as a faulty privacy setting: whoever
    wrote it wanted something withheld, or let out, and did not get it.

    Args:
        sources: As they stand without an environment's tables; all of those are checked.
        chosen: The destinations that were chosen.
        findings: Takes the problems.
    """
    _check_keys(sources.arguments, sources, findings)
    for table in (*sources.declared, *sources.tables):
        _check_keys(table, sources, findings)
        _check_environments(table, sources, findings)
    _check_variables(sources, chosen, findings)


def _check_environments(table: Table, sources: Sources, findings: Findings) -> None:
    environments = table.content.get(ENVIRONMENTS)
    if environments is None:
        return
    if not isinstance(environments, Mapping):
        _note_no_table(table, (ENVIRONMENTS,), environments, findings)
        return
    for name, content in environments.items():
        if content is None:  # YAML's form of an empty table
            continue
        if not isinstance(content, Mapping):
            _note_no_table(table, (ENVIRONMENTS, str(name)), content, findings)
        elif not isinstance(name, str):  # YAML reads 1 and on as something else
            label = table.label((ENVIRONMENTS, str(name)))
            problem = ConfigurationError(label, show(name), "it is no text", "Put it in quotes.")
            findings.note(problem, is_privacy=is_doubtful(content))
        elif section := table.environment(name):
            _check_keys(section, sources.within(name), findings)


def check_spellings(sources: Sources, environment: str, findings: Findings) -> None:
    """Note tables of which nobody can say which one is meant for the environment.

    Args:
        sources: As they stand without an environment's tables.
        environment: The environment's name.
        findings: Takes the problems.
    """
    for table in (*sources.declared, *sources.tables):
        first, *others = table.spellings_of(environment) or ("",)
        for other in others:
            path = (ENVIRONMENTS, other)
            problem = ConfigurationError(
                table.label(path),
                Shown("a table"),
                f"it differs from {show(first)} in case alone, and neither is spelt like the "
                f"environment, {show(environment)}",
                f"Keep one of them, or spell one {show(environment)}.",
            )
            found = table.find(path)
            findings.note(
                problem,
                is_privacy=found is not None and is_doubtful(found.value),
                until_then=f"{show(first)} holds",
            )


def _check_keys(table: Table, sources: Sources, findings: Findings) -> None:
    known = top_level_options()
    is_whole_file = bool(table.origin) and not table.section
    for key, value in table.content.items():
        label = table.label((str(key),))
        if key in known:
            misplaced = _misplaced(table, label, value, known[key])
            if misplaced:
                findings.note(misplaced, is_privacy=known[key].is_privacy)
            _check_for_strays(table, (key,), known[key], findings)
            _check_shape(table, key, known[key], findings)
        elif not (is_whole_file and key == ENVIRONMENTS):
            meant = _meant_by_key(str(key), known, is_top_level=True)
            if is_whole_file and closest(str(key), (*known, ENVIRONMENTS)) == ENVIRONMENTS:
                meant = _Meant(None, _did_you_mean(ENVIRONMENTS))
            if table.origin and is_table(value):
                fix = table_meant(
                    str(key),
                    value,
                    destinations=known_names(sources),
                    settings=known,
                    is_whole_file=is_whole_file,
                )
                meant = meant._replace(fix=fix or _fix_of_table(str(key), meant))
            _note(label, value, meant, findings)
    destinations = table.content.get(DESTINATIONS.key)
    if isinstance(destinations, Mapping):
        for name, content in destinations.items():
            _check_destination(table, (DESTINATIONS.key, str(name)), content, sources, findings)


def _check_for_strays(table: Table, path: Path, option: Option, findings: Findings) -> None:
    """Note settings of privacy that got into a table, also into one that is not used here."""
    found = table.find(path)
    if found is None or not is_table(found.value) or _is_of_destinations(found):
        return
    try:
        found.read(option)
    except PartlyUnusable as partly:
        for part in partly.parts:
            if part.is_privacy:
                findings.note(found.error_of_part(part), is_privacy=True)
    except ConfigurationError as problem:
        if is_doubtful(found.value):
            findings.note(problem, is_privacy=True)


def _check_shape(table: Table, key: str, option: Option, findings: Findings) -> None:
    """Note a table where none belongs, even if a stronger source says what holds.

    What stands in it was meant for another place: ``[environment.production]``.
    """
    found = table.find((key,))
    if found is None or not is_table(found.value) or key in NOT_ONLY_TEXT:
        return
    try:
        found.read(option)
    except ConfigurationError as problem:
        findings.note(problem, is_privacy=is_doubtful(found.value))


def _is_of_destinations(found: Found) -> bool:
    return found.path == (DESTINATIONS.key,) and isinstance(found.value, Mapping)


def _misplaced(
    table: Table, label: str, value: object, option: Option
) -> ConfigurationError | None:
    if table.origin and option.in_file == "nowhere":
        fix = "Set it as a variable or an argument."
    elif table.section and option.in_file == "top":
        fix = "Set it at the top level of the file."
    else:
        return None
    shown = table.shown(value, option)
    return ConfigurationError(label, shown, "it cannot be set here", fix)


def _check_destination(
    table: Table, path: Path, content: object, sources: Sources, findings: Findings
) -> None:
    content = {} if content is None else content
    if not isinstance(content, Mapping):
        _note_no_table(table, path, content, findings)
        return
    try:
        mentioned = Chosen(path[-1], table.label(path), show(path[-1]))
        known = destination_options(kind_of(sources, mentioned))
    except ConfigurationError as unknown:
        findings.note(unknown, is_privacy=is_doubtful(content))
        return
    privacy = {key: option for key, option in options_of(Settings).items() if option.is_privacy}
    for key, value in content.items():
        label = table.label((*path, str(key)))
        if key in known:
            _check_for_strays(table, (*path, key), known[key], findings)
        elif key in privacy:
            shown, fix = table.shown(value, privacy[key]), "Set it at the top level."
            problem = "it cannot be set for one destination"
            findings.note(ConfigurationError(label, shown, problem, fix), is_privacy=True)
        else:
            meant = _meant_by_key(str(key), {**known, **privacy}, is_top_level=False)
            if meant is _NOTHING and narrows(str(key), value):
                meant = _Meant(None, _did_you_mean(MATCH))
            _note(label, value, meant, findings)


def _check_variables(sources: Sources, chosen: Collection[Chosen], findings: Findings) -> None:
    known = dict(_known_variables(sources, [one.name for one in chosen]))
    ours = {name: option for name, option in known.items() if name.startswith(PREFIX)}
    for variable in unknown_variables(sources, [one.name for one in chosen]):
        meant = _meant_by_variable(variable, ours, known_names(sources))
        value = sources.environ[variable]
        if meant is _NOTHING and narrows(variable.removeprefix(PREFIX), value):
            # Whoever removed it would open the destination.
            meant = _Meant(None, f"Did you mean the variable of a destination's {MATCH!r}?")
        _note(plain(variable), value, meant, findings)
    sentrys = {name: option for name, option in known.items() if name.startswith(SENTRY)}
    for variable, meant_name in near_misses(sources.environ, sentrys):
        value = sources.environ[variable]
        meant = _Meant(sentrys[meant_name], _did_you_mean(meant_name))
        _note(plain(variable), value, meant, findings, is_ours=False)


def unknown_variables(sources: Sources, chosen: Iterable[str]) -> Iterator[str]:
    """Variables with our prefix that nothing reads, sorted.

    Args:
        sources: Hold the variables, and what is known of destinations.
        chosen: Names of the destinations that were chosen.
    """
    known = {RERAISE_VARIABLE, *(name for name, _ in _known_variables(sources, chosen))}
    ours = sorted(name for name in sources.environ if name.startswith(PREFIX))
    return (name for name in ours if name not in known)


def _known_variables(sources: Sources, chosen: Iterable[str]) -> Iterator[tuple[str, Option]]:
    for option in (DESTINATIONS, *options_of(Settings).values()):
        for variable in top_level_place(option).variables:
            yield variable.name, option
    for name in dict.fromkeys((*known_names(sources), *chosen)):
        kinds = (name,) if name in KINDS else KINDS
        for kind in kinds:
            for option in destination_options(kind).values():
                for variable in destination_place(option, name, kind).variables:
                    yield variable.name, option


class _Meant(NamedTuple):
    """What somebody probably meant by a name that means nothing."""

    option: Option | None
    fix: str


_NOTHING: Final = _Meant(None, "Remove it, or look it up in the reference.")


def _fix_of_table(key: str, meant: _Meant) -> str:
    """What to do with a table that nothing else is suggested for."""
    is_privacy = meant.option is not None and meant.option.is_privacy
    if is_privacy or key in _first_homes(lambda kind, key: kind):
        return meant.fix
    return "Remove it; tables are destinations, environments and rules."


def _did_you_mean(name: str) -> str:
    return f"Did you mean {name!r}?"


def _meant_by_variable(variable: str, ours: Mapping[str, Option], names: Iterable[str]) -> _Meant:
    # Compared without the prefix, which would make everything alike.
    suffix = variable.removeprefix(PREFIX)
    homeless = _first_homes(destination_variable)
    if suffix.lower() in homeless:
        name, option = homeless[suffix.lower()]
        return _Meant(option, _did_you_mean(name))
    for key, (_, option) in homeless.items():
        name = suffix.lower().removesuffix(f"_{key}")
        if name != suffix.lower() and is_name(name) and closest(name, names) is None:
            kind = destination_variable(name, KIND.key)
            return _Meant(option, f"If {name!r} is a destination, say what it is with {kind}.")
    by_suffix = {name.removeprefix(PREFIX): name for name in ours}
    near = closest(suffix, by_suffix)
    if near is not None:
        return _Meant(ours[by_suffix[near]], _did_you_mean(by_suffix[near]))
    near = closest(suffix.lower(), homeless)
    if near is not None:
        name, option = homeless[near]
        return _Meant(option, _did_you_mean(name))
    return _NOTHING


def _meant_by_key(key: str, known: Mapping[str, Option], *, is_top_level: bool) -> _Meant:
    homes = _first_homes(lambda kind, key: f"destinations.{kind}") if is_top_level else {}
    if key in homes:
        home, option = homes[key]
        return _Meant(option, f"It is a setting of a destination: set it under {home!r}.")
    near = closest(key, known)
    if near is not None:
        return _Meant(known[near], _did_you_mean(near))
    near = closest(key, homes)
    if near is not None:
        home, option = homes[near]
        return _Meant(option, f"Did you mean {near!r} under {home!r}?")
    return _NOTHING


def _first_homes(label: Callable[[str, str], str]) -> dict[str, tuple[str, Option]]:
    """The settings of destinations by key, each with the first kind that has it."""
    homes: dict[str, tuple[str, Option]] = {}
    for kind, options in KINDS.items():
        for key, option in options_of(options).items():
            homes.setdefault(key, (label(kind, key), option))
    return homes


def _note(
    label: str, value: object, meant: _Meant, findings: Findings, *, is_ours: bool = True
) -> None:
    option = meant.option
    is_privacy = (option is not None and option.is_privacy) or is_doubtful(value)
    findings.note(
        # Nobody knows what an unknown setting holds.
        ConfigurationError(label, mask_whole(value), "there is no such setting", meant.fix),
        is_privacy=is_ours and is_privacy,
        is_certain=is_ours,
    )


def _note_no_table(table: Table, path: Path, value: object, findings: Findings) -> None:
    problem, fix = "it is not a table", "Write key = value lines under it."
    findings.note(
        ConfigurationError(table.label(path), Shown(form_of(value)), problem, fix),
        is_privacy=is_doubtful(value),
    )
