"""Finds names nobody declared: misspelt arguments, keys of the settings file, variables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from spanbridge.errors import ConfigurationError
from spanbridge.runtime.guard import RERAISE_VARIABLE
from spanbridge.settings.choosing import DESTINATIONS, Chosen, kind_of, known_names
from spanbridge.settings.declaration import PREFIX, Option, options_of
from spanbridge.settings.findings import Findings
from spanbridge.settings.masking import mask_whole, plain, show
from spanbridge.settings.options import KINDS, destination_options
from spanbridge.settings.reading import closest
from spanbridge.settings.sources import Path, Sources, Table, destination_place, top_level_place
from spanbridge.settings.tree import Settings

_ENVIRONMENTS: Final = "environments"


def top_level_options() -> dict[str, Option]:
    """Every setting that can stand outside a destination's table, by key."""
    shorthands = {
        key: option
        for kind in KINDS
        for key, option in destination_options(kind).items()
        if option.is_shorthand
    }
    return {**options_of(Settings), **shorthands, DESTINATIONS.key: DESTINATIONS}


def check_names(sources: Sources, chosen: Collection[Chosen], findings: Findings) -> None:
    """Note every name that means nothing.

    One that resembles a privacy setting counts as a faulty privacy setting: whoever wrote it
    wanted something withheld, or let out, and did not get it.

    Args:
        sources: As they stand without an environment's tables; all of those are checked.
        chosen: The destinations that were chosen.
        findings: Takes the problems.
    """
    _check_keys(sources.arguments, sources, findings)
    for table in sources.tables:
        _check_keys(table, sources, findings)
        _check_environments(table, sources, findings)
    _check_variables(sources, chosen, findings)


def _check_environments(table: Table, sources: Sources, findings: Findings) -> None:
    environments = table.content.get(_ENVIRONMENTS, {})
    if not isinstance(environments, Mapping):
        findings.note(_no_table(table, (_ENVIRONMENTS,), environments))
        return
    for name, content in environments.items():
        section = table.environment(name)
        if section is None:
            findings.note(_no_table(table, (_ENVIRONMENTS, str(name)), content))
        else:
            _check_keys(section, sources.within(name), findings)


def _check_keys(table: Table, sources: Sources, findings: Findings) -> None:
    known = top_level_options()
    is_whole_file = bool(table.origin) and not table.section
    for key, value in table.content.items():
        label = table.label((str(key),))
        if key in known:
            misplaced = _misplaced(table, label, value, known[key])
            if misplaced:
                findings.note(misplaced)
        elif not (is_whole_file and key == _ENVIRONMENTS):
            _note_unknown(label, str(key), value, known, findings)
    destinations = table.content.get(DESTINATIONS.key)
    if isinstance(destinations, Mapping):
        for name, content in destinations.items():
            _check_destination(table, (DESTINATIONS.key, str(name)), content, sources, findings)


def _misplaced(
    table: Table, label: str, value: object, option: Option
) -> ConfigurationError | None:
    if table.origin and option.in_file == "nowhere":
        fix = "Set it as a variable or an argument."
    elif table.section and option.in_file == "top":
        fix = "Set it at the top level of the file."
    else:
        return None
    return ConfigurationError(label, option.mask(value), "it cannot be set here", fix)


def _check_destination(
    table: Table, path: Path, content: object, sources: Sources, findings: Findings
) -> None:
    content = {} if content is None else content  # YAML's form of an empty table
    if not isinstance(content, Mapping):
        findings.note(_no_table(table, path, content))
        return
    try:
        mentioned = Chosen(path[-1], table.label(path), show(path[-1]))
        known = destination_options(kind_of(sources, mentioned))
    except ConfigurationError as unknown:
        findings.note(unknown)
        return
    privacy = {key: option for key, option in options_of(Settings).items() if option.is_privacy}
    for key, value in content.items():
        label = table.label((*path, str(key)))
        if key in known:
            continue
        if key in privacy:
            shown, fix = privacy[key].mask(value), "Set it at the top level."
            problem = "it cannot be set for one destination"
            findings.note(ConfigurationError(label, shown, problem, fix), is_privacy=True)
        else:
            _note_unknown(label, str(key), value, {**known, **privacy}, findings)


def _check_variables(sources: Sources, chosen: Collection[Chosen], findings: Findings) -> None:
    known = dict(_known_variables(sources, chosen))
    for variable in sorted(sources.environ):
        if variable.startswith(PREFIX) and variable not in known and variable != RERAISE_VARIABLE:
            # Compared without the prefix, which would make everything alike.
            by_suffix = {name.removeprefix(PREFIX): option for name, option in known.items()}
            suffix, value = variable.removeprefix(PREFIX), sources.environ[variable]
            _note_unknown(plain(variable), suffix, value, by_suffix, findings, PREFIX)


def _known_variables(sources: Sources, chosen: Collection[Chosen]) -> Iterator[tuple[str, Option]]:
    for option in (DESTINATIONS, *options_of(Settings).values()):
        for variable in top_level_place(option).variables:
            yield variable.name, option
    for name in dict.fromkeys((*known_names(sources), *(one.name for one in chosen))):
        kinds = (name,) if name in KINDS else KINDS
        for option in (option for kind in kinds for option in destination_options(kind).values()):
            for variable in destination_place(option, name, kind=None).variables:
                yield variable.name, option


def _note_unknown(
    label: str,
    name: str,
    value: object,
    known: Mapping[str, Option],
    findings: Findings,
    prefix: str = "",
) -> None:
    near = closest(name, known)
    # Nobody knows what an unknown setting holds, so its value is shown only if it is likely to
    # be that of a setting that may be shown.
    shown = known[near].mask(value) if near else mask_whole(value)
    fix = (
        f"Did you mean {prefix + near!r}?" if near else "Remove it, or look it up in the reference."
    )
    findings.note(
        ConfigurationError(label, shown, "there is no such setting", fix),
        is_privacy=near is not None and known[near].is_privacy,
    )


def _no_table(table: Table, path: Path, value: object) -> ConfigurationError:
    return ConfigurationError(
        table.label(path), show(value), "it is not a table", "Write key = value lines under it."
    )
